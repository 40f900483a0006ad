// The launcher refuses a user, and krb5.conf names the directory: no command takes that for an empty collection.
import { beforeAll, expect, inject, it } from 'vitest';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { ccapi } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith(frontDoorRequirements, 'a user who is refused', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;
  beforeAll(async () => {
    machine = await startFrontDoor(['alice', 'bob'], { settings: [` deny = ${bob.uid}`] });
  });

  it.each([['list'], ['list', '-l'], ['list', '--json'], ['destroy', '-A'], ['purge'], ['switch', '-c', 'x']])(
    'is told so by ccapi %s %s',
    async (...args) => {
      const { code, stdout, stderr } = await ccapi(args, { uid: bob.uid, gid: bob.gid, env: machine.env });
      expect(code).toBeGreaterThan(0);
      expect(stdout).toBe('');
      expect(stderr).toContain(`uid ${bob.uid} is not served: deny = ${bob.uid}`);
    },
  );

  it('and one who is served has an empty collection', async () => {
    const { code, stdout } = await ccapi(['list', '--json'], { uid: alice.uid, gid: alice.gid, env: machine.env });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '[]\n' });
  });
});
