// The worker is killed between any two commands, and no client notices: tickets are kept in files in memory.
import { beforeAll, expect, inject, it } from 'vitest';
import { eventually, memory, start, temporaryDirectory } from '../setup/cleanup.ts';
import { command, kill, shown, workersOf } from '../setup/commands.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { acceptedAs } from '../setup/gssapi.ts';
import { cleanEnvironment } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const services = Array.from({ length: 5 }, (_, i) => `svc/${i}.test.example`);

/** A day of a user of Kerberos; `h:` is Heimdal's program, `o:` our own. */
const day = `kinit -r 2d alice
klist -s
kvno ${services.join(' ')}
kvno --cached-only ${services.join(' ')}
h:klist
h:kgetcred svc/1.test.example
klist -f -e -a
kinit -c KCM:work bob
klist -l
klist -A
kswitch -c KCM:work
o:list -A
kvno svc/1.test.example
h:klist -l
kswitch -p alice
h:kinit -c KCM:mine carol
o:switch -p alice@TEST.EXAMPLE
kinit -R
klist -C
kinit bob
o:move work moved
o:list -c moved
kdestroy -c KCM:moved
kinit carol
h:kdestroy
klist
kdestroy -p alice
h:kinit alice
klist -A
kvno --cached-only svc/1.test.example
kdestroy
kdestroy -A
klist`.split('\n');

describeWith([...frontDoorRequirements, 'heimdal', 'kerberos, built'], 'with a worker that may be killed', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;

  beforeAll(async () => {
    const base = `${temporaryDirectory(memory)}/run`;
    machine = await startFrontDoor(['alice', 'bob', 'carol', 'host/a.test.example', ...services], { base });
  });

  it('a day of commands comes out as it does without a kill', async () => {
    const [undisturbed, disturbed]: [string[], string[]] = [[], []];
    for (const line of day) {
      undisturbed.push(`${line}: ${shown(await command(machine, alice, line))}`);
      disturbed.push(`${line}: ${shown(await command(machine, bob, line))}`);
      await kill(machine, bob.uid);
    }
    expect(disturbed).toEqual(undisturbed);
    expect(undisturbed.filter((line) => !line.includes(': 0 ')).length).toBe(2);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'kinit that waits for a password meanwhile does not notice: %s',
    async (signal) => {
      const { uid, gid } = alice;
      const env = cleanEnvironment(machine.env);
      const kinit = start('/usr/bin/kinit', ['alice'], { uid, gid, env, stdio: 'pipe' });
      let said = '';
      for (const stream of [kinit.stdout, kinit.stderr]) stream?.on('data', (chunk) => (said += chunk));
      await eventually(() => said.includes('Password for alice'));
      const [worker] = workersOf(machine, uid);
      await kill(machine, uid, signal);
      const ended = new Promise((resolve) => kinit.once('exit', resolve));
      kinit.stdin?.end(`${machine.kdc.password}\n`);
      expect([await ended, said]).toEqual([0, expect.not.stringContaining('kinit:')]);
      expect((await machine.as(alice, 'klist')).stdout).toContain('Default principal: alice@TEST.EXAMPLE');
      expect(workersOf(machine, uid)).not.toContain(worker);
    },
  );

  it('GSSAPI finds its ticket before and after', async () => {
    const keytab = await machine.kdc.keytab('host.keytab', ['host/a.test.example']);
    expect((await machine.as(alice, 'kinit', 'alice')).code).toBe(0);
    for (let i = 0; i < 2; i++) {
      await kill(machine, alice.uid);
      const { uid, gid } = alice;
      const accepted = await acceptedAs('host@a.test.example', { uid, gid, env: machine.env, keytab });
      expect(accepted).toBe('alice@TEST.EXAMPLE');
    }
  });

  it('32 programs at once find their tickets in the one that is started for them', async () => {
    const made = await Promise.all(
      Array.from({ length: 32 }, (_, i) => command(machine, alice, `kinit -c KCM:${i} alice`)),
    );
    expect(made.map(({ code }) => code)).toEqual(Array(32).fill(0));
    for (let round = 0; round < 5; round++) {
      await kill(machine, alice.uid);
      const found = await Promise.all(
        Array.from({ length: 32 }, (_, i) => command(machine, alice, `klist -c KCM:${i}`)),
      );
      expect(found.map(({ code, stderr }) => `${code} ${stderr}`)).toEqual(Array(32).fill('0 '));
      await kill(machine, alice.uid);
      const stored = await Promise.all(
        Array.from({ length: 32 }, (_, i) => command(machine, alice, `kvno -c KCM:${i} svc/${i % 5}.test.example`)),
      );
      expect(stored.map(({ code, stderr }) => `${code} ${stderr}`)).toEqual(Array(32).fill('0 '));
    }
    const listed = JSON.parse((await command(machine, alice, 'o:list -A --json')).stdout);
    for (const { name, credentials } of listed.filter(
      ({ name }: { name: string }) => /^\d+$/.test(name) && Number(name) < 32,
    )) {
      expect([name, credentials.map(({ server }: { server: string }) => server)]).toEqual([
        name,
        ['krbtgt/TEST.EXAMPLE@TEST.EXAMPLE', `svc/${Number(name) % 5}.test.example@TEST.EXAMPLE`],
      ]);
    }
    expect(workersOf(machine, alice.uid)).toHaveLength(1);
  });
});
