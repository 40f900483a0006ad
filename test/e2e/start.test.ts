// `npm start` by a user who has set nothing up, and the command where not even that runs.
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, cpSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { afterwards, endProgramsBelow, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, freePort, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

const [user] = inject('users');
const identity = user ? { uid: user.uid, gid: user.gid } : {};
const uid = user?.uid ?? process.getuid?.();

/** A home with a runtime directory, as a login gives it. */
function loginEnvironment(): { XDG_RUNTIME_DIR: string } {
  const runtime = join(temporaryDirectory(), 'runtime');
  mkdirSync(runtime, { mode: 0o700 });
  if (user) chownSync(runtime, user.uid, user.gid);
  return { XDG_RUNTIME_DIR: runtime };
}

/** A checkout that belongs to the user, as if they had just cloned and installed it. */
function ownCheckout(): string {
  const checkout = join(temporaryDirectory(), 'ccapi');
  for (const name of [
    'proto',
    'etc',
    'server',
    'launcher',
    'client',
    'package.json',
    'build.mjs',
    'run-compiled.cjs',
  ]) {
    cpSync(name, join(checkout, name), { recursive: true });
  }
  symlinkSync(join(process.cwd(), 'node_modules'), join(checkout, 'node_modules'));
  if (user) execFileSync('/bin/chown', ['-R', `${user.uid}:${user.gid}`, checkout]);
  return checkout;
}

describe('npm start', () => {
  let env: { XDG_RUNTIME_DIR: string; CCAPI_PORT: string };
  let checkout: string;
  let printed = '';

  beforeAll(async () => {
    checkout = ownCheckout();
    // The port keeps apart tests that run at the same time; everything else is the default.
    env = { ...loginEnvironment(), CCAPI_PORT: String(await freePort()) };
    const npm = spawn('npm', ['start'], {
      ...identity,
      cwd: checkout,
      detached: true,
      env: cleanEnvironment({ ...env, PATH: process.env.PATH, HOME: checkout }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    afterwards(async () => {
      const gone = new Promise((resolve) => npm.once('close', resolve));
      process.kill(-(npm.pid as number));
      await gone;
    });
    await new Promise<void>((resolve, reject) => {
      for (const stream of [npm.stdout, npm.stderr]) {
        stream.on('data', (chunk: Buffer) => {
          printed += chunk;
          if (printed.includes('listening on') && printed.includes('exec -- kinit')) resolve();
        });
      }
      npm.once('exit', (code) => reject(new Error(`it ended with ${code}: ${printed}`)));
    });
  });

  it('prints where it listens', () => {
    expect(printed).toContain(`listening on 127.0.0.1`);
    expect(printed).toContain(`port ${env.CCAPI_PORT}`);
    expect(printed).toContain(`for uid ${uid}`);
  });

  it('prints what to type next, and that works in another terminal', async () => {
    const [, command] = /^ {2}(?:CCAPI_PORT=\d+ )?node (\S+) list/m.exec(printed) ?? [];
    expect(command).toBe(join(checkout, 'dist/ccapi.js'));
    const { stderr, code } = await run(process.execPath, [command as string, 'list'], { ...identity, env });
    expect({ stderr, code }).toEqual({
      stderr: 'ccapi: there is no ccache; kinit makes one, or ccapi import\n',
      code: 1,
    });
    const { stdout } = await ccapi(['path'], { ...identity, env });
    expect(stdout).toBe(`${env.XDG_RUNTIME_DIR}/ccapi/${uid}/S.ccapi\n`);
    expect((await ccapi(['list', '-A', '--json'], { ...identity, env })).stdout).toBe('[]\n');
  });
});

describe('the command where no launcher runs', () => {
  it('starts one of its own, which starts the worker; both commands find the same', async () => {
    const env = { ...loginEnvironment(), CCAPI_PORT: String(await freePort()) };
    const expected = `${env.XDG_RUNTIME_DIR}/ccapi/${uid}/S.ccapi\n`;
    expect(await ccapi(['path'], { ...identity, env })).toEqual({ code: 0, stdout: expected, stderr: '' });
    expect(await ccapi(['path'], { ...identity, env })).toEqual({ code: 0, stdout: expected, stderr: '' });
    expect(workersBelow(env.XDG_RUNTIME_DIR)).toHaveLength(1);
  });

  it('says what it has tried where it may not', async () => {
    const port = await freePort();
    const env = { ...loginEnvironment(), CCAPI_PORT: String(port), CCAPI_AUTOSTART: 'no' };
    const { code, stderr } = await ccapi(['path'], { ...identity, env });
    expect(code).toBe(1);
    expect(stderr.split('\n')).toEqual([
      `ccapi: no credential-cache server: launcher on port ${port}: nothing listens there`,
      'ccapi: ccapi doctor looks for the reason',
      '',
    ]);
  });

  it('only looks, and starts nothing, where there is nothing to list', async () => {
    const env = loginEnvironment();
    expect((await ccapi(['list', '-A', '--json'], { ...identity, env })).stdout).toBe('[]\n');
    expect(workersBelow(env.XDG_RUNTIME_DIR)).toEqual([]);
  });
});

describeWith(['root'], 'a user without a runtime directory', () => {
  const own = `/tmp/ccapi-${uid}`;
  const env = async () => ({ CCAPI_PORT: String(await freePort()) });
  afterEach(async () => {
    await endProgramsBelow(own);
    rmSync(own, { recursive: true, force: true });
  });

  it('has a place of their own in /tmp', async () => {
    expect((await ccapi(['path'], { ...identity, env: await env() })).stdout).toBe(`${own}/${uid}/S.ccapi\n`);
    expect([lstatSync(own).mode & 0o7777, lstatSync(own).uid]).toEqual([0o700, uid]);
  });

  it('is told where another user has taken that place, and nothing is put there', async () => {
    mkdirSync(own, { mode: 0o777 });
    const { code, stderr } = await ccapi(['path'], { ...identity, env: await env() });
    expect([code, stderr]).toEqual([1, expect.stringContaining(`${own} must belong to uid ${uid}`)]);
    expect(readdirSync(own)).toEqual([]);
  });
});
