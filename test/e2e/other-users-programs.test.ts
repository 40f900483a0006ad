// Programs that become another user, or run while none is logged in: each finds the tickets of the user that it runs as.
import { chmodSync, chownSync, copyFileSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith([...frontDoorRequirements, 'sudo', 'kstart'], 'with the front door', () => {
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

  it('k5start has one from a keytab, for the command and after it', async () => {
    const keytab = `${temporaryDirectory()}/bob`;
    copyFileSync(await machine.kdc.keytab('bob', ['bob']), keytab);
    chownSync(keytab, bob.uid, bob.gid);
    chmodSync(keytab, 0o600);
    chmodSync(keytab.slice(0, keytab.lastIndexOf('/')), 0o755);
    const started = await machine.as(bob, 'k5start', '-q', '-U', '-f', keytab, '--', 'klist');
    expect(started.stdout).toContain('Default principal: bob@TEST.EXAMPLE');
    expect((await machine.as(alice, 'klist')).stdout).toContain('alice@TEST.EXAMPLE');
  });
});
