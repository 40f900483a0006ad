// Does anything cost more in a large collection than in a small one? Counted, not timed: how often each piece of the
// server's code runs for one operation, by V8's precise coverage.
import { Session } from 'node:inspector/promises';
import type { MatchingCredential } from '../../proto/kcm.ts';
import type { CCache } from '../../server/model/ccache.ts';
import { hostClock } from '../../server/model/change-time.ts';
import { Collection } from '../../server/model/collection.ts';
import { Identifiers } from '../../server/model/identifiers.ts';
import { findMatches } from '../../server/protocols/kcm-matching.ts';
import { credentialFor } from '../server/model/model.ts';

interface Size {
  ccaches: number;
  credentials: number;
}

const small: Size = { ccaches: 10, credentials: 10 };
const large: Size = { ccaches: 2_000, credentials: 100_000 };

/** Steps of the server's code for each operation, in a small collection and in a large one, as a Markdown table. */
export async function growth(): Promise<string> {
  const [few, many] = [await stepsAt(small), await stepsAt(large)];
  const lines = Object.keys(few).map((name) => {
    const [a, b] = [few[name] as number, many[name] as number];
    return `| ${name} | ${a} | ${b} | ${(b / a).toFixed(2)}× |`;
  });
  const sizes = [small, large].map(({ ccaches, credentials }) => `${ccaches} ccaches, ${credentials} credentials`);
  return [`| steps of code for | ${sizes.join(' | ')} | ratio |`, '| --- | ---: | ---: | ---: |', ...lines].join('\n');
}

async function stepsAt({ ccaches, credentials }: Size): Promise<Record<string, number>> {
  const collection = new Collection(new Identifiers(), hostClock);
  for (let i = 0; i < ccaches; i++) collection.create(`ccache ${i}`, 2, 'alice@R');
  const full = collection.findByName(`ccache ${ccaches >> 1}`) as CCache;
  for (let i = 0; i < credentials; i++) collection.store(full, credentialFor(`${i}@R`));
  const list = full.contents.credentials;
  const inTheMiddle = list.cursor();
  for (let i = 0; i < credentials >> 1; i++) inTheMiddle.next();
  const { identifier } = inTheMiddle.next() as { identifier: CCache['identifier'] };
  const walk = collection.cursor();
  for (let i = 0; i < ccaches >> 1; i++) walk.next();
  return counted({
    'open by name': () => collection.findByName(`ccache ${ccaches - 1}`),
    'find by identifier': () => collection.find(full.identifier),
    'create a ccache': () => collection.create('one more', 2, 'alice@R'),
    'destroy a ccache': () => collection.destroy(collection.findByName('one more') as CCache),
    'set the default': () => collection.setDefault(full),
    'store a credential': () => collection.store(full, credentialFor('one more@R')),
    'look up a credential as KCM does': () => [...findMatches(list, wantedIn(credentials), 0)].length,
    'remove a credential from the middle': () => collection.remove(full, [identifier]),
    'next credential, behind the removed one': () => inTheMiddle.next(),
    'next ccache': () => walk.next(),
    'begin to iterate over credentials': () => list.cursor(),
    // The one that has to grow, since it takes note of the order of that moment; it shows that growth would show.
    'begin to iterate over ccaches': () => collection.cursor(),
  });
}

/** What a client asks for that wants a ticket for the service in the middle. */
function wantedIn(credentials: number): MatchingCredential {
  const times = { authtime: 0, starttime: 0, endtime: 0, renewTill: 0 };
  const rest = { enctype: 0, isSkey: 0, ticketFlags: 0, authdata: [], secondTicket: Buffer.alloc(0) };
  return { client: undefined, server: `${(credentials >> 1) + 2}@R`, ...times, ...rest };
}

/** Runs each operation alone and counts the blocks of code that it runs through, over all of the server's files. */
async function counted(operations: Record<string, () => unknown>): Promise<Record<string, number>> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const steps: Record<string, number> = {};
  for (const [name, operation] of Object.entries(operations)) {
    await session.post('Profiler.takePreciseCoverage');
    operation();
    const { result } = await session.post('Profiler.takePreciseCoverage');
    steps[name] = result
      .filter(({ url }) => url.includes('/server/') && !url.includes('/test/'))
      .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges))
      .reduce((total, { count }) => total + count, 0);
  }
  await session.post('Profiler.stopPreciseCoverage');
  session.disconnect();
  return steps;
}
