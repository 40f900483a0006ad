// A rootless container with a /run of its own: what is in it comes to its user's server by the front door that is mounted there.
import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { FRONT_DOOR } from '../../etc/config/paths.ts';
import { unpackedRoot } from '../setup/debian-packages.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { type Outcome, programs, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith([...frontDoorRequirements, 'bubblewrap', 'user namespaces'], 'in a container', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;
  let krb5Conf: string;

  beforeAll(async () => {
    machine = await startFrontDoor(['alice']);
    expect((await machine.as(alice, 'kinit', 'alice')).code).toBe(0);
    krb5Conf = `${machine.kdc.krb5Conf}.container`;
    writeFileSync(
      krb5Conf,
      `[libdefaults]\n default_ccache_name = KCM:\n${readFileSync(machine.kdc.krb5Conf, 'utf8')}`,
    );
  });

  /** Runs a program in one of a user's, as its root. */
  function contained({ uid, gid }: TestUser, mounts: string[], ...command: string[]): Promise<Outcome> {
    const machineWide = ['--ro-bind', '/', '/', '--dev-bind', '/dev', '/dev', '--tmpfs', '/run'];
    const args = ['--unshare-user', '--uid', '0', '--gid', '0', ...machineWide, ...mounts, ...command];
    const env = { KRB5_CONFIG: krb5Conf };
    return run(`${unpackedRoot('bubblewrap')}/usr/bin/bwrap`, args, { uid, gid, env });
  }

  it('stock programs and ours find the tickets of the user outside', async () => {
    const door = ['--bind', machine.door, FRONT_DOOR.replace('/var/', '/')];
    const klist = await contained(alice, door, '/usr/bin/klist');
    expect(klist.stdout).toContain('Default principal: alice@TEST.EXAMPLE');
    const list = await contained(alice, door, process.execPath, programs.ccapi, 'list');
    expect(list).toMatchObject({ code: 0, stdout: expect.stringContaining('alice@TEST.EXAMPLE') });
    expect((await contained(bob, door, '/usr/bin/klist', '-s')).code).toBe(1);
  });

  it('without the door there are none', async () => {
    const klist = await contained(alice, [], '/usr/bin/klist');
    expect(klist).toMatchObject({ code: 1, stderr: 'klist: No KCM server found while resolving ccache\n' });
    expect((await contained(alice, [], process.execPath, programs.ccapi, 'list')).code).toBe(1);
  });
});
