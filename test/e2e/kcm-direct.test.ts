// The stock MIT programs where no front door is: led to the worker's own socket by ccapi env and ccapi exec.
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { end, eventually, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { ccapi, cleanEnvironment, type Outcome, programs, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

describeWith(['krb5-kdc', 'krb5-admin-server', 'krb5-user'], 'stock MIT programs on the socket of a worker', () => {
  const [user] = inject('users');
  const identity = user ? { uid: user.uid, gid: user.gid } : {};
  const uid = user?.uid ?? process.getuid?.();
  let kdc: Kdc;
  let env: NodeJS.ProcessEnv;

  const mit = (program: string, ...args: string[]): Promise<Outcome> =>
    run(`/usr/bin/${program}`, args, { ...identity, env, input: `${kdc.password}\n` });
  const ours = (...args: string[]) => ccapi(args, { ...identity, env });
  const kinit = (...args: string[]) => mit('kinit', ...args);

  beforeAll(async () => {
    kdc = await startKdc(['alice', 'bob', 'host/a.test.example', 'host/b.test.example']);
    const home = join(temporaryDirectory(), 'home');
    mkdirSync(home, { mode: 0o700 });
    if (user) chownSync(home, user.uid, user.gid);
    env = { XDG_RUNTIME_DIR: home, KRB5_CONFIG: kdc.krb5Conf, CCAPI_PORT: '1', KRB5CCNAME: 'FILE:/nonexistent' };
    // As in a shell: eval "$(ccapi env)"; printenv KRB5_CONFIG.
    const commands = (await ours('env', '-s')).stdout;
    env.KRB5_CONFIG = (
      await run('/bin/sh', ['-c', `${commands} echo "$KRB5_CONFIG\${KRB5CCNAME-}"`], { ...identity, env })
    ).stdout.trimEnd();
    delete env.KRB5CCNAME;
  });

  it('kinit, klist and kvno work, the second kvno without the KDC', async () => {
    expect(await mit('klist')).toMatchObject({
      code: 1,
      stderr: `klist: Credentials cache 'KCM:${uid}' not found\n`,
    });
    expect((await kinit('-r', '2d', 'alice')).code).toBe(0);
    expect((await mit('klist')).stdout).toMatch(
      new RegExp(`Ticket cache: KCM:${uid}\nDefault principal: alice@TEST.EXAMPLE`),
    );
    expect((await mit('kvno', 'host/a.test.example')).stdout).toContain('kvno = 1');
    expect((await mit('kvno', '--cached-only', 'host/a.test.example')).code).toBe(0);
    expect((await mit('kvno', '--cached-only', 'host/b.test.example')).code).toBe(1);
    expect((await mit('klist', '-s')).code).toBe(0);
  });

  it('what they store, the CCAPI lists; what the CCAPI takes in, they use', async () => {
    const [cache] = JSON.parse((await ours('list', '--json')).stdout);
    expect([cache.name, cache.principal]).toEqual([String(uid), 'alice@TEST.EXAMPLE']);
    expect(cache.credentials.map(({ server }: { server: string }) => server)).toEqual([
      'krbtgt/TEST.EXAMPLE@TEST.EXAMPLE',
      'host/a.test.example@TEST.EXAMPLE',
    ]);
    const file = `FILE:${env.XDG_RUNTIME_DIR}/bob`;
    expect((await kinit('-c', file, 'bob')).code).toBe(0);
    expect((await ours('import', '-c', 'bobs', file)).code).toBe(0);
    expect((await mit('klist', '-c', 'KCM:bobs')).stdout).toContain('Default principal: bob@TEST.EXAMPLE');
    expect((await mit('kvno', '-c', 'KCM:bobs', 'host/b.test.example')).stdout).toContain('kvno = 1');
  });

  it('a file that comes out through the CCAPI is the one that kinit writes, byte for byte', async () => {
    const direct = `${env.XDG_RUNTIME_DIR}/direct`;
    const through = `${env.XDG_RUNTIME_DIR}/through`;
    await kinit('-c', `FILE:${direct}`, 'bob');
    await kinit('-c', 'KCM:copy', 'bob');
    await mit('kvno', '-c', 'KCM:copy', '-q', 'host/a.test.example');
    await ours('export', '-c', 'copy', `FILE:${through}`);
    // The keys differ, the shape does not: the header, the principal and all name types are the same bytes.
    expect(readFileSync(through).subarray(0, 100)).toEqual(readFileSync(direct).subarray(0, 100));
    await ours('import', '-c', 'copy', `FILE:${through}`);
    await ours('export', '-c', 'copy', `FILE:${through}2`);
    expect(readFileSync(`${through}2`).equals(readFileSync(through))).toBe(true);
    expect((await mit('kdestroy', '-c', 'KCM:copy')).code).toBe(0);
  });

  it.each(['a b', 'a;b#c', 'a=b;c', 'a\\;b', 'a = "b"\\n', "'a'", 'é*'])(
    'read the path of a socket as it was written for them: %s',
    async (name) => {
      const own = { ...env, KRB5_CONFIG: kdc.krb5Conf, CCAPI_DIRECTORY: `${env.XDG_RUNTIME_DIR}/${name}` };
      const options = { ...identity, env: own, input: `${kdc.password}\n` };
      expect(await ccapi(['exec', '--', 'kinit', 'alice'], options)).toMatchObject({ code: 0, stderr: '' });
      expect((await ccapi(['exec', '--', 'klist'], options)).stdout).toContain('Default principal: alice@TEST.EXAMPLE');
      expect((await ccapi(['list', '--json'], options)).stdout).toContain('alice@TEST.EXAMPLE');
    },
  );

  describe('ccapi exec', () => {
    const first = () => ({ ...identity, env: { ...env, KRB5_CONFIG: kdc.krb5Conf, KRB5CCNAME: 'FILE:/nonexistent' } });
    const exec = (...args: string[]) => ccapi(['exec', ...args], { ...first(), input: `${kdc.password}\n` });

    it('runs a program so that its tickets are there, whatever KRB5CCNAME says', async () => {
      expect((await exec('--', 'kinit', '-c', 'KCM:executed', 'bob')).code).toBe(0);
      expect((await exec('klist', '-c', 'KCM:executed')).stdout).toContain('Default principal: bob@TEST.EXAMPLE');
      expect((await mit('kdestroy', '-c', 'KCM:executed')).code).toBe(0);
    });

    it('within itself changes nothing more', async () => {
      const { stdout } = await exec(process.execPath, programs.ccapi, 'exec', '--', 'printenv', 'KRB5_CONFIG');
      expect(stdout).toBe(`${env.KRB5_CONFIG}\n`);
    });

    it('ends as the program does', async () => {
      expect((await exec('--', 'sh', '-c', 'exit 7')).code).toBe(7);
      expect((await exec('--', 'sh', '-c', 'kill -TERM $$')).code).toBe(128 + 15);
      expect(await exec('no-such-program')).toEqual({
        code: 127,
        stdout: '',
        stderr: expect.stringContaining('no such'),
      });
      expect((await exec('/')).code).toBe(126);
      expect((await exec()).code).toBe(2);
    });

    it('keeps a server there while the program runs, and has another started where one is ended', async () => {
      const base = `${env.XDG_RUNTIME_DIR}/ccapi`;
      const child = start(process.execPath, [programs.ccapi, 'exec', '--', 'sh', '-c', 'echo up; exec sleep 1000'], {
        ...identity,
        env: cleanEnvironment(first().env),
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await new Promise((resolve) => child.stdout?.once('data', resolve));
      const [worker] = workersBelow(base);
      process.kill(worker as number, 'SIGKILL');
      await eventually(() => workersBelow(base).some((pid) => pid !== worker));
      await end(child);
    });
  });

  describe('the collection', () => {
    const primary = async () => /Default principal: (\S+)@/.exec((await mit('klist')).stdout)?.[1];

    it('has a ccache of its own for a second principal, which becomes the primary', async () => {
      expect((await mit('kdestroy', '-A')).code).toBe(0);
      expect((await kinit('alice')).code).toBe(0);
      expect((await kinit('bob')).code).toBe(0);
      expect(await primary()).toBe('bob');
      expect((await mit('klist', '-l')).stdout).toMatch(/bob@TEST.EXAMPLE +KCM:\d+:\d+\nalice@TEST.EXAMPLE +KCM:\d+\n/);
      expect((await mit('klist', '-A')).stdout.match(/Ticket cache/g)).toHaveLength(2);
    });

    it('is switched by kswitch and by ccapi switch alike', async () => {
      expect((await mit('kswitch', '-p', 'alice')).code).toBe(0);
      expect(await primary()).toBe('alice');
      expect((await ours('switch', '-p', 'bob@TEST.EXAMPLE')).code).toBe(0);
      expect(await primary()).toBe('bob');
    });

    it('keeps its primary through a renewal, and refreshes the ccache that belongs to a principal', async () => {
      expect((await kinit('-r', '2d', 'alice')).code).toBe(0);
      expect((await kinit('-R')).code).toBe(0);
      expect(await primary()).toBe('alice');
      expect(JSON.parse((await ours('list', '-A', '--json')).stdout)).toHaveLength(2);
    });

    it('falls back to the next ccache when the primary is destroyed', async () => {
      expect((await mit('kdestroy')).code).toBe(0);
      expect(await primary()).toBe('bob');
      expect((await mit('kdestroy', '-A')).stderr).toBe('');
      expect(await primary()).toBeUndefined();
      expect(await mit('kdestroy')).toMatchObject({ code: 0 });
      expect((await ours('list', '-A', '--json')).stdout).toBe('[]\n');
    });

    it('makes the primary what was chosen before it was there', async () => {
      await kinit('alice');
      expect((await mit('kswitch', '-c', 'KCM:later')).code).toBe(0);
      expect((await kinit('-c', 'KCM:later', 'bob')).code).toBe(0);
      expect(await primary()).toBe('bob');
    });
  });
});
