// A user who has found the package ten minutes ago types what the README says, to the letter, where nothing is set up.
import { chownSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { afterwards, endWorkersBelow, temporaryDirectory } from '../setup/cleanup.ts';
import { freshCopy, shellEnvironment } from '../setup/fresh-copy.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { programs, run, succeed } from '../setup/programs.ts';
import { displaysOf, linesBelow, transcript } from '../setup/readme.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

/** What the README shows, with the names and numbers of a test's own user, at some other time. */
function asShown(shown: string, { name, uid }: TestUser): RegExp {
  const own: Record<string, string> = { alice: name, 'EXAMPLE.ORG': 'TEST\\.EXAMPLE', '1000': String(uid) };
  const pattern = shown.replace(/EXAMPLE\.ORG|alice|\b1000\b|\d+|\s+|[.*+?^$()[\]{}|\\]/g, (part) => {
    if (Object.hasOwn(own, part)) return own[part] as string;
    return /\d/.test(part) ? '\\d+' : /\s/.test(part) ? '\\s+' : `\\${part}`;
  });
  return new RegExp(pattern);
}

async function typed(lines: string[], directory: string, env: NodeJS.ProcessEnv, who?: TestUser): Promise<string> {
  const script = ['set -e', `cd ${directory}`, ...lines].join('\n');
  const identity = who ? { uid: who.uid, gid: who.gid } : {};
  const { code, stdout, stderr } = await run('/bin/sh', ['-c', script], { ...identity, env });
  expect(code, `${stdout}\n${stderr}`).toBe(0);
  return stdout;
}

describeWith(
  ['root', 'Linux', 'openbsd-inetd', 'krb5-kdc', 'krb5-admin-server', 'krb5-user', 'netcat-openbsd', 'iproute2'],
  'an admin',
  () => {
    const [alice, bob] = inject('users') as [TestUser, TestUser];
    const [, install = [], setUp = []] = linesBelow('Install');
    const [entries = [], krb5Conf = []] = displaysOf('ccapi-launcher.8', 'BY HAND');
    const { typed: use, shown } = transcript();
    let kdc: Kdc;
    let prefix: string;
    let directory: string;

    beforeAll(async () => {
      kdc = await startKdc(['alice', alice.name, 'host/a.test.example']);
      directory = await freshCopy();
      prefix = join(temporaryDirectory(), 'prefix');
      // What needs the registry comes first; the rest is typed on a machine without a network.
      await typed(install, directory, shellEnvironment(prefix, { npm_config_prefix: prefix }));
    }, 240_000);

    it('has every user served by what is typed', async () => {
      const etc = join(temporaryDirectory(), 'etc');
      cpSync('/etc', etc, { recursive: true, verbatimSymlinks: true });
      writeFileSync(join(etc, 'inetd.conf'), '');
      writeFileSync(join(etc, 'krb5.conf'), readFileSync(kdc.krb5Conf));
      const script = `
      set -e
      mount -t tmpfs tmpfs /run
      mount --bind "$ETC" /etc
      ip link set lo up
      krb5kdc -n & inetd -i /etc/inetd.conf &
      unset KRB5_CONFIG
      # It is up when it catches signals.
      until grep -qs '^SigCgt:.*[13579bdf]$' /proc/$(pgrep -x inetd)/status; do sleep 0.05; done
      ${setUp.join('\n')}
      until [ -S /run/.heim_org.h5l.kcm-socket ] && grep -q 0100007F:0315 /proc/net/tcp; do sleep 0.05; done
      as() { id=$1; shift; HOME=/nonexistent setpriv --reuid=$id --regid=$id --clear-groups "$@"; }
      cat > /run/typed <<'TYPED'
kinit() { echo "$PASSWORD" | command kinit "$@"; }
${use.join('\n')}
TYPED
      as $ALICE sh -e /run/typed
      as $ALICE ccapi doctor
      as $ALICE kvno host/a.test.example
      as $ALICE ccapi list
      as $ALICE man -w ccapi ccapi.conf ccapi-launcher ccapi-server
      echo $ALICE | as $ALICE nc 127.0.0.1 789
      as $BOB klist 2>&1 || echo "bob has nothing"`;
      const options = ['-m', '-n', '-p', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script];
      const env = {
        ETC: etc,
        ALICE: String(alice.uid),
        BOB: String(bob.uid),
        PASSWORD: kdc.password,
        KRB5_CONFIG: kdc.krb5Conf,
        KRB5_KDC_PROFILE: kdc.profile,
        PATH: `${prefix}/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
      };
      const { stdout, stderr } = await run('/usr/bin/unshare', options, { env });
      expect(stderr).not.toMatch(/kinit:|klist:|kvno:|ccapi:|man:/);
      expect(use).toEqual(expect.arrayContaining(['kinit', 'klist']));
      expect(stdout).toMatch(asShown(shown, alice));
      expect(stdout).toContain(`Ticket cache: KCM:${alice.uid}\nDefault principal: ${alice.name}@TEST.EXAMPLE`);
      expect(stdout).not.toContain('WRONG');
      expect(stdout).toContain('fine   KCM at /var/run/.heim_org.h5l.kcm-socket: leads to pid');
      expect(stdout).toContain('host/a.test.example@TEST.EXAMPLE: kvno = 1');
      expect(stdout).toMatch(/Ticket cache: KCM:\d+\nDefault principal: .*@TEST.EXAMPLE[\s\S]*host\/a.test.example/);
      expect(stdout).toContain(`${prefix}/lib/node_modules/ccapi/etc/share/man/ccapi.conf.5`);
      expect(stdout).toContain(`\n/run/ccapi/${alice.uid}/S.ccapi\n`);
      expect(stdout).toMatch(/not found\nbob has nothing\n$/);
    });

    it('has been shown the lines that are printed, but for the paths', async () => {
      const printed = await succeed(process.execPath, [programs.launcher, '--print-inetd-entry']);
      const plain = (line: string) => line.replace(/root \S+ node \S+ /, '').trim();
      expect(entries.map(plain)).toEqual(
        printed
          .split('\n')
          .filter((line) => line.includes(' stream '))
          .map(plain),
      );
      expect(await succeed(process.execPath, [programs.launcher, '--print-krb5-conf'])).toContain(
        `    ${krb5Conf.join('\n')}\n`,
      );
    });
  },
);

describeWith(['krb5-kdc', 'krb5-admin-server', 'krb5-user'], 'a user without root', () => {
  const [user] = inject('users');

  it('has their own tickets in their own server', async () => {
    const home = join(temporaryDirectory(), 'home');
    mkdirSync(home, { mode: 0o700 });
    if (user) chownSync(home, user.uid, user.gid);
    const name = user?.name ?? (await succeed('/usr/bin/id', ['-un'])).trim();
    const kdc = await startKdc([name]);
    const [lines = []] = linesBelow('For yourself, without root');
    const env = shellEnvironment(home, {
      KRB5_CONFIG: kdc.krb5Conf,
      PASSWORD: kdc.password,
      CCAPI_PORT: '1',
      XDG_RUNTIME_DIR: home,
    });
    afterwards(() => endWorkersBelow(home));
    const password = 'kinit() { echo "$PASSWORD" | command kinit "$@"; }';
    const shown = await typed([password, ...lines, 'ccapi list'], await freshCopy(user), env, user);
    expect(shown).toMatch(new RegExp(`Ticket cache: KCM:\\d+\nDefault principal: ${name}@TEST.EXAMPLE`));
    expect(shown).toMatch(new RegExp(`Ticket cache: KCM:\\d+\nDefault principal: ${name}@TEST.EXAMPLE`));
  }, 240_000);
});
