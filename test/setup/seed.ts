// Tests that draw by chance draw by one seed, and so do property tests: CCAPI_TEST_SEED=123 npx vitest run FILE has them draw
// once more what they drew when they failed.
import { afterEach } from 'vitest';

const given = process.env.CCAPI_TEST_SEED;

/** The seed of this run. */
export const seed = Number(given ?? Date.now()) >>> 0;

/** Numbers that come again with the same seed. */
export function drawnFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    // A linear congruential generator: its high bits are good enough to choose by.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Tells by which seed the tests of this file that fail have drawn. */
export function tellSeed(): void {
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') process.stderr.write(`${task.name}: failed with CCAPI_TEST_SEED=${seed}\n`);
  });
}

/** Has property tests draw by the seed that is given; they tell theirs themselves. */
export async function seedProperties(): Promise<void> {
  if (given === undefined) return;
  const { default: fc } = await import('fast-check');
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: seed | 0 });
}
