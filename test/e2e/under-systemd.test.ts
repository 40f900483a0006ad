// systemd itself, as the first process of a machine, with our units as they are printed and hardened.
import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { eventually, temporaryDirectory } from '../setup/cleanup.ts';
import { unpackedPrograms } from '../setup/debian-packages.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { programs, run } from '../setup/programs.ts';
import { displaysOf } from '../setup/readme.ts';
import { describeWith } from '../setup/requirements.ts';
import { printedUnits, type SystemdMachine, startSystemd, there } from '../setup/systemd.ts';
import type { TestUser } from '../setup/test-users.ts';

const needs = ['root', 'Linux', 'systemd', 'krb5-kdc', 'krb5-admin-server', 'krb5-user', 'netcat-openbsd'] as const;

const liveView = ' default_cc_name = FILE:/run/ccapi/%{uid}/krb5cc';

/** Where Heimdal's kinit notes how it was called. */
const RENEWED = '/run/renewed';

describeWith([...needs, 'heimdal', 'iproute2'], 'under systemd', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let kdc: Kdc;
  let machine: SystemdMachine;

  /** What a line prints, which has to succeed. */
  const typed = async (line: string, user?: TestUser, env: NodeJS.ProcessEnv = {}) => {
    const identity = user ? { uid: user.uid } : {};
    const { code, stdout, stderr } = await machine.run(line, { ...identity, env });
    expect(code, `${line}: ${stdout}${stderr}`).toBe(0);
    return stdout;
  };
  const property = async (name: string) => (await typed(`systemctl show --value -p ${name} ccapi.service`)).trim();
  const kinit = (options: string) => `echo '${kdc.password}' | kinit ${options}`;
  const ccapi = `${process.execPath} ${programs.ccapi}`;
  const workerOf = async ({ uid }: TestUser) => (await typed(`pgrep -u ${uid} -f ccapi-server.js`)).trim();
  const write = (path: string, content: string) =>
    typed(`mkdir -p $(dirname ${path}) && cat > ${path} <<'END'\n${content}\nEND`);

  beforeAll(async () => {
    kdc = await startKdc(['alice', 'bob', 'host/a.test.example']);
    machine = await startSystemd(kdc);
    for (const { path, content } of await printedUnits()) {
      if (path.startsWith('/etc/')) await write(path, there(content));
    }
    const settings = [
      '[libdefaults]',
      ' default_ccache_name = KCM:',
      liveView,
      '[ccapi]',
      ' launcher_idle = 3s',
      ' renew = yes',
    ];
    settings.push(' alone_timeout = 10m');
    await write('/run/settings', settings.join('\n'));
    await typed('cat /run/settings >> /etc/krb5.conf');
    await typed('systemctl daemon-reload && systemctl enable --now ccapi.socket');
  });

  it('nothing runs before the first request', async () => {
    expect(await property('ActiveState')).toBe('inactive');
    expect(await typed('pgrep -cf [c]capi- || :')).toBe('0\n');
  });

  it('stock programs find their server by the front door, ours by the port, and each user only their own', async () => {
    await typed(kinit('alice'), alice);
    await typed('kvno host/a.test.example', alice);
    expect(await typed('klist', alice)).toContain('Default principal: alice@TEST.EXAMPLE');
    expect(await typed(`echo ${alice.uid} | nc 127.0.0.1 789`, alice)).toBe(`/run/ccapi/${alice.uid}/S.ccapi\n`);
    expect(await typed(`${ccapi} list`, alice)).toContain('host/a.test.example@TEST.EXAMPLE');
    expect((await machine.run('klist', { uid: bob.uid })).code).toBe(1);
  });

  it('the doctor finds nothing wrong', async () => {
    const found = await typed(`${ccapi} doctor`, alice);
    expect(found).not.toContain('WRONG');
    expect(found).not.toContain('space:');
  });

  it('each user’s directory is a bounded file system of its own, which no other user fills', async () => {
    await typed(`echo ${bob.uid} | nc 127.0.0.1 789`, bob);
    for (const { uid } of [alice, bob]) {
      const mounted = await typed(`grep ' /run/ccapi/${uid} ' /proc/self/mountinfo`);
      expect(mounted).toMatch(/ rw,nosuid,nodev,noexec,.* - tmpfs ccapi rw,size=\d+k,nr_inodes=8192,mode=700,uid=/);
    }
    const free = () => typed(`stat -f -c %a /run /run/ccapi/${bob.uid}`);
    const before = await free();
    const ofAlice = `/run/ccapi/${alice.uid}`;
    expect(await typed(`cat /dev/zero > ${ofAlice}/large || echo full`, alice)).toBe('full\n');
    expect(await free()).toBe(before);
    await typed(`rm ${ofAlice}/large`, alice);
  });

  it('in a user namespace stock programs and ours come by the front door', async () => {
    await typed(kinit('alice'), alice);
    for (const line of ['klist', `${ccapi} list`, `${ccapi} status`]) {
      await typed(`unshare -U -r ${line}`, alice);
    }
    expect(await typed(`unshare -U -r ${ccapi} list`, alice)).toContain('alice@TEST.EXAMPLE');
    const doctor = await machine.run(`unshare -U -r ${ccapi} doctor`, { uid: alice.uid });
    expect(doctor.stdout).toContain(`user namespace: uid 0 here is not that outside (the first is ${alice.uid} there)`);
    expect(doctor.stdout).not.toContain('WRONG');
  });

  it('the journal has who was turned away, as a warning under our name', async () => {
    expect(await typed(`echo ${alice.uid} | nc 127.0.0.1 789`, bob)).toContain('may not ask for');
    const entry = new RegExp(`uid ${bob.uid}\\b.*not-yours`);
    const warnings = () => typed('journalctl -u ccapi -t ccapi-launcher -p warning -o cat || :');
    await eventually(async () => entry.test(await warnings()));
  });

  it('launcher and server can do no more than the unit lets them', async () => {
    await typed(kinit('alice'), alice);
    await typed(`echo ${alice.uid} | nc 127.0.0.1 789`, alice);
    const launcher = await property('MainPID');
    const worker = await workerOf(alice);
    for (const pid of [launcher, worker]) {
      expect(await typed(`cat /proc/${pid}/status`)).toMatch(/^NoNewPrivs:\t1\nSeccomp:\t2$/m);
    }
    const bounds = /^CapBnd:\t(\w+)$/m.exec(await typed(`cat /proc/${launcher}/status`))?.[1];
    // CHOWN, SETGID, SETUID.
    expect(Number.parseInt(bounds as string, 16)).toBe((1 << 0) | (1 << 6) | (1 << 7));
    expect(await typed(`cat /proc/${worker}/status`)).toMatch(/^CapPrm:\t0+\nCapEff:\t0+$/m);
    expect(await typed(`cat /proc/${worker}/status`)).toMatch(/^Groups:\t *$/m);
  });

  it('each server is in a unit of its own, with limits of its own, which only root can have started', async () => {
    const [unit] = (await typed(`ps -o unit= -p ${await workerOf(alice)}`)).split('\n');
    expect(unit).toMatch(/^ccapi-server@.*\.service/);
    expect(await typed(`systemctl show --value -p TasksMax '${unit?.trim()}'`)).toBe('64\n');
    // And of all together.
    for (const one of [unit?.trim(), 'ccapi.service']) {
      expect(await typed(`systemctl show --value -p Slice '${one}'`)).toBe('ccapi.slice\n');
    }
    expect(await typed('systemctl show --value -p TasksMax ccapi.slice')).toBe('16384\n');
    expect(await typed('systemctl show --value -p MemoryMax ccapi.slice')).toMatch(/^\d+\n$/);
    expect((await machine.run('nc -U /run/ccapi-server.socket < /dev/null', { uid: alice.uid })).code).toBe(1);
    const listed = JSON.parse(await typed(`${ccapi} status --all-users --json`));
    expect(listed).toContainEqual(
      expect.objectContaining({ uid: alice.uid, status: expect.objectContaining({ ccaches: 1 }) }),
    );
  });

  it('is no more exposed than systemd’s own judge lets pass', async () => {
    for (const name of ['ccapi.service', 'ccapi-server@.service']) {
      const judge = ['security', '--offline=true', '--no-pager', await writtenUnit(name)];
      const { stdout } = await run('/usr/bin/systemd-analyze', judge);
      expect(Number(/Overall exposure level for ccapi\S*: ([\d.]+)/.exec(stdout)?.[1]), name).toBeLessThanOrEqual(2);
    }
  });

  it('a launcher that stands still is started again', async () => {
    await typed(`mkdir -p /etc/systemd/system/ccapi.service.d`);
    await write('/etc/systemd/system/ccapi.service.d/short.conf', '[Service]\nWatchdogSec=1');
    await typed('systemctl daemon-reload; systemctl stop ccapi.service');
    await typed('klist', alice);
    const launcher = await property('MainPID');
    await typed(`kill -STOP ${launcher}`);
    await eventually(async () => (await property('MainPID')) !== launcher);
    expect(await typed('klist', alice)).toContain('alice@TEST.EXAMPLE');
    expect(await typed('journalctl -u ccapi -o cat')).toContain('Watchdog timeout');
    await typed('rm -r /etc/systemd/system/ccapi.service.d; systemctl daemon-reload');
  });

  it('a server stays when the launcher leaves or is stopped, and the next launcher finds it', async () => {
    await typed(kinit('alice'), alice);
    const worker = await workerOf(alice);
    await eventually(async () => (await property('ActiveState')) === 'inactive');
    expect(await typed('klist', alice)).toContain('alice@TEST.EXAMPLE');
    expect(await property('ActiveState')).toBe('active');
    await typed('systemctl stop ccapi.service');
    expect(await typed('klist', alice)).toContain('alice@TEST.EXAMPLE');
    expect(await workerOf(alice)).toBe(worker);
    expect(await typed('journalctl -o cat')).not.toMatch(/left-over process|ccapi-server.*Failed/);
  });

  it('users who have a directory from before the units keep it, and are served', async () => {
    const file = `/run/ccapi/${bob.uid}/from-before`;
    await typed(`systemctl stop ccapi.socket ccapi.service; pkill -f [c]capi-server.js; :`);
    await eventually(async () => (await machine.run('pgrep -f [c]capi-server.js')).code === 1);
    await typed(`umount /run/ccapi/${bob.uid}; install -o ${bob.uid} -m 600 /dev/null ${file}`);
    await typed(`chown ${bob.uid} /run/ccapi/${bob.uid}; systemctl start ccapi.socket`);
    await typed(kinit('bob'), bob);
    expect(await typed(`ls ${file}`, bob)).toBe(`${file}\n`);
    expect(await typed(`grep -c ' /run/ccapi/${bob.uid} ' /proc/self/mountinfo || :`)).toBe('0\n');
    expect(await typed('klist', bob)).toContain('bob@TEST.EXAMPLE');
  });

  it('where a mount would not reach the launcher, users share the space, and the log says so', async () => {
    const stop = `pkill -u ${bob.uid} -f [c]capi-server.js; rm -rf /run/ccapi/${bob.uid}`;
    await typed(`systemctl stop ccapi.service; ${stop}; mount --make-private /run`);
    await typed(kinit('bob'), bob);
    expect(await typed('klist', bob)).toContain('bob@TEST.EXAMPLE');
    expect(await typed('journalctl -u ccapi -o cat')).toMatch(
      new RegExp(
        `user_space: ccapi-space@${bob.uid}.service could not be started; .*; uid ${bob.uid} shares the space`,
      ),
    );
    expect(await typed(`journalctl -u ccapi-space@${bob.uid} -o cat`)).toContain('mounts are not shared here');
    await typed('mount --make-shared /run; systemctl stop ccapi.service');
  });

  it('a first request is refused with the line to type where the unit of the servers is stopped', async () => {
    await typed(`systemctl stop ccapi.service ccapi-server.socket; pkill -u ${bob.uid} -f [c]capi-server.js; :`);
    await eventually(async () => (await machine.run(`pgrep -u ${bob.uid} -f [c]capi-server.js`)).code === 1);
    await typed(
      'systemctl mask --runtime ccapi-server.socket; sed -i s/ccapi-server.socket// /etc/systemd/system/ccapi.service',
    );
    await typed('systemctl daemon-reload');
    expect(await typed(`echo ${bob.uid} | nc 127.0.0.1 789`, bob)).toContain('systemctl start ccapi-server.socket');
    await typed('systemctl unmask --runtime ccapi-server.socket; systemctl start ccapi-server.socket');
    expect(await typed('klist', bob)).toContain('bob@TEST.EXAMPLE');
  });

  describe('tickets are renewed there too', () => {
    // For a moment of a renewal there is no ticket.
    const expires = async () => JSON.parse(await typed(`${ccapi} list --json`, alice))[0].credentials[0]?.endtime ?? 0;

    const isRenewed = async () => {
      const before = await eventually(expires);
      await eventually(async () => (await expires()) > before);
    };

    it("by MIT's kinit", async () => {
      await typed(kinit('-l 6s -r 1h alice'), alice);
      await isRenewed();
    });

    it("by Heimdal's", async () => {
      await typed(kinit('-l 6s -r 1h alice'), alice);
      await typed(`cp /usr/bin/kinit /run/mit && touch ${RENEWED} && chmod 666 ${RENEWED}`);
      await write('/usr/bin/kinit', there(heimdalKinit()));
      await isRenewed();
      await typed('cat /run/mit > /usr/bin/kinit');
      expect(await typed(`cat ${RENEWED}`)).toMatch(/^-R -c KCM:/);
    });
  });

  it('the file of a login is taken in, and goes with its ccache', async () => {
    const [, lines = []] = displaysOf('ccapi-launcher.8', 'LOGINS');
    expect(lines).toHaveLength(3);
    const launcher = there(`${process.execPath} ${programs.launcher}`);
    for (const line of lines) await typed(line.replace(/^ccapi-launcher/, launcher));
    await typed('systemctl stop ccapi.service; pkill -f [c]capi-server.js; :');
    await eventually(async () => (await machine.run('pgrep -f [c]capi-server.js')).code === 1);
    const file = `/tmp/krb5cc_${alice.uid}_login`;
    await typed(kinit(`-c FILE:${file} alice`), alice);
    expect(await typed(`klist -c KCM:FILE:${file}`, alice)).toContain('Default principal: alice@TEST.EXAMPLE');
    await typed(`kdestroy -c KCM:FILE:${file}`, alice);
    expect((await machine.run(`ls ${file}`)).code).toBe(2);
  });

  it('a service with DynamicUser finds nothing of the one before, also where a server of that still runs', async () => {
    // Whether the name service has such users is the machine's matter.
    await typed(
      "sed -i 's/^.ccapi.$/[ccapi]\\n unknown_uids = allow/' /etc/krb5.conf && systemctl kill -s HUP ccapi.service; :",
    );
    await write(
      '/etc/systemd/system/dynamic.service',
      '[Service]\nType=oneshot\nDynamicUser=yes\nExecStart=/bin/sh /run/dynamic.sh\nStandardOutput=truncate:/run/dynamic.out\nStandardError=inherit',
    );
    await typed('systemctl daemon-reload');
    const start = async (script: string) => {
      await write('/run/dynamic.sh', script);
      await machine.run('systemctl start dynamic.service');
      return typed('cat /run/dynamic.out');
    };
    const server = async () => (await typed('pgrep -f "[c]capi-server.js" -u $(cat /run/dynamic) || :')).trim();
    const uid = await start('id -u');
    await typed(`echo ${uid.trim()} > /run/dynamic`);
    expect(Number(uid)).toBeGreaterThanOrEqual(61_184);
    expect(await start(`${kinit('alice')}; klist`)).toContain('Default principal: alice@TEST.EXAMPLE');
    const before = await server();
    expect(before).toMatch(/^\d+$/);
    expect(await start('klist; id -u')).toMatch(new RegExp(`not found\n${uid}$`));
    expect(await server()).toBe(before);
    // So does one that comes when no server runs any more.
    expect(await start(`${kinit('alice')}; klist`)).toContain('Default principal: alice@TEST.EXAMPLE');
    await typed(`kill ${before}`);
    await eventually(async () => (await server()) === '');
    expect(await start('klist; id -u')).toMatch(new RegExp(`not found\n${uid}$`));
  });

  it("a user's own units serve without root and without a launcher", async () => {
    const run = `/run/user/${bob.uid}`;
    const units = `${run}/.config/systemd/user`;
    const env = { XDG_RUNTIME_DIR: run, KRB5_CONFIG: '/run/elsewhere.conf', HOME: run };
    await typed(`systemctl disable --now ccapi.socket; pkill -u ${bob.uid} -f ccapi-server.js; :`);
    await eventually(async () => (await machine.run(`pgrep -u ${bob.uid}`)).code === 1);
    // Without it the machine has no set-up of root's that bob's own would stand beside.
    await typed(`rm -rf /run/ccapi/${bob.uid}`);
    await typed(`grep -v KCM: /etc/krb5.conf > ${env.KRB5_CONFIG}`);
    for (const { path, content } of await printedUnits()) {
      if (path.startsWith('~/')) await write(path.replace(/^.*\//, `${units}/`), there(content));
    }
    await typed(`cd /lib/systemd/user && cp basic.target sockets.target shutdown.target ${units}`);
    await typed(`chown -R ${bob.uid}:${bob.gid} ${run} && chmod 700 ${run}`);
    await write(
      '/etc/systemd/system/of-bob.service',
      userManager(bob, `HOME=${run} XDG_RUNTIME_DIR=${run} SYSTEMD_UNIT_PATH=${units}`),
    );
    await typed('systemctl daemon-reload && systemctl start of-bob.service');
    await typed('systemctl --user enable --now ccapi.socket', bob, env);
    const by = await typed(`${ccapi} env`, bob, env);
    await typed(`eval "${by.trim()}"; ${kinit('bob')} && klist`, bob, env);
    expect(await typed(`${ccapi} path`, bob, env)).toBe(`${run}/ccapi/${bob.uid}/S.ccapi\n`);
    expect(await typed(`${ccapi} list`, bob, env)).toContain('bob@TEST.EXAMPLE');
    const pid = await typed('systemctl --user show --value -p MainPID ccapi.service', bob, env);
    expect(JSON.parse(await typed(`${ccapi} status --json`, bob, env)).pid).toBe(Number(pid));
    await typed(`${ccapi} stop`, bob, env);
    expect(await typed(`${ccapi} list`, bob, env)).toContain('bob@TEST.EXAMPLE');
  });
});

/** The printed unit in a file of its name, for a program that reads it there. */
async function writtenUnit(name: string): Promise<string> {
  const path = `${temporaryDirectory()}/${name}`;
  const unit = (await printedUnits()).find((printed) => printed.path === `/etc/systemd/system/${name}`);
  writeFileSync(path, unit?.content ?? '');
  return path;
}

function heimdalKinit(): string {
  const { directory, libraries } = unpackedPrograms('heimdal');
  return `#!/bin/sh
echo "$*" >> ${RENEWED}
LD_LIBRARY_PATH=${libraries} exec ${directory}/usr/bin/kinit.heimdal "$@"`;
}

/** What user@.service is where PAM and logind are. */
function userManager({ uid }: TestUser, environment: string): string {
  return [
    '[Service]',
    `User=${uid}`,
    'Type=notify',
    'Delegate=yes',
    `Environment=${environment}`,
    'ExecStart=/lib/systemd/systemd --user --unit=basic.target',
  ].join('\n');
}
