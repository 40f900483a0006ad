// A new admin writes the three lines of the README, and nothing else, on a machine of their own: its namespaces.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { startKdc } from '../setup/kdc.ts';
import { programs, run, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
const [tcpLine = '', doorLine = ''] =
  readme.match(/^ {4}.* stream .* wait root .*$/gm)?.map((line) => line.trim()) ?? [];
const krb5Line = /^ {4}default_ccache_name = .*$/m.exec(readme)?.[0].trim();

/** In namespaces of its own: what /run, /etc and the network are there, then the admin's inetd, then two users. */
const script = `
set -e
mount -t tmpfs tmpfs /run
mount --bind "$ETC" /etc
ip link set lo up
krb5kdc -n & inetd -i /etc/inetd.conf &
until [ -S /run/.heim_org.h5l.kcm-socket ] && grep -q 0100007F:0315 /proc/net/tcp; do sleep 0.05; done
unset KRB5_CONFIG
as() { id=$1; shift; setpriv --reuid=$id --regid=$id --clear-groups "$@"; }
echo "$PASSWORD" | as $ALICE kinit alice
as $ALICE klist
as $ALICE kvno host/a.test.example
as $ALICE "$NODE" "$CCAPI" list
echo $ALICE | as $ALICE nc 127.0.0.1 789
as $BOB klist 2>&1 || echo "bob has nothing"
`;

describeWith(
  ['root', 'Linux', 'openbsd-inetd', 'krb5-kdc', 'krb5-admin-server', 'krb5-user', 'netcat-openbsd', 'iproute2'],
  'a machine that is set up as the README says',
  () => {
    const [alice, bob] = inject('users') as [TestUser, TestUser];

    it('has its lines as --print-inetd-entry prints them, but for the paths', async () => {
      const entry = await succeed(process.execPath, [programs.launcher, '--print-inetd-entry']);
      const plain = (line: string) => line.replace(/root \S+ node \S+ /, '').trim();
      const printed = entry.split('\n').filter((line) => line.includes(' stream '));
      expect([tcpLine, doorLine].map(plain)).toEqual(printed.map(plain));
      expect(krb5Line).toBe('default_ccache_name = KCM:');
    });

    it("keeps the tickets of every kinit in its user's own server", async () => {
      const kdc = await startKdc(['alice', 'host/a.test.example']);
      const etc = join(temporaryDirectory(), 'etc');
      mkdirSync(etc);
      cpSync('/etc', etc, { recursive: true, verbatimSymlinks: true });
      const paths = `root ${process.execPath} node ${programs.launcher}`;
      const lines = [tcpLine, doorLine].map((line) => line.replace(/root \S+ node \S+/, paths));
      writeFileSync(join(etc, 'inetd.conf'), `${lines.join('\n')}\n`);
      const krb5Conf = readFileSync(kdc.krb5Conf, 'utf8').replace('[libdefaults]', `[libdefaults]\n    ${krb5Line}`);
      writeFileSync(join(etc, 'krb5.conf'), krb5Conf);
      const options = ['-m', '-n', '-p', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script];
      const { stdout, stderr } = await run('/usr/bin/unshare', options, {
        env: {
          ETC: etc,
          ALICE: String(alice.uid),
          BOB: String(bob.uid),
          PASSWORD: kdc.password,
          NODE: process.execPath,
          CCAPI: programs.ccapi,
          KRB5_CONFIG: kdc.krb5Conf,
          KRB5_KDC_PROFILE: kdc.profile,
        },
      });
      expect(stderr).not.toMatch(/kinit:|klist:|kvno:|ccapi:/);
      expect(stdout).toContain(`Ticket cache: KCM:${alice.uid}\nDefault principal: alice@TEST.EXAMPLE`);
      expect(stdout).toContain('host/a.test.example@TEST.EXAMPLE: kvno = 1');
      expect(stdout).toMatch(/Ticket cache: API:\d+\nDefault principal: alice@TEST.EXAMPLE[\s\S]*host\/a.test.example/);
      expect(stdout).toContain(`\n/run/ccapi/${alice.uid}/S.ccapi\n`);
      expect(stdout).toMatch(/not found\nbob has nothing\n$/);
    });
  },
);
