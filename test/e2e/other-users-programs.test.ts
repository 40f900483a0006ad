// Programs that become another user, or run while none is logged in: each finds the tickets of the user that it runs as.
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { unpackedRoot } from '../setup/debian-packages.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { cleanEnvironment, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

/** A cron with /etc, spool and /run of its own, in which `$0` has the places. */
const CRON = `
mount --make-rprivate /
cp -a /etc/. "$0/etc" || :
cp -a "$CRON/etc/." "$0/etc"
mount --bind "$0/etc" /etc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/spool
mkdir /var/spool/cron
cp -a "$0/crontabs" /var/spool/cron
exec "$CRON/usr/sbin/cron" -f`;

describeWith([...frontDoorRequirements, 'sudo', 'kstart', 'cron'], 'with the front door', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;
  beforeAll(async () => {
    machine = await startFrontDoor(['alice', 'bob']);
    expect((await machine.as(alice, 'kinit', 'alice')).code).toBe(0);
  });

  /** As root, with an environment that leads to the test's own machine. */
  const asRoot = (program: string, ...args: string[]) => run(program, args, { env: machine.env });
  const KEPT = '--preserve-env=KRB5_CONFIG';

  it('su and sudo have those of the user that they become', async () => {
    const bySu = await asRoot('/usr/bin/su', alice.name, '-s', '/bin/sh', '-c', 'klist');
    expect(bySu.stdout).toContain('Default principal: alice@TEST.EXAMPLE');
    const bySudo = await asRoot('/usr/bin/sudo', KEPT, '-u', alice.name, 'klist');
    expect(bySudo.stdout).toContain('Default principal: alice@TEST.EXAMPLE');
    expect((await asRoot('/usr/bin/sudo', KEPT, '-u', bob.name, 'klist', '-s')).code).toBe(1);
    expect((await asRoot('/usr/bin/klist', '-s')).code).toBe(1);
  });

  it('su and sudo keep the name of a ccache, and su - does not', async () => {
    const env = { ...machine.env, KRB5CCNAME: 'KCM:none' };
    const bySu = (...args: string[]) => run('/usr/bin/su', [...args, alice.name, '-s', '/bin/sh'], { env });
    const klist = 'echo $KRB5CCNAME; klist -s';
    expect(await bySu('-c', klist)).toMatchObject({ code: 1, stdout: 'KCM:none\n' });
    expect((await run('/usr/bin/sudo', [KEPT, '-u', alice.name, 'klist', '-s'], { env })).code).toBe(1);
    expect((await bySu('-', '-c', klist)).stdout).toBe('\n');
  });

  /** A keytab that only bob can read. */
  async function keytabOfBob(): Promise<string> {
    const keytab = `${temporaryDirectory()}/bob`;
    copyFileSync(await machine.kdc.keytab('bob', ['bob']), keytab);
    chownSync(keytab, bob.uid, bob.gid);
    chmodSync(keytab, 0o600);
    return keytab;
  }

  it('k5start has one from a keytab, for the command and after it', async () => {
    const started = await machine.as(bob, 'k5start', '-q', '-U', '-f', await keytabOfBob(), '--', 'klist');
    expect(started.stdout).toContain('Default principal: bob@TEST.EXAMPLE');
    expect((await machine.as(alice, 'klist')).stdout).toContain('alice@TEST.EXAMPLE');
  });

  it('cron’s jobs have those of their user, or of a keytab', async () => {
    const place = temporaryDirectory();
    for (const name of ['etc', 'crontabs', 'out']) mkdirSync(`${place}/${name}`);
    chmodSync(`${place}/out`, 0o1777);
    const addJob = ({ name, uid, gid }: TestUser, command: string) => {
      const set = ['MAILTO=""', 'HOME=/', `KRB5_CONFIG=${machine.env.KRB5_CONFIG}`];
      const job = `@reboot ${command} > ${place}/out/${name}.new 2>&1; mv ${place}/out/${name}.new ${place}/out/${name}`;
      writeFileSync(`${place}/crontabs/${name}`, [...set, job, ''].join('\n'), { mode: 0o600 });
      chownSync(`${place}/crontabs/${name}`, uid, gid);
    };
    addJob(alice, 'klist');
    addJob(bob, `k5start -q -U -f ${await keytabOfBob()} -- klist`);
    start('/usr/bin/unshare', ['-m', 'sh', '-ec', CRON, place], {
      env: cleanEnvironment({ CRON: unpackedRoot('cron') }),
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    for (const [{ name }, principal] of [
      [alice, 'alice'],
      [bob, 'bob'],
    ] as const) {
      await eventually(() => existsSync(`${place}/out/${name}`));
      expect(readFileSync(`${place}/out/${name}`, 'utf8')).toContain(`Default principal: ${principal}@TEST.EXAMPLE`);
    }
  });
});
