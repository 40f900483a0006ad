// With scope = session each login session of a user has tickets of its own, for the library and for stock programs.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { eventually, memory, processesOf, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { askWithoutMaker, type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { ccapi, type Outcome, programs, run, sendBytes } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

/** Begins a login session as a login does it, says its number, and has the user in it do what each line says. */
const LOGIN =
  'echo "$1" >/proc/self/loginuid && cat /proc/self/sessionid && echo && exec setpriv --reuid "$1" --regid "$2" --clear-groups sh';

describeWith(frontDoorRequirements, 'two login sessions of a user', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;
  let own: string;

  beforeAll(async () => {
    const base = `${temporaryDirectory(memory)}/run`;
    machine = await startFrontDoor(['alice', 'bob'], { base, settings: [' scope = session'] });
    own = `${base}/${alice.uid}`;
  });

  /** What a new login session prints that does these lines, and its number. */
  async function login(...lines: string[]): Promise<Outcome & { session: string }> {
    const { env, kdc } = machine;
    const script = lines.map((line) => `echo ${kdc.password} | { ${line}; }\n`).join('');
    const args = ['-c', LOGIN, 'login', String(alice.uid), String(alice.gid)];
    const outcome = await run('/bin/sh', args, { env, input: script });
    const [session = '', ...printed] = outcome.stdout.split('\n');
    return { ...outcome, stdout: printed.join('\n'), session };
  }
  const command = `${process.execPath} ${programs.ccapi}`;

  it('have tickets of their own by stock programs and by ours, in directories of their own', async () => {
    const first = await login('kinit alice', 'klist', `${command} list`, `${command} path`);
    const second = await login('kinit bob', 'klist -A', `${command} list -A`);
    for (const { stdout, stderr } of [first, second]) expect(stderr, stdout).toBe('');
    expect(first.stdout.match(/Default principal: \S+/g)).toEqual(
      Array(2).fill('Default principal: alice@TEST.EXAMPLE'),
    );
    expect(first.stdout).toContain(`${own}/s.${first.session}/S.ccapi`);
    expect(second.stdout.match(/Default principal: \S+/g)).toEqual(
      Array(2).fill('Default principal: bob@TEST.EXAMPLE'),
    );
    expect(first.session).not.toBe(second.session);
    expect(readdirSync(own).sort()).toEqual([first, second].map(({ session }) => `s.${session}`).sort());
    for (const name of readdirSync(own)) expect(statSync(`${own}/${name}`).mode & 0o777).toBe(0o700);
    expect(workersBelow(machine.base)).toHaveLength(2);
  });

  it('know of each other, and which is which', async () => {
    const { stdout, stderr, session } = await login('kinit alice', `${command} list --sessions --json`);
    expect(stderr).toBe('');
    const listed = JSON.parse(stdout.slice(stdout.indexOf('[')));
    expect(listed).toHaveLength(3);
    expect(listed.filter(({ current }: { current: boolean }) => current)).toMatchObject([
      { session, ccaches: [{ principal: 'alice@TEST.EXAMPLE' }] },
    ]);
    const text = await login(`${command} list --sessions`);
    expect(text.stdout).toMatch(new RegExp(`^Session ${session}\n {2}KCM:\\S+ {2}alice@TEST.EXAMPLE$`, 'm'));
    // That it looked at them has made none of its own.
    expect(existsSync(`${own}/s.${text.session}`)).toBe(false);
  });

  it('are told from each other by the kernel, where a program names its uid alone at the front door', async () => {
    const ask = `require('node:net').connect('${machine.door}').on('data', (line) => process.stdout.write(line)).write('${alice.uid}\\n')`;
    const { stdout, session } = await login(`${process.execPath} -e "${ask}"`);
    expect(stdout).toBe(`${own}/s.${session}/S.ccapi\n`);
  });

  it('are not guessed: a connection of a process that has ended is closed without an answer', async () => {
    expect(await askWithoutMaker(machine.door, alice)).toBe('');
  });

  it('end: their tickets go, their server leaves, and nothing of them stays', async () => {
    const { session } = await login('kinit alice', `${command} destroy --session`);
    await eventually(() => !existsSync(`${own}/s.${session}`));
    const { session: other } = await login('kinit alice');
    const [worker] = processesOf('ccapi-server.js', `--session=${other}`);
    expect(worker).toBeDefined();
    expect((await login(`${command} destroy --session ${other}`)).stderr).toBe('');
    await eventually(() => processesOf('ccapi-server.js', `--session=${other}`).length === 0);
    expect(readdirSync(own)).not.toContain(`s.${other}`);
  });

  it('end also where their server was killed, and take no name that is none', async () => {
    const { session } = await login('kinit alice', 'kdestroy');
    for (const pid of processesOf('ccapi-server.js', `--session=${session}`)) process.kill(pid, 'SIGKILL');
    await eventually(() => processesOf('ccapi-server.js', `--session=${session}`).length === 0);
    expect(existsSync(`${own}/s.${session}`)).toBe(true);
    expect((await login(`${command} destroy --session ${session}`)).stderr).toBe('');
    await eventually(() => !existsSync(`${own}/s.${session}`));
    expect((await login(`${command} destroy --session ../..`)).stderr).toBe(
      'ccapi: "../.." is no name of a login session\n',
    );
  });

  it('are named by the login where it names them', async () => {
    const { stdout } = await login(`XDG_SESSION_ID=c1 ${command} path`, `XDG_SESSION_ID=../../etc ${command} path`);
    const [named, unnamed] = stdout.trim().split('\n');
    expect(named).toBe(`${own}/s.c1/S.ccapi`);
    expect(unnamed).toMatch(new RegExp(`^${own}/s\\.\\d+/S\\.ccapi$`));
  });

  describe('the launcher', () => {
    const ask = (line: string) => sendBytes({ host: '127.0.0.1', port: Number(machine.env.CCAPI_PORT) }, `${line}\n`);

    it('takes a name that is one, and takes session 0 where none is named', async () => {
      expect(await ask(`CCAPI/1 uid=${bob.uid} session=c2`)).toBe(
        `CCAPI/1 ok path=${machine.base}/${bob.uid}/s.c2/S.ccapi\n`,
      );
      expect(await ask(`CCAPI/1 uid=${bob.uid}`)).toBe(`CCAPI/1 ok path=${machine.base}/${bob.uid}/s.0/S.ccapi\n`);
    });

    it.each(['../1', 'a/b', '.', '', 'x'.repeat(33), '-x', 'a b', 'ü'])('refuses %j', async (name) => {
      expect(await ask(`CCAPI/1 uid=${bob.uid} session=${name}`)).toMatch(/^CCAPI\/1 error code=(session|syntax)/);
    });
  });

  it('has no effect where all sessions share: the name is ignored', async () => {
    const { env } = machine;
    const shared = { ...env, CCAPI_SCOPE: 'user', CCAPI_AUTOSTART: 'yes', CCAPI_PORT: '1', XDG_SESSION_ID: 'c1' };
    const base = `${temporaryDirectory()}/run`;
    const { stdout } = await ccapi(['path'], { env: { ...shared, CCAPI_DIRECTORY: base } });
    expect(stdout).toBe(`${base}/${process.getuid?.()}/S.ccapi\n`);
  });
});
