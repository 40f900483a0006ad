// A user who fills a directory of their own, with bytes and with files: neither /run nor another user has less room.
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { eventually } from '../setup/cleanup.ts';
import { installed, type PrivateMachine, startPrivateMachine } from '../setup/private-machine.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith(['root', 'Linux', 'iproute2'], 'the space of users’ directories', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let machine: PrivateMachine;
  beforeEach(async () => {
    machine = await startPrivateMachine();
  });
  afterEach(() => machine.end());

  const startLauncher = (...args: string[]) =>
    machine.startNode(undefined, [installed.launcher, '--listen', '789', ...args]);
  const root = async (script: string) => (await machine.sh(undefined, script)).stdout.trim();
  const free = () => root('stat -f -c "%a %d" /run');
  const start = async (user: TestUser) => (await machine.ccapi(user, ['path'])).code;
  const owner = (path: string) => root(`stat -c '%u %a' ${path}`);

  it('is that of each user alone, however much one of them takes', async () => {
    const launcher = await startLauncher('--user-space=2m');
    expect(await start(bob)).toBe(0);
    const before = await free();
    const bobs = `/run/ccapi/${bob.uid}`;
    const filled = await machine.sh(bob, `cat /dev/zero > ${bobs}/large || echo full; stat -c %s ${bobs}/large`);
    expect(filled.stdout).toMatch(/^full\n(1|2)\d{6}\n$/);
    const files = `i=0; rm ${bobs}/large; while : 2>/dev/null > ${bobs}/f$i; do i=$((i+1)); done || :; ls ${bobs} | wc -l`;
    expect(Number((await machine.sh(bob, `exec 2>/dev/null; ${files}`)).stdout)).toBeLessThan(1100);
    expect(await free()).toBe(before);
    // One who was there before, and one who comes now.
    expect(await start(alice)).toBe(0);
    const alices = `/run/ccapi/${alice.uid}`;
    expect(
      (await machine.sh(alice, `head -c 500000 /dev/zero > ${alices}/file; stat -c %s ${alices}/file`)).stdout,
    ).toBe('500000\n');
    expect(await owner(`/run/ccapi/${alice.uid}`)).toBe(`${alice.uid} 700`);
    await launcher.end();
  });

  it('is mounted over a directory of root’s, also one that a killed launcher left, and once', async () => {
    const alices = `/run/ccapi/${alice.uid}`;
    await root(`install -d -m 755 /run/ccapi; install -d -m 700 ${alices}`);
    for (let time = 0; time < 2; time++) {
      const launcher = await startLauncher('--user-space=auto');
      expect(await start(alice)).toBe(0);
      expect((await machine.ccapi(alice, ['stop'])).code).toBe(0);
      await launcher.end();
    }
    expect(await root(`grep -c ' ${alices} .* - tmpfs ccapi' /proc/self/mountinfo`)).toBe('1');
    expect(await root(`umount ${alices}; stat -c '%u %a' ${alices}`)).toBe('0 700');
  });

  it('is that of the base alone, and not of where path_template leads', async () => {
    await root('install -d -m 755 /run/elsewhere');
    const launcher = await startLauncher('--user-space=auto', '--path-template=/run/elsewhere/%u');
    expect(await start(alice)).toBe(0);
    expect(await owner(`/run/elsewhere/${alice.uid}`)).toBe(`${alice.uid} 700`);
    expect(await root("grep ' - tmpfs ccapi' /proc/self/mountinfo || :")).toBe('');
    await launcher.end();
  });

  it('leaves a directory of root’s alone that holds something', async () => {
    const launcher = await startLauncher('--user-space=auto');
    const alices = `/run/ccapi/${alice.uid}`;
    await root(`install -d -m 755 /run/ccapi; install -d -m 700 ${alices}; echo kept > ${alices}/file`);
    const refused = await machine.ccapi(alice, ['path']);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(`${alices} is a directory of root and holds something: remove it`);
    expect(await root(`cat ${alices}/file`)).toBe('kept');
    await launcher.end();
  });

  it('is shared where nothing may be mounted, which the log says once', async () => {
    const launcher = await machine.startNode(undefined, [
      '-e',
      `require('node:child_process').spawn('/usr/bin/setpriv', ['--bounding-set=-sys_admin', '--inh-caps=-sys_admin',
        process.execPath, '${installed.launcher}', '--listen', '789', '--user-space=auto'], { stdio: ['ignore', 1, 1] })`,
    ]);
    expect([await start(alice), await start(bob)]).toEqual([0, 0]);
    expect(await owner(`/run/ccapi/${alice.uid}`)).toBe(`${alice.uid} 700`);
    expect(
      launcher.stdout().match(/user_space: EPERM: mount '.*'; uid \d+ shares the space of \/run\/ccapi/g),
    ).toHaveLength(1);
    await root('pkill -f [c]capi-launcher.js');
    await launcher.ended;
  });

  it('is asked of systemd alone where that starts the servers, for each user anew', async () => {
    // There is no systemd: what is asked for fails, and so do the servers.
    const launcher = await machine.startNode(undefined, [
      '-e',
      `require('node:child_process').spawn(process.execPath,
        ['${installed.launcher}', '--listen', '789', '--user-space=auto', '--by-units'], { stdio: ['ignore', 1, 1] })`,
    ]);
    for (const user of [alice, bob]) {
      expect(await start(user)).not.toBe(0);
      const told = `user_space: ccapi-space@${user.uid}.service could not be started`;
      await eventually(() => launcher.stdout().includes(told));
    }
    expect(await root("grep ' - tmpfs ccapi' /proc/self/mountinfo || :")).toBe('');
    await root('pkill -f [c]capi-launcher.js');
    await launcher.ended;
  });
});
