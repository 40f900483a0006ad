// The Debian package on Debian 13: installed, used, upgraded under running servers, and purged.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { afterwards, end, eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { rootOf } from '../setup/debian-packages.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { cleanEnvironment, freePort, type Outcome, run, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const door = '/run/.heim_org.h5l.kcm-socket';
const repository = join(import.meta.dirname, '../..');
const needs = ['root', 'Linux', 'krb5-kdc', 'krb5-admin-server', 'debootstrap', 'debian-13'] as const;

describeWith([...needs], 'the Debian package', () => {
  const [alice] = inject('users') as [TestUser, TestUser];
  let kdc: Kdc;
  let directory: string;
  let port: number;
  let pid: string;

  beforeAll(async () => {
    kdc = await startKdc(['alice']);
    [directory, port] = [temporaryDirectory(), await freePort()];
    mkdirSync(`${directory}/deb`);
    for (const version of ['0.0.1', '9.9.9']) {
      const build = `cd "$0" && "$1" build-deb.mjs ${version} "$2"`;
      await succeed('/bin/sh', ['-c', build, repository, process.execPath, `${directory}/deb`]);
    }
    writeFileSync(`${directory}/krb5.conf`, `[ccapi]\n port = ${port}\n${readFileSync(kdc.krb5Conf, 'utf8')}`);
    writeFileSync(`${directory}/passwd`, `${alice.name}:x:${alice.uid}:${alice.gid}::/nonexistent:/bin/sh\n`);
    const machine = start('/usr/bin/unshare', ['-m', '-p', '--fork', '--kill-child', '/bin/sh', '-ec', boot], {
      env: cleanEnvironment({ ROOT: rootOf('debian-13'), HERE: directory }),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    afterwards(() => end(machine, 'SIGKILL'));
    await new Promise<void>((resolve, reject) => {
      machine.stdout?.once('data', () => resolve());
      machine.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
    });
    pid = readFileSync(`/proc/${machine.pid}/task/${machine.pid}/children`, 'utf8').trim();
  });

  /** Runs a line there, as root unless a user is named. */
  const there = (line: string, user?: TestUser): Promise<Outcome> => {
    const as = user ? [`--userspec=${user.uid}:${user.gid}`] : [];
    const script = `export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive; unset KRB5_CONFIG; ${line}`;
    const enter = ['-t', pid, '-m', '-p', '/usr/sbin/chroot', ...as, `${directory}/machine/root`];
    return run('/usr/bin/nsenter', [...enter, '/bin/sh', '-c', script], { input: `${kdc.password}\n` });
  };
  const typed = async (line: string, user?: TestUser) => {
    const { code, stdout, stderr } = await there(line, user);
    expect(code, `${line}: ${stdout}${stderr}`).toBe(0);
    return stdout;
  };
  const install = (version: string) => typed(`dpkg -i /deb/ccapi_${version}_*.deb`);
  const files = () =>
    typed('find / -xdev -not -path "/var/lib/dpkg/*" -not -path "/var/log/*" -not -path "/var/cache/*" | sort');
  const startLauncher = async () => {
    await typed(`ccapi-launcher --listen ${port} ${door} </dev/null >/dev/null 2>&1 &`);
    await eventually(async () => (await there(`[ -S ${door} ]`)).code === 0);
  };
  /** The pid of the only process that the user has. */
  const workerOf = async ({ uid }: TestUser) =>
    (await typed(`grep -l '^Uid:.${uid}\\b' /proc/[0-9]*/status | cut -d/ -f3`)).trim();

  it('has what Debian has for each kind of file, whole', async () => {
    const before = await files();
    expect(await install('0.0.1')).toContain('ccapi-launcher setup leads the Kerberos programs of this machine to it');
    expect(await typed('dpkg --verify ccapi; dpkg --audit')).toBe('');
    expect(await typed('ccapi --version')).toMatch(/^ccapi \S+ \(Node v20\.19\..*, with koffi\)\n$/);
    const ofServers = ['ccapi.slice', 'ccapi-server.socket', 'ccapi-server@.service', 'ccapi-space@.service'];
    for (const unit of ['ccapi.service', 'ccapi.socket', ...ofServers]) {
      expect(await typed(`cat /usr/lib/systemd/system/${unit}`)).not.toContain('/usr/local');
    }
    expect(await typed('cat /usr/lib/systemd/system/ccapi.service')).toContain(
      'ExecStart=/usr/bin/node /usr/lib/ccapi/dist/ccapi-launcher.js --wait --by-units --user-space=auto\n',
    );
    expect(await typed('readlink /etc/systemd/system/sockets.target.wants/ccapi.socket')).toMatch(
      /^(?:\/usr)?\/lib\/systemd\/system\/ccapi.socket\n$/,
    );
    await typed('dpkg -P ccapi');
    expect(await files()).toBe(before);
  });

  it('leaves the front door to sssd-kcm where that has it, and says so', async () => {
    const wants = '/etc/systemd/system/sockets.target.wants';
    await typed(`mkdir -p ${wants}; ln -s /x ${wants}/sssd-kcm.socket`);
    expect(await install('0.0.1')).toContain(
      'sssd-kcm has the place where Kerberos programs look; ccapi-launcher setup',
    );
    expect(await typed(`ls ${wants}`)).toBe('sssd-kcm.socket\n');
    await typed(`dpkg -P ccapi; rm -r ${wants}`);
  });

  it('has kinit, klist and doctor served, and an upgrade under running servers loses no ticket', async () => {
    const before = await files();
    await install('0.0.1');
    // As setup writes it where an inetd or systemd is.
    await typed(`cp /etc/krb5.conf /etc/krb5.conf.before
{ printf '# >>> ccapi setup\\n[libdefaults]\\n default_ccache_name = KCM:\\n# <<< ccapi setup\\n'; cat /etc/krb5.conf.before; } > /etc/krb5.conf`);
    await startLauncher();
    expect(await typed('kinit alice; klist', alice)).toContain('Default principal: alice@TEST.EXAMPLE');
    expect(await typed('ccapi doctor', alice)).not.toContain('WRONG');
    const worker = await workerOf(alice);
    expect(worker).toMatch(/^\d+$/);
    expect(await install('9.9.9')).toContain('Unpacking ccapi (9.9.9) over (0.0.1)');
    expect(await typed('klist', alice)).toContain('Default principal: alice@TEST.EXAMPLE');
    const launchers = "grep -lz 'ccapi-launche[r]$' /proc/[0-9]*/cmdline";
    await typed(`kill $(${launchers} | cut -d/ -f3)`);
    await eventually(async () => (await there(launchers)).code === 1);
    await typed(`rm -f ${door}`);
    await startLauncher();
    expect(await typed('klist', alice)).toContain('Default principal: alice@TEST.EXAMPLE');
    expect(await workerOf(alice)).toBe(worker);
    await typed(`kill -9 ${worker}`);
    expect(await eventually(async () => (await there('klist', alice)).stdout)).toContain('alice@TEST.EXAMPLE');
    await typed('dpkg -P ccapi');
    expect(
      await typed('cmp /etc/krb5.conf /etc/krb5.conf.before; rm /etc/krb5.conf.before; ls -A /run/ccapi 2>&1 || :'),
    ).toMatch(/No such file/);
    expect(await files()).toBe(before);
  });
});

/** The release as it is, with changes in memory, and a /run of its own. It lives for as long as its standard input. */
const boot = `
mkdir "$HERE/machine"
mount -t tmpfs tmpfs "$HERE/machine"
mkdir "$HERE/machine/upper" "$HERE/machine/work" "$HERE/machine/root"
cd "$HERE/machine"
mount -t overlay -o "lowerdir=$ROOT,upperdir=upper,workdir=work" overlay root
mount -t proc proc root/proc
mount --bind /dev root/dev
mount -t tmpfs -o mode=755 tmpfs root/run
mkdir root/deb
mount --bind "$HERE/deb" root/deb
cat "$HERE/passwd" >> root/etc/passwd
cp "$HERE/krb5.conf" root/etc/krb5.conf
echo ready
read end || :`;
