// A scripted day of a user of everything at once: a program with the library, our command, kinit, klist and the rest, with
// the worker killed between every two operations. It comes out as it does without a kill.
import { expect, inject, it } from 'vitest';
import { memory, temporaryDirectory } from '../setup/cleanup.ts';
import { command, kill, libraryProgram, shown, withoutChance } from '../setup/commands.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { describeWith } from '../setup/requirements.ts';
import { drawnFrom, seed, tellSeed } from '../setup/seed.ts';
import type { TestUser } from '../setup/test-users.ts';
import { sized } from './size.ts';

tellSeed();

const OPERATIONS = sized(50, 500);

const principals = ['alice', 'bob', 'carol'];
const services = ['svc/0.test.example', 'svc/1.test.example', 'svc/2.test.example'];
const names = ['a', 'b', 'c', 'd'];

/** What may be done, each as often as it stands here; `l:` is the library's program. Names are drawn for N, M, P and S. */
const operations = `kinit P
kinit -c KCM:N P
kinit -c KCM:N P
klist
klist -A
klist -c KCM:N
klist -l
kvno S
kvno -c KCM:N S
kvno -c KCM:N S
kswitch -c KCM:N
kdestroy -c KCM:N
kdestroy
o:list -A
o:list -c N
o:switch -c N
o:move N M
o:destroy -c N
l:create N
l:create N
l:store N S
l:store N S
l:store N S
l:default N
l:remove N
l:destroy N
l:offset N 3
l:names`.split('\n');

describeWith(frontDoorRequirements, 'with a worker that is killed all the time', () => {
  it(`${OPERATIONS} operations`, { timeout: 3_600_000 }, async () => {
    const below = drawnFrom(seed);
    const one = (from: string[]) => from[below(from.length)] as string;
    const base = `${temporaryDirectory(memory)}/run`;
    const machine = await startFrontDoor([...principals, ...services], { base });
    const [alice, bob] = inject('users') as [TestUser, TestUser];
    const days = [alice, bob].map((user) => dayOf(machine, user)) as [Day, Day];
    const done: string[] = [];
    for (let i = 0; i < OPERATIONS; i++) {
      const line = one(operations)
        .replace(/\bN\b/, one(names))
        .replace(/\bM\b/, one(names))
        .replace(/\bP\b/, one(principals))
        .replace(/\bS\b/, one(services));
      done.push(line);
      const [undisturbed, disturbed] = await Promise.all(days.map((day) => day(line)));
      expect(disturbed, `seed ${seed}: ${done.join('; ')}: ${disturbed}`).toBe(undisturbed);
      await kill(machine, bob.uid);
    }
    const [undisturbed, disturbed] = await Promise.all(days.map((day) => day('o:list -A --all')));
    expect(disturbed).toBe(undisturbed);
  });
});

type Day = (line: string) => Promise<string>;

function dayOf(machine: FrontDoor, user: TestUser): Day {
  const library = libraryProgram(machine, user);
  return async (line) =>
    line.startsWith('l:') ? withoutChance(await library(line.slice(2))) : shown(await command(machine, user, line));
}
