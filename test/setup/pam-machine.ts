import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterwards, end, eventually, start, temporaryDirectory } from './cleanup.ts';
import { unpackedRoot } from './debian-packages.ts';
import type { FrontDoor } from './front-door.ts';
import {
  cleanEnvironment,
  freePort,
  isPortOpen,
  type Outcome,
  programs,
  type RunOptions,
  run,
  succeed,
} from './programs.ts';
import { displaysOf } from './readme.ts';
import type { TestUser } from './test-users.ts';

/** A machine of which /etc and PAM are its own, with pam_krb5 and our profile, and a stock sshd with PAM. */
export interface PAMMachine {
  /** Runs a program there, as root unless the options say otherwise. */
  run(program: string, args: string[], options?: RunOptions): Promise<Outcome>;
  /** Logs in by ssh, with the password or with delegated tickets, and runs a line there. */
  ssh(user: TestUser, how: 'password' | 'delegation', line: string): Promise<Outcome>;
  /** The home of a user there. */
  home(user: TestUser): string;
}

/** What the manual has an admin type. */
const [typed = []] = displaysOf('ccapi-launcher.8', 'LOGINS');

/**
 * The script has its own name for what is to be private, since `pam-auth-update` writes in more than one place. A lock file may
 * vanish while it is copied; nothing is written where a mount has failed.
 */
const boot = `
mount --make-rprivate /
for place in /etc /usr/share/pam-configs /var/lib/pam /lib/x86_64-linux-gnu/security; do
  mkdir -p "$PRIVATE$place"
  cp -a "$place/." "$PRIVATE$place/" || :
  mount --bind "$PRIVATE$place" "$place"
done
cp "$PAM_KRB5"/usr/share/pam-configs/krb5 /usr/share/pam-configs
cp "$PAM_KRB5"/lib/*/security/pam_krb5.so /lib/x86_64-linux-gnu/security
cp "$PRIVATE/krb5.conf" /etc/krb5.conf
sed -i "s#^\\(ccapi-test-[ab][0-9]*\\):\\(.*\\):/nonexistent:#\\1:\\2:$PRIVATE/\\1:#" /etc/passwd
export DEBIAN_FRONTEND=noninteractive
pam-auth-update --force --enable krb5 >&2
{
${typed.join('\n')}
} >&2
echo ready
read end || :`;

/** Needs root, openssh-server, libpam-krb5 and a front door. */
export async function startPAMMachine(machine: FrontDoor, users: TestUser[]): Promise<PAMMachine> {
  const place = temporaryDirectory();
  const launcher = `#!/bin/sh\nexec ${process.execPath} ${programs.launcher} "$@"\n`;
  mkdirSync(`${place}/bin`);
  writeFileSync(`${place}/bin/ccapi-launcher`, launcher, { mode: 0o755 });
  writeFileSync(`${place}/krb5.conf`, readFileSync(machine.env.KRB5_CONFIG as string));
  const home = ({ name }: TestUser) => `${place}/${name}`;
  for (const user of users) {
    mkdirSync(home(user), { mode: 0o700 });
    chownSync(home(user), user.uid, user.gid);
  }
  const env = cleanEnvironment({ PRIVATE: place, PAM_KRB5: unpackedRoot('libpam-krb5') });
  env.PATH = `${place}/bin:${env.PATH}`;
  const outside = start('/usr/bin/unshare', ['-m', 'sh', '-ec', boot], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  afterwards(() => end(outside, 'SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    outside.stdout?.once('data', () => resolve());
    outside.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
  });
  const enter = ['-t', String(outside.pid), '-m'];
  const inside: PAMMachine['run'] = (program, args, options = {}) => {
    const { uid, gid, ...rest } = options;
    const as = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
    return run('/usr/bin/nsenter', [...enter, ...as, program, ...args], rest);
  };
  const port = await startStockSshd(machine, place, enter);
  const askpass = `${place}/askpass`;
  writeFileSync(askpass, `#!/bin/sh\necho '${machine.kdc.password}'\n`);
  chmodSync(askpass, 0o755);
  return {
    run: inside,
    home,
    ssh: (user, how, line) => {
      const methods = how === 'password' ? 'password,keyboard-interactive' : 'gssapi-with-mic';
      const words = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'];
      words.push(`PreferredAuthentications=${methods}`, 'NumberOfPasswordPrompts=1');
      words.push('GSSAPIAuthentication=yes', 'GSSAPIDelegateCredentials=yes');
      const args = ['-F', '/dev/null', '-p', String(port), ...words.flatMap((word) => ['-o', word])];
      return run('/usr/bin/ssh', [...args, `${user.name}@localhost`, line], {
        uid: user.uid,
        gid: user.gid,
        env: { ...machine.env, HOME: home(user), SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' },
      });
    },
  };
}

/** An sshd with Debian's own configuration but for its port, keys, and GSSAPI. */
async function startStockSshd(machine: FrontDoor, place: string, enter: string[]): Promise<number> {
  const port = await freePort();
  await succeed('/usr/bin/ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', `${place}/host_key`]);
  const keytab = await machine.kdc.keytab('host.keytab', ['host/localhost']);
  const lines = [`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${place}/host_key`, `PidFile ${place}/pid`];
  lines.push('GSSAPIAuthentication yes', 'GSSAPIStrictAcceptorCheck no', 'UseDNS no', 'StrictModes no');
  lines.push('MaxStartups 100', 'Include /etc/ssh/sshd_config');
  writeFileSync(`${place}/sshd_config`, `${lines.join('\n')}\n`);
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  start('/usr/bin/nsenter', [...enter, '/usr/sbin/sshd', '-D', '-e', '-f', `${place}/sshd_config`], {
    env: cleanEnvironment({ KRB5_CONFIG: '/etc/krb5.conf', KRB5_KTNAME: keytab }),
    stdio: 'ignore',
  });
  await eventually(() => isPortOpen(port));
  return port;
}
