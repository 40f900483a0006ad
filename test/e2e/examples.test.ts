// The clients of etc/share/examples with the real launcher and worker, beside our own command and stock klist.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { hex } from '../proto/vectors/file-ccache.json' with { type: 'json' };
import { afterwards, end, eventually, temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, type Outcome, run, startLauncher, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

const examples = join(import.meta.dirname, '../../etc/share/examples');

describeWith(['Linux', 'gcc', 'libc6-dev', 'python3', 'krb5-user'], 'clients in other languages', () => {
  // As root an ordinary user runs them, and root's launcher has made the directory.
  const [user] = inject('users');
  const identity = user ? { uid: user.uid, gid: user.gid } : {};
  const uid = user?.uid ?? process.getuid?.();
  const programs: Record<string, string[]> = {};
  let base: string;
  let port: number;
  let socket: string;
  const env = () => ({ CCAPI_PORT: String(port), CCAPI_DIRECTORY: base });
  const example = (language: string, ...args: string[]): Promise<Outcome> => {
    const [program, ...first] = programs[language] as [string, ...string[]];
    return run(program, [...first, ...args], { ...identity, env: env() });
  };

  beforeAll(async () => {
    const directory = temporaryDirectory();
    copyFileSync(`${examples}/ccapi-client.py`, `${directory}/ccapi-client.py`);
    const flags = ['-std=c99', '-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Werror', '-O1'];
    const checks = ['-fsanitize=undefined', '-fno-sanitize-recover'];
    await succeed('/usr/bin/gcc', [
      ...flags,
      ...checks,
      '-o',
      `${directory}/ccapi-client`,
      `${examples}/ccapi-client.c`,
    ]);
    chmodSync(`${directory}/ccapi-client`, 0o755);
    programs.Python = ['/usr/bin/python3', `${directory}/ccapi-client.py`];
    programs.C = [`${directory}/ccapi-client`];
    base = `${temporaryDirectory()}/run`;
    ({ port } = await startLauncher(['--directory', base, '--persist', 'always']));
    socket = `${base}/${uid}/S.ccapi`;
  });

  it('print how they are used, and are as short as they can be read', async () => {
    for (const language of Object.keys(programs)) {
      const { code, stderr } = await example(language, 'frobnicate');
      expect([code, stderr]).toEqual([1, expect.stringContaining('store CCACHE PRINCIPAL SERVICE')]);
    }
    const lines = (name: string) => readFileSync(`${examples}/${name}`, 'utf8').split('\n').length;
    expect(lines('ccapi-client.py')).toBeLessThan(120);
    expect(lines('ccapi-client.c')).toBeLessThan(300);
  });

  it.each(['Python', 'C'])('%s: stores through the launcher, and both list it as ccapi list does', async (language) => {
    const service = `host/${language.toLowerCase()}.example@R`;
    for (let times = 0; times < 2; times++)
      expect(await example(language, 'store', `by ${language}`, 'alicé@R', service)).toEqual({
        code: 0,
        stdout: '',
        stderr: '',
      });
    const ours = JSON.parse((await ccapi(['list', '-A', '--json'], { ...identity, env: env() })).stdout);
    const expected = ours.map(listing).join('');
    expect(expected).toContain(`by ${language}: alicé@R\n  ${service} until `);
    for (const args of [['list'], ['-s', socket, 'list']]) {
      expect(await example('Python', ...args)).toEqual({ code: 0, stdout: expected, stderr: '' });
      expect(await example('C', ...args)).toEqual({ code: 0, stdout: expected, stderr: '' });
    }
  });

  it('have stored what stock klist reads, for an hour', async () => {
    const stock = await succeed('/usr/bin/klist', ['-A', '-c', `DIR:${base}/${uid}/caches`], identity);
    expect(stock).toContain('Default principal: alic');
    for (const language of ['python', 'c']) expect(stock).toContain(`host/${language}.example@R`);
    const [ccache] = JSON.parse((await ccapi(['list', '-A', '--json'], { ...identity, env: env() })).stdout);
    const [{ starttime, endtime }] = ccache.credentials;
    expect(seconds(endtime) - seconds(starttime)).toBe(3600);
  });

  it('pass over configuration entries, and know times beyond 2038', async () => {
    const file = join(temporaryDirectory(), 'ccache');
    writeFileSync(file, Buffer.from(hex, 'hex'));
    expect((await ccapi(['import', `FILE:${file}`], { ...identity, env: env() })).code).toBe(0);
    for (const language of Object.keys(programs)) {
      const { stdout } = await example(language, 'list');
      expect(stdout).toContain('a@EX\n  krbtgt/EX@EX until 2096-10-02T07:06:40Z\n');
      expect(stdout).not.toContain('X-CACHECONF');
    }
  });

  it.each([
    ['Python', 'C'],
    ['C', 'Python'],
  ])('%s waits for a change that %s makes', async (waiting, changing) => {
    const [program, ...args] = programs[waiting] as [string, ...string[]];
    const before = await waits();
    const child: ChildProcess = spawn(program, [...args, 'wait'], { ...identity, env: cleanEnvironment(env()) });
    afterwards(() => end(child));
    let printed = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk;
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await eventually(async () => (await waits()) > before);
    expect(printed).toBe('');
    expect((await example(changing, 'store', 'waited for', 'alice@R', 'host/a@R')).code).toBe(0);
    expect(await ended).toBe(0);
    expect(printed).toMatch(/^changed [1-9]\d*\n$/);
  });

  it.each(['Python', 'C'])('%s refuses a directory that is not safe', async (language) => {
    const place = temporaryDirectory();
    const own = `${place}/own`;
    mkdirSync(own, { mode: 0o755 });
    symlinkSync(`${base}/${uid}`, `${place}/link`);
    chmodSync(own, 0o755);
    const refusals = [
      [`${place}/link/S.ccapi`, 'symbolic link'],
      [`${own}/S.ccapi`, 'with mode 700'],
    ];
    for (const [path, why] of refusals) {
      const { code, stderr } = await example(language, '-s', path as string, 'list');
      expect([code, stderr]).toEqual([1, expect.stringContaining(why as string)]);
    }
    mkdirSync(`${place}/open`);
    chmodSync(`${place}/open`, 0o777);
    mkdirSync(`${place}/open/own`, { mode: 0o700 });
    const { code, stderr } = await example(language, '-s', `${place}/open/own/S.ccapi`, 'list');
    expect([code, stderr]).toEqual([1, expect.stringContaining(`${place}/open`)]);
  });

  it.each(['Python', 'C'])('%s says why the launcher refuses', async (language) => {
    const { launcher, port: refusing } = await startLauncher([
      '--directory',
      `${temporaryDirectory()}/run`,
      '--deny',
      String(uid),
    ]);
    const [program, ...args] = programs[language] as [string, ...string[]];
    const refused = await run(program, [...args, 'list'], { ...identity, env: { CCAPI_PORT: String(refusing) } });
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('CCAPI/1 error code=denied message=')]);
    await end(launcher);
  });

  /** How many requests to wait the worker has had, by its own account. */
  async function waits(): Promise<number> {
    const status = JSON.parse((await ccapi(['status', '--json'], { ...identity, env: env() })).stdout);
    return status.requests.contextWaitForChange ?? 0;
  }
});

interface Listed {
  name: string;
  principal: string;
  credentials: { server: string; endtime: string | number; starttime: string | number }[];
}

/** What our own command says of a ccache, as the examples print it. */
function listing({ name, principal, credentials }: Listed): string {
  const tickets = credentials.filter(({ server }) => !server.endsWith('@X-CACHECONF:'));
  const lines = tickets.map(
    ({ server, endtime }) => `  ${server} until ${new Date(seconds(endtime) * 1000).toISOString().slice(0, 19)}Z\n`,
  );
  return `${name}: ${principal}\n${lines.join('')}`;
}

function seconds(time: string | number): number {
  return typeof time === 'number' ? time : Date.parse(time) / 1000;
}
