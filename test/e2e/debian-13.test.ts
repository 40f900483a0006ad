// The front door with Debian 13's own Node, which refuses to change the uid of a process.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { afterwards, endWorkersBelow, eventually, processesOf, start, temporaryDirectory } from '../setup/cleanup.ts';
import { rootOf } from '../setup/debian-packages.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { cleanEnvironment, freePort, isPortOpen, type Outcome, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const repository = join(import.meta.dirname, '../..');
const needs = ['root', 'Linux', 'krb5-kdc', 'krb5-admin-server', 'debootstrap', 'debian-13'] as const;

describeWith([...needs], 'on Debian 13', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let kdc: Kdc;
  let launcher: number;

  beforeAll(async () => {
    kdc = await startKdc(['alice', 'bob']);
    const port = await freePort();
    const directory = temporaryDirectory();
    mkdirSync(`${directory}/etc`);
    const settings =
      '[libdefaults]\n default_ccache_name = KCM:\n kcm_socket = /run/door\n[ccapi]\n directory = /run/ccapi\n';
    writeFileSync(`${directory}/etc/krb5.conf`, `${settings}${readFileSync(kdc.krb5Conf, 'utf8')}`);
    const users = [alice, bob].map(({ name, uid, gid }) => `${name}:x:${uid}:${gid}::/nonexistent:/bin/sh\n`);
    const passwd = readFileSync(`${rootOf('debian-13')}/etc/passwd`, 'utf8');
    writeFileSync(`${directory}/etc/passwd`, `${passwd}${users.join('')}`);
    const node = `node /opt/dist/ccapi-launcher.js --listen ${port} /run/door --directory=/run/ccapi`;
    start('/usr/bin/unshare', ['-m', '/bin/sh', '-c', enter(directory, `${node} --launcher-idle=${port}`)], {
      env: cleanEnvironment(),
      stdio: 'ignore',
    });
    // Their directory is /run/ccapi, as that of any other machine's: it is by this setting that they are found.
    afterwards(() => endWorkersBelow(`--launcher-idle=${port}`));
    await eventually(() => isPortOpen(port));
    [launcher] = processesOf('ccapi-launcher.js', `--launcher-idle=${port}`) as [number];
  });

  /** Runs a line there, as a user. */
  const as = ({ uid, gid }: TestUser, line: string): Promise<Outcome> =>
    run('/usr/bin/nsenter', [
      '-t',
      String(launcher),
      '-m',
      '/usr/sbin/chroot',
      `--userspec=${uid}:${gid}`,
      rootOf('debian-13'),
      '/bin/sh',
      '-c',
      `export PATH=/usr/bin:/bin; unset KRB5_CONFIG; ${line}`,
    ]);

  it("is that Debian's own Node, which has libuv from elsewhere", async () => {
    expect((await as(alice, 'node --version')).stdout).toMatch(/^v20\.19\./);
    const { stdout } = await as(alice, 'node -p process.config.variables.node_shared_libuv');
    expect(stdout).toBe('true\n');
  });

  it('kinit and klist of two users go to a worker each', async () => {
    for (const user of [alice, bob]) {
      const name = user === alice ? 'alice' : 'bob';
      const kinit = await as(user, `echo '${kdc.password}' | kinit ${name}`);
      expect(kinit).toMatchObject({ code: 0, stderr: '' });
      expect((await as(user, 'klist')).stdout).toContain(`Default principal: ${name}@TEST.EXAMPLE`);
      expect((await as(user, `stat -c '%u %a' /run/ccapi/${user.uid}`)).stdout).toBe(`${user.uid} 700\n`);
    }
  });

  it('programs of ours find the same tickets', async () => {
    expect((await as(alice, 'node /opt/dist/ccapi.js list')).stdout).toContain('alice@TEST.EXAMPLE');
  });
});

/** A shell's lines that make the release a machine: its own /run, our files, two files of /etc. */
function enter(directory: string, line: string): string {
  const root = rootOf('debian-13');
  return `set -e
mount -t proc proc ${root}/proc
mount --bind /dev ${root}/dev
mount -t tmpfs -o mode=755 tmpfs ${root}/run
mount -t tmpfs -o mode=755 tmpfs ${root}/opt
mount --bind ${directory}/etc/passwd ${root}/etc/passwd
touch ${root}/etc/krb5.conf
mount --bind ${directory}/etc/krb5.conf ${root}/etc/krb5.conf
mkdir ${root}/opt/dist ${root}/opt/node_modules ${root}/opt/etc
mount --bind ${repository}/dist ${root}/opt/dist
mount --bind ${repository}/node_modules ${root}/opt/node_modules
exec chroot ${root} ${line}`;
}
