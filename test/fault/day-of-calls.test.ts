// A scripted day of calls of the library, once undisturbed and once with the worker killed before every call:
// no difference in the outcome, and nothing done twice.
import { expect, it } from 'vitest';
import { CCAPIError, type CCache, Context } from '../../client/index.ts';
import { credentialFor } from '../server/model/model.ts';
import { memory, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { programs } from '../setup/programs.ts';
import { drawnFrom, seed, tellSeed } from '../setup/seed.ts';
import { sized } from './size.ts';

tellSeed();

const CALLS = sized(120, 500);

type Call = (context: Context) => Promise<unknown>;

/** What each step asks, by numbers that are drawn; the same ones for both days. */
function calls(below: (below: number) => number): Call[] {
  const open = async (context: Context, index: number): Promise<CCache> => {
    const all: CCache[] = [];
    for await (const ccache of context.ccaches()) all.push(ccache);
    const ccache = all[index % all.length];
    if (!ccache) throw new CCAPIError('ccErrCCacheNotFound');
    return ccache;
  };
  return Array.from({ length: CALLS }, (_, step): Call => {
    const [index, other, name] = [below(100), below(100), 'abcdefgh'[below(8)] as string];
    const on = (call: (ccache: CCache, context: Context) => Promise<unknown>): Call => {
      return async (context) => call(await open(context, index), context);
    };
    const options: [weight: number, call: Call][] = [
      [2, async (context) => (await context.createCCache(name, `${name}@R`)).getName()],
      [1, async (context) => (await context.createNewCCache(`${name}@R`)).getName()],
      [8, on((ccache) => ccache.storeCredentials(credentialFor(`s${step}@R`)))],
      [2, on((ccache) => ccache.setDefault())],
      [1, on((ccache) => ccache.destroy())],
      [1, on(async (ccache, context) => ccache.move(await open(context, other)))],
      [1, on((ccache) => ccache.setPrincipal(`${name}${step}@R`))],
      [1, on((ccache) => ccache.setKDCTimeOffset(index - 50))],
      [1, on((ccache) => ccache.getKDCTimeOffset())],
      [2, on((ccache) => ccache.getPrincipal())],
      [1, (context) => context.getDefaultCCacheName()],
      [2, async (context) => (await context.openCCache(name)).getPrincipal()],
      [
        2,
        on(async (ccache) => {
          for await (const credentials of ccache.credentials()) {
            if (index % 2) return ccache.removeCredentials(credentials);
          }
          return undefined;
        }),
      ],
    ];
    let drawn = below(options.reduce((total, [weight]) => total + weight, 0));
    for (const [weight, call] of options) {
      drawn -= weight;
      if (drawn < 0) return call;
    }
    throw new Error('the weights do not add up');
  });
}

async function outcome(call: Call, context: Context): Promise<unknown> {
  try {
    return (await call(context)) ?? null;
  } catch (error) {
    // No server may be missed in either; the message says how one was.
    if (error instanceof CCAPIError) return error.name === 'ccErrServerUnavailable' ? error.message : error.name;
    throw error;
  }
}

async function everything(context: Context): Promise<unknown> {
  const all: unknown[] = [];
  for await (const ccache of context.ccaches()) {
    const services: string[] = [];
    for await (const { data } of ccache.credentials()) services.push(data.server);
    all.push([await ccache.getName(), await ccache.getPrincipal(), services]);
  }
  return all;
}

function openBelow(base: string): Context {
  const launcher = [process.execPath, programs.launcher, `--directory=${base}`] as const;
  return new Context({ env: { CCAPI_DIRECTORY: base, CCAPI_PORT: '1', KRB5_CONFIG: '/nonexistent' }, launcher });
}

it(`${CALLS} calls`, { timeout: 600_000 }, async () => {
  const bases = [temporaryDirectory(memory), temporaryDirectory(memory)] as const;
  const days = [calls(drawnFrom(seed)), calls(drawnFrom(seed))] as const;
  await using undisturbed = openBelow(bases[0]);
  await using disturbed = openBelow(bases[1]);
  for (let step = 0; step < CALLS; step++) {
    const expected = await outcome(days[0][step] as Call, undisturbed);
    for (const pid of workersBelow(bases[1])) process.kill(pid, 'SIGKILL');
    expect(await outcome(days[1][step] as Call, disturbed), `seed ${seed}, step ${step}`).toEqual(expected);
  }
  expect(await everything(disturbed)).toEqual(await everything(undisturbed));
});

it('an iteration goes on with what it has not returned, nothing twice and nothing left out', async () => {
  const base = temporaryDirectory(memory);
  await using context = openBelow(base);
  const ccache = await context.createNewCCache('alice@R');
  const services = Array.from({ length: 300 }, (_, i) => `s${i}@R`);
  await Promise.all(services.map((service) => ccache.storeCredentials(credentialFor(service))));
  const seen: string[] = [];
  for await (const { data } of ccache.credentials()) {
    if (seen.push(data.server) % 40 === 0) for (const pid of workersBelow(base)) process.kill(pid, 'SIGKILL');
  }
  expect(seen).toEqual(services);
});

it('who waits for a change goes on waiting, and is told of one that the next server sees', async () => {
  const base = temporaryDirectory(memory);
  await using waiting = openBelow(base);
  await using changing = openBelow(base);
  const ccache = await changing.createNewCCache('alice@R');
  await waiting.waitForChange();
  const told = waiting.waitForChange();
  // It has reached the server when that has answered something that was asked after it.
  await waiting.getChangeTime();
  for (const pid of workersBelow(base)) process.kill(pid, 'SIGKILL');
  await ccache.storeCredentials(credentialFor('s@R'));
  expect(await told).toBeGreaterThan(0);
});
