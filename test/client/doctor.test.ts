// ccapi doctor finds what is wrong by name, and says what to do about it.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { version } from '../../proto/status.ts';
import { afterwards, end, eventually, hasEnded, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { installed, startPrivateMachine } from '../setup/private-machine.ts';
import { ccapi, freePort, programs, run, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

interface Finding {
  what: string;
  fine: boolean;
  says: string;
  todo?: string;
}

const uid = process.getuid?.();
const modules = join(import.meta.dirname, '../../node_modules');
let directory: string;
let base: string;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  directory = temporaryDirectory();
  base = `${directory}/run`;
  const krb5Conf = `${directory}/krb5.conf`;
  const names = [' default_ccache_name = KCM:', ` default_cc_name = FILE:${base}/%{uid}/krb5cc`];
  const lines = ['[libdefaults]', ...names, ` kcm_socket = ${directory}/door`, '[ccapi]', ` directory = ${base}`];
  writeFileSync(krb5Conf, `${lines.join('\n')}\n`);
  env = { KRB5_CONFIG: krb5Conf, CCAPI_PORT: String(await freePort()) };
});

/** What to do about what {@link wrong} has found. */
let cures: string[];

async function wrong(more: NodeJS.ProcessEnv = {}): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await ccapi(['doctor', '--json'], { env: { ...env, ...more } });
  expect(stderr).toBe('');
  const findings = (JSON.parse(stdout) as Finding[]).filter(({ fine }) => !fine);
  expect(code).toBe(findings.length === 0 ? 0 : 1);
  for (const { todo } of findings) expect(todo).toBeDefined();
  cures = findings.map(({ todo }) => todo as string);
  return Object.fromEntries(findings.map(({ what, says }) => [what.replace(directory, ''), says]));
}

/** A launcher at the port and the door, as inetd has it. */
async function machine(...args: string[]): Promise<void> {
  const { port } = await startLauncher([`${directory}/door`, `--directory=${base}`, ...args]);
  env.CCAPI_PORT = String(port);
}

async function listening(
  address: { port: number; host: string } | { path: string },
  answer: string | Buffer,
): Promise<void> {
  const server: Server = createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(answer)));
  await new Promise<void>((resolve) => server.listen(address, resolve));
  afterwards(() => void server.close());
}

it('nothing where all is well, and says what it has seen', async () => {
  await machine();
  expect(await wrong()).toEqual({});
  const { stdout } = await ccapi(['doctor'], { env });
  const [pid] = workersBelow(base);
  expect(stdout).toContain(`fine   launcher on port ${env.CCAPI_PORT}: answers ${base}/${uid}/S.ccapi\n`);
  expect(stdout).toContain(`fine   server: ${base}/${uid}/S.ccapi, pid ${pid}, version ${version}\n`);
  expect(stdout).toContain(`fine   KCM at ${directory}/door: leads to pid ${pid}\n`);
  expect(stdout).not.toContain('WRONG');
});

it('nothing where the server is behind a program, which is not asked how it is', async () => {
  await machine();
  const connect = `exec:env CCAPI_DIRECTORY=${base} CCAPI_PORT=${env.CCAPI_PORT} ${process.execPath} ${programs.ccapi} connect`;
  expect(await wrong({ CCAPI_SERVER: connect })).toEqual({});
});

describe('a fault:', () => {
  it('a setting', async () => {
    expect(await wrong({ CCAPI_IDLE_TIMEOUT: 'soon' })).toEqual({
      settings: expect.stringContaining('CCAPI_IDLE_TIMEOUT: "soon" is not a duration'),
    });
  });

  it('a directory that others may enter', async () => {
    await machine();
    mkdirSync(`${base}/${uid}`, { recursive: true });
    chmodSync(base, 0o755);
    chmodSync(`${base}/${uid}`, 0o755);
    expect(await wrong()).toMatchObject({
      [`directory /run/${uid}`]: expect.stringContaining('has mode 755 and not 700'),
      server: expect.stringContaining('has mode 755'),
    });
  });

  it('no launcher where none may be started', async () => {
    const found = await wrong({ CCAPI_AUTOSTART: 'no' });
    expect(found[`launcher on port ${env.CCAPI_PORT}`]).toBe('nothing listens there, and autostart = no');
    expect(found.server).toContain('no credential-cache server');
  });

  it('another user on the port', async () => {
    await listening({ host: '127.0.0.1', port: Number(env.CCAPI_PORT) }, 'HTTP/1.0 400 Bad Request\r\n');
    const found = await wrong();
    expect(found[`launcher on port ${env.CCAPI_PORT}`]).toContain('the launcher answered "HTTP/1.0 400 Bad Request');
  });

  it('a launcher that refuses', async () => {
    await machine(`--deny=${uid}`);
    const found = await wrong();
    expect(found[`launcher on port ${env.CCAPI_PORT}`]).toBe(`uid ${uid} is not served: deny = ${uid}`);
    // It is no fault of whatever else could be at the door.
    expect(found['KCM at /door']).toBe('closes the connection, since the launcher refuses you');
    expect(cures.join()).toMatch(/change allow and deny in krb5.conf/);
    expect(cures.join()).not.toContain('sssd');
  });

  it('a server that is stopped', async () => {
    await machine();
    expect(await wrong()).toEqual({});
    const [pid] = workersBelow(base) as [number];
    process.kill(pid, 'SIGSTOP');
    try {
      // It is the only fault: the door, where nothing answers either, is no other program's for that.
      expect(await wrong()).toEqual({ server: `${base}/${uid}/S.ccapi: pid ${pid} is stopped by a signal` });
      expect(cures).toEqual([`kill -CONT ${pid}`]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('a server that was killed; the next one is started, or it is said why there is none', async () => {
    const { port, launcher } = await startLauncher([`${directory}/door`, `--directory=${base}`]);
    env.CCAPI_PORT = String(port);
    expect(await wrong()).toEqual({});
    const [killed] = workersBelow(base) as [number];
    process.kill(killed, 'SIGKILL');
    await eventually(() => hasEnded(killed));
    expect(await wrong()).toEqual({});
    const [next] = workersBelow(base) as [number];
    expect(next).not.toBe(killed);
    process.kill(next, 'SIGKILL');
    await end(launcher);
    await eventually(() => hasEnded(next));
    const { server } = await wrong({ CCAPI_AUTOSTART: 'no' });
    expect(server).toBe(
      `that of ${base}/${uid}/S.ccapi has died; no credential-cache server: launcher on port ${port}: nothing listens there`,
    );
    expect(cures).toContain('as root: ccapi-launcher setup   or in krb5.conf, [ccapi]: autostart = yes');
  });

  it('a server in a directory that is not used has not died', async () => {
    await machine();
    expect(await wrong()).toEqual({});
    chmodSync(`${base}/${uid}`, 0o777);
    expect((await wrong({ CCAPI_AUTOSTART: 'no' })).server).toBe(
      `${base}/${uid} has mode 777 and not 700; it is not used`,
    );
  });

  it('a server of another version', async () => {
    await machine();
    mkdirSync(base);
    mkdirSync(`${base}/${uid}`, { mode: 0o700 });
    const status = Buffer.from(JSON.stringify({ version: '0.0.1', pid: 1 }));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(status.length);
    await listening({ path: `${base}/${uid}/S.ccapi` }, Buffer.concat([length, status]));
    expect((await wrong()).server).toBe(`${base}/${uid}/S.ccapi is version 0.0.1, and this is ${version}`);
  });

  it('stock programs that are led elsewhere', async () => {
    await machine();
    expect(await wrong({ KRB5CCNAME: 'FILE:/tmp/x' })).toEqual({
      'stock programs': 'KRB5CCNAME=FILE:/tmp/x has them keep their tickets elsewhere',
    });
    writeFileSync(`${directory}/other.conf`, '[libdefaults]\n default_ccache_name = DIR:/tmp/x\n');
    expect(await wrong({ KRB5_CONFIG: `${directory}/other.conf:${env.KRB5_CONFIG}` })).toEqual({
      'stock programs': 'keep their tickets in DIR:/tmp/x',
    });
  });

  it('no door, or one that is another’s', async () => {
    const { port } = await startLauncher([`--directory=${base}`]);
    env.CCAPI_PORT = String(port);
    expect(await wrong()).toEqual({ 'KCM at /door': 'no server listens there' });
    await listening({ path: `${directory}/door` }, Buffer.from('00000004000000008ff4ea44', 'hex'));
    expect(await wrong()).toEqual({
      'KCM at /door': expect.stringMatching(/^what answers there is not ours: uid \d+, pid \d+ /),
    });
    expect(cures).toEqual([`see who holds it: ss -xlp src ${directory}/door`]);
  });
});

describeWith(['root', 'Linux', 'iproute2'], 'the set-up of a machine', () => {
  const [alice] = inject('users') as [TestUser, TestUser];

  /** What the doctor says there, where these lines of a shell have prepared mounts, and a network, of its own. */
  const inspect = (lines: string, { as = '', more = {}, program = programs.ccapi } = {}) =>
    run(
      '/usr/bin/unshare',
      [
        ...'-mnp --fork --kill-child --mount-proc'.split(' '),
        '/bin/sh',
        '-ec',
        `ip link set lo up; ${lines}\nexec ${as} "$@"`,
        'sh',
        process.execPath,
        program,
        'doctor',
      ],
      { env: { ...env, CCAPI_AUTOSTART: 'no', ...more } },
    );
  const asAlice = `setpriv --reuid=${alice?.uid} --regid=${alice?.gid} --clear-groups`;

  it('has swap that keys can reach; that in memory does not count', async () => {
    const swaps = `${directory}/swaps`;
    writeFileSync(swaps, 'Filename Type Size Used Priority\n/dev/zram0 partition 1 0 1\n/dev/sda2 partition 1 0 -2\n');
    const { stdout } = await inspect(`mount --bind ${swaps} /proc/swaps`);
    expect(stdout).toMatch(/^fine {3}swap: keys in memory can reach \/dev\/sda2: /m);
    expect((await inspect('mount --bind /dev/null /proc/swaps')).stdout).not.toContain('swap:');
  });

  it('has users’ directories on the file system of /run, or on one of their own', async () => {
    const conf = `${directory}/krb5.conf`;
    writeFileSync(conf, `[ccapi]\n directory = /run/ccapi\n`);
    const shared = 'mount -t tmpfs tmpfs /run; mkdir /run/ccapi';
    expect((await inspect(shared)).stdout).toContain('space: /run/ccapi shares the space of /run');
    expect((await inspect(`${shared}; mount -t tmpfs tmpfs /run/ccapi`)).stdout).not.toContain('space:');
  });

  it('has a krb5.conf that a user may not read, of which libkrb5 says the same', async () => {
    const { stdout } = await inspect(`mount -t tmpfs -o mode=755 tmpfs /mnt; echo > /mnt/conf; chmod 600 /mnt/conf`, {
      as: asAlice,
      more: { KRB5_CONFIG: '/mnt/conf' },
    });
    expect(stdout).toBe(
      `WRONG  settings: /mnt/conf may not be read by uid ${alice.uid}: chmod a+r /mnt/conf\n         correct it; ccapi config shows all\n`,
    );
  });

  it('lacks koffi', async () => {
    const { stdout } = await inspect(`for at in koffi @koromix; do mount -t tmpfs tmpfs ${modules}/$at; done`);
    expect(stdout).toMatch(/^WRONG {2}system calls: koffi is missing.*\n +install it once more/m);
  });

  it('has programs that other users cannot run', async () => {
    const door = 'mount -t tmpfs -o mode=755 tmpfs /run; : > /run/.heim_org.h5l.kcm-socket';
    const closed = `mount -t tmpfs -o mode=700 tmpfs /mnt; cp -a ${programs.ccapi.replace(/ccapi.js$/, '')} /mnt/dist`;
    const { stdout } = await inspect(`${door}; ${closed}`, { program: '/mnt/dist/ccapi.js' });
    expect(stdout).toMatch(
      /^WRONG {2}installation: \/mnt\/dist\/ccapi-server.js: other users cannot run it: \/mnt is closed/m,
    );
  });

  it('has a launcher by hand on port 7789', async () => {
    const listen = `require('net').createServer().listen(7789, '127.0.0.1', () => console.log())`;
    const lines = `mount -t tmpfs -o mode=755 tmpfs /run; ${asAlice} ${process.execPath} -e "${listen}" > ${directory}/up 2>&1 & until [ -s ${directory}/up ]; do :; done`;
    const more = { CCAPI_PORT: undefined, CCAPI_AUTOSTART: 'yes', KRB5_CONFIG: '/dev/null' };
    const { stdout } = await inspect(lines, { more });
    expect(stdout).toContain(`fine   launcher on port 789: none; that of uid ${alice.uid} on port 7789 is not asked\n`);
  });

  it('has an inetd, and a user without XDG_RUNTIME_DIR, who is told of no place of their own', async () => {
    const machine = await startPrivateMachine();
    await machine.startNode(undefined, [installed.launcher, '--listen', '789', '/run/.heim_org.h5l.kcm-socket']);
    const krb5Conf = '/run/krb5.conf';
    const lines = '[libdefaults]\\n default_ccache_name = KCM:\\n default_cc_name = FILE:/x\\n';
    await machine.sh(undefined, `printf '${lines}' > ${krb5Conf}`);
    const { code, stdout } = await machine.ccapi(alice, ['doctor'], { KRB5_CONFIG: krb5Conf });
    expect(code, stdout).toBe(0);
    expect(stdout).toContain(`fine   launcher on port 789: answers /run/ccapi/${alice.uid}/S.ccapi\n`);
    expect(stdout).not.toContain('/tmp');
  });

  it('has programs of Samba’s, which need a line of their own', async () => {
    const samba =
      'mount -t tmpfs tmpfs /usr/lib/apt; mkdir /usr/lib/apt/samba; : > /usr/lib/apt/samba/libkrb5-samba4.so.26';
    writeFileSync(env.KRB5_CONFIG as string, '[libdefaults]\n default_ccache_name = KCM:\n');
    const { stdout } = await inspect(samba);
    expect(stdout).toMatch(/^WRONG {2}Samba's programs: .*\n.*\[libdefaults\], what ccapi-launcher --print-krb5-conf/m);
    writeFileSync(
      env.KRB5_CONFIG as string,
      '[libdefaults]\n default_ccache_name = KCM:\n default_cc_name = FILE:/x\n',
    );
    expect((await inspect(samba)).stdout).toContain("fine   Samba's programs: use FILE:/x\n");
  });

  it('has an AppArmor that keeps programs from the door', async () => {
    const rules = '/etc/apparmor.d/abstractions';
    const enabled = 'mkdir -p /sys/module/apparmor/parameters; echo Y > /sys/module/apparmor/parameters/enabled';
    const lines = `mount -t tmpfs tmpfs /mnt; cp -a /etc /mnt; mount --bind /mnt/etc /etc; mkdir -p ${rules}; echo > ${rules}/kerberosclient
      mount -t tmpfs tmpfs /sys; ${enabled}`;
    const { stdout } = await inspect(lines);
    const cure = /^fine {3}AppArmor: .* use the front door; as root: (.*)$/m.exec(stdout)?.[1];
    expect((await inspect(`${lines}; ${cure}`)).stdout).not.toContain('AppArmor');
  });
});
