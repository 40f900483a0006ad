// The Debian package on Debian 13: installed, used, upgraded under running servers, and purged.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { afterwards, end, eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { rootOf } from '../setup/debian-packages.ts';
import { freshCopy, shellEnvironment } from '../setup/fresh-copy.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { cleanEnvironment, freePort, type Outcome, run, succeed } from '../setup/programs.ts';
import { linesBelow } from '../setup/readme.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const door = '/run/.heim_org.h5l.kcm-socket';
const repository = join(import.meta.dirname, '../..');
const needs = ['root', 'Linux', 'krb5-kdc', 'krb5-admin-server', 'debootstrap', 'debian-13', 'lintian'] as const;

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

  it('is made and installed by what the README has typed', async () => {
    const [[make, install, ...more] = []] = linesBelow('Install');
    expect([install, more]).toEqual([expect.stringMatching(/^apt install \.\//), []]);
    const clone = await freshCopy();
    const env = shellEnvironment(clone);
    await succeed('/bin/sh', ['-c', `cd "$0" && ${make}`, clone], { env });
    mkdirSync(`${directory}/deb/clone`);
    cpSync(clone, `${directory}/deb/clone`, {
      recursive: true,
      filter: (path) => path === clone || path.endsWith('.deb'),
    });
    // What apt notes for itself is apt's.
    const ofOthers = async () => (await files()).replace(/^\/var\/lib\/apt\/.*\n/gm, '');
    const before = await ofOthers();
    await typed(`cd /deb/clone && ${install}`);
    expect(await typed('ccapi --version')).toMatch(/^ccapi \S+ \(Node v20\.19\..*, with koffi\)\n$/);
    await typed('apt purge -y ccapi');
    expect(await ofOthers()).toBe(before);
  }, 240_000);

  it('is as Debian has its packages: lintian finds no error, and nothing to warn of', async () => {
    const [name] = readdirSync(`${directory}/deb`).filter((file) => file.includes('_9.9.9_'));
    const options = ['--no-cfg', '--allow-root', '--tag-display-limit', '0', '--fail-on', 'error,warning'];
    expect(await run('/usr/bin/lintian', [...options, `${directory}/deb/${name}`])).toMatchObject({
      code: 0,
      stdout: '',
    });
  });

  it('names its maintainer', async () => {
    const env = { ...process.env, DEBFULLNAME: 'Ann Admin', DEBEMAIL: 'ann@test.example' };
    const build = 'cd "$0" && "$1" build-deb.mjs 1.0.0 "$2"';
    await succeed('/bin/sh', ['-c', build, repository, process.execPath, `${directory}/deb`], { env });
    expect(await typed('dpkg-deb -f /deb/ccapi_1.0.0_*.deb Maintainer')).toBe('Ann Admin <ann@test.example>\n');
    const [usual] = (await typed('dpkg-deb -f /deb/ccapi_9.9.9_*.deb Maintainer')).split('\n');
    expect(usual).toMatch(/^[^<>@]+ <[^<>@ ]+@[^<>@ ]+>$/);
  });

  it('offers the profile for logins, which an admin enables, and takes it out when it goes', async () => {
    await typed(`echo '${alice.name}:*:20000::::::' >> /etc/shadow`);
    const name = async () => (await there(`su -s /bin/sh ${alice.name} -c 'printenv KRB5CCNAME'`)).stdout;
    const before = await files();
    const pam = 'cat /etc/pam.d/common-* /var/lib/pam/*';
    const contents = await typed(pam);
    await install('0.0.1');
    expect(await name()).toBe('');
    await typed('pam-auth-update --enable ccapi');
    expect(await name()).toBe('KCM:\n');
    // An upgrade leaves what the admin has chosen, and edited.
    await typed("sed -i 's/DEFAULT=KCM:/DEFAULT=KCM:own/' /etc/security/ccapi-env.conf");
    await install('9.9.9');
    expect(await name()).toBe('KCM:own\n');
    await typed('dpkg -r ccapi');
    expect(await name()).toBe('');
    await typed('dpkg -P ccapi');
    expect(await typed(pam)).toBe(contents);
    expect(await files()).toBe(before);
  });

  it('has the profile that the launcher prints', async () => {
    await install('0.0.1');
    for (const [option, path] of [
      ['--print-pam-profile', '/usr/share/pam-configs/ccapi'],
      ['--print-pam-env-conf', '/etc/security/ccapi-env.conf'],
    ]) {
      await typed(`ccapi-launcher ${option} | cmp - ${path}`);
    }
    await typed('dpkg -P ccapi');
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
