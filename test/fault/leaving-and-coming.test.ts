// A worker leaves at the very moment at which a client comes: no request is lost, and nothing that was stored.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { memory, temporaryDirectory } from '../setup/cleanup.ts';
import { programs } from '../setup/programs.ts';
import { drawnFrom, seed, tellSeed } from '../setup/seed.ts';
import { sized } from './size.ts';

const WORKERS = sized(5, 20);
const ROUNDS = sized(8, 50);
const AT_ONCE = 3;

const below = drawnFrom(seed);

tellSeed();

/** Several come at once, when the worker that the last ones found is about to leave, leaves, or has left. */
async function visited(base: string): Promise<number> {
  const launcher = [process.execPath, programs.launcher, `--directory=${base}`, '--idle-timeout=1'] as const;
  const open = () => new Context({ env: { CCAPI_DIRECTORY: base, CCAPI_PORT: '1', KRB5_CONFIG: '/x' }, launcher });
  const users = Array.from({ length: AT_ONCE }, (_, i) => ({ name: `user ${i}`, visits: 0 }));
  /** Finds what the last visit left, and leaves something for the next. */
  async function visit(user: { name: string; visits: number }): Promise<void> {
    await using context = open();
    const ccache = await context.openCCache(user.name);
    expect(await ccache.getPrincipal()).toBe(`${user.visits}@R`);
    await ccache.setPrincipal(`${++user.visits}@R`);
  }
  await using first = open();
  for (const { name } of users) await first.createCCache(name, '0@R');
  await first.close();
  for (let round = 0; round < ROUNDS; round++) {
    // It leaves a second after the last request, and takes a tenth of one for it.
    await delay(970 + below(200));
    await Promise.all(users.map(visit));
  }
  return users.reduce((total, { visits }) => total + visits, 0);
}

it(`${WORKERS * ROUNDS * AT_ONCE} visits around the deadlines of ${WORKERS} workers`, {
  timeout: 600_000,
}, async () => {
  const bases = Array.from({ length: WORKERS }, () => temporaryDirectory(memory));
  const visits = await Promise.all(bases.map(visited));
  expect(visits).toEqual(Array(WORKERS).fill(ROUNDS * AT_ONCE));
});
