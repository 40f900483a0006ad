// A worker leaves at the very moment at which somebody comes: no request is lost, and nothing that was stored.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { memory, temporaryDirectory } from '../setup/cleanup.ts';
import { programs } from '../setup/programs.ts';
import { drawnFrom, sized } from './size.ts';

const VISITS = sized(40, 3000);
const AT_ONCE = sized(8, 24);

it(`${VISITS} visits around the deadline, by ${AT_ONCE} users of the same worker each`, {
  timeout: 7_200_000,
}, async () => {
  const base = temporaryDirectory(memory);
  const launcher = [process.execPath, programs.launcher, `--directory=${base}`, '--idle-timeout=1'] as const;
  const open = () => new Context({ env: { CCAPI_DIRECTORY: base, CCAPI_PORT: '1', KRB5_CONFIG: '/x' }, launcher });
  const below = drawnFrom(Date.now());
  const users = Array.from({ length: AT_ONCE }, (_, i) => ({ name: `user ${i}`, visits: 0 }));
  /** Finds what the last visit left, and leaves something for the next. */
  async function visit(user: { name: string; visits: number }): Promise<void> {
    await using context = open();
    const ccache = await context.openCCache(user.name);
    expect(await ccache.getPrincipal()).toBe(`${user.visits}@R`);
    await ccache.setPrincipal(`${++user.visits}@R`);
  }
  await using context = open();
  for (const { name } of users) await context.createCCache(name, '0@R');
  await context.close();
  for (let i = 1; i < VISITS; i++) {
    // The worker leaves a second after the last request, and takes a tenth of one for it.
    await delay(980 + below(180));
    await Promise.all(users.map(visit));
  }
});
