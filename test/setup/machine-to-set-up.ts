import { eventually } from './cleanup.ts';
import type { PrivateMachine } from './private-machine.ts';
import { startPrivateMachine } from './private-machine.ts';
import type { Outcome } from './programs.ts';
import type { TestUser } from './test-users.ts';

/** Where a KDC has its files there, and the log is. */
const KDC = '/run/kdc';
const LOG = '/run/log';

/** The password of each principal. */
export const PASSWORD = 'correct horse battery staple';

/** A private machine with an /etc and a system log of its own, a real inetd and a KDC, on which nothing of ours is set up. */
export interface MachineToSetUp extends PrivateMachine {
  /** Runs lines of sh, which have to succeed, and returns what they print. */
  typed(line: string, user?: TestUser): Promise<string>;
  /** Runs `ccapi-launcher setup` with more words. */
  setup(...args: string[]): Promise<Outcome>;
  /** The same, and kills it before the call of a number that changes anything; whether it came so far. */
  killSetup(call: number, ...args: string[]): Promise<boolean>;
  /** Has /etc be what it was at first. */
  restore(): Promise<void>;
  /** All of /etc: each path with mode, owner, link and the digest of what is in it. */
  etc(): Promise<string>;
  /** What was logged. */
  log(): Promise<string>;
}

/** `prepareEtc` are lines of sh that are run before the super-server is started, which is `inetd`. */
export async function startMachineToSetUp(
  node: string,
  prepareEtc = '',
  inetd = 'inetd -i /etc/inetd.conf',
): Promise<MachineToSetUp> {
  const machine = await startPrivateMachine();
  const env = { KRB5_CONFIG: '' };
  const typed = async (line: string, user?: TestUser) => {
    const { code, stdout, stderr } = await machine.sh(user, `unset KRB5_CONFIG; ${line}`, env);
    if (code !== 0) throw new Error(`${line} ended with ${code}: ${stdout}${stderr}`);
    return stdout;
  };
  await typed(`
# What another program removes meanwhile is no fault.
cp -a /etc /run/etc 2>/dev/null || :
mount --bind /run/etc /etc
mkdir /run/dev ${KDC}
for n in null zero random urandom tty; do : > /run/dev/$n; mount --bind /dev/$n /run/dev/$n; done
mkdir /run/dev/shm
mount --rbind /run/dev /dev
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
socat -u UNIX-RECV:/dev/log,mode=666 OPEN:${LOG},creat,append </dev/null >/dev/null 2>&1 &
rm -rf /etc/krb5.conf.d /etc/krb5.conf /etc/inetd.conf /etc/ccapi /etc/xinetd.d /etc/xinetd.conf
cat > /etc/krb5.conf <<'END'
# The admin's own.
[libdefaults]
    default_realm = TEST.EXAMPLE
    dns_lookup_kdc = false
    dns_canonicalize_hostname = false
[realms]
    TEST.EXAMPLE = {
        kdc = 127.0.0.1:88
    }
END
cat > ${KDC}/kdc.conf <<'END'
[kdcdefaults]
    kdc_listen = 127.0.0.1:88
    kdc_tcp_listen = 127.0.0.1:88
[realms]
    TEST.EXAMPLE = {
        database_name = ${KDC}/principal
        key_stash_file = ${KDC}/stash
        acl_file = ${KDC}/acl
    }
END
export KRB5_KDC_PROFILE=${KDC}/kdc.conf
kdb5_util create -s -W -r TEST.EXAMPLE -P 'master key' >/dev/null 2>&1
kadmin.local -r TEST.EXAMPLE addprinc -pw '${PASSWORD}' alice >/dev/null 2>&1
krb5kdc -r TEST.EXAMPLE >/dev/null 2>&1
echo '# The services of this machine' > /etc/inetd.conf
${prepareEtc}
cp -a /etc /run/pristine`);
  await eventually(async () => (await machine.sh(undefined, '[ -S /dev/log ]')).code === 0);
  await typed(`${inetd} </dev/null >/dev/null 2>&1 & echo $! > /run/inetd.pid`);
  const launcher = '/opt/ccapi/dist/ccapi-launcher.js';
  return {
    ...machine,
    typed,
    setup: (...args) => machine.sh(undefined, `unset KRB5_CONFIG; ${node} ${launcher} setup ${args.join(' ')}`, env),
    etc: () =>
      typed(
        "cd /etc; find . -printf '%p %y %m %U:%G %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum",
      ),
    killSetup: async (call, ...args) => {
      const preload = `KILL_AT=${call} ${node} -r /opt/ccapi/test/setup/kill-at-call.cjs`;
      const { code } = await machine.sh(
        undefined,
        `unset KRB5_CONFIG; ${preload} ${launcher} setup ${args.join(' ')} || exit $?`,
        env,
      );
      if (code !== 0 && code !== 137) throw new Error(`setup ended with ${code} before call ${call}`);
      return code === 137;
    },
    restore: async () => {
      await typed('cd /etc; find . -mindepth 1 -delete; cp -a /run/pristine/. .; kill -HUP $(cat /run/inetd.pid)');
    },
    log: () => typed(`cat ${LOG} 2>/dev/null || :`),
  };
}
