import { defineConfig } from 'vitest/config';
import { findOpenPlace } from './test/setup/open-place.mts';

findOpenPlace(import.meta.dirname);

/** Files that use no port and no user of the machine, and hold no time against a bound: two at once do not disturb each other. */
const alone = ['test/proto/**/*.test.ts', 'test/server/**/!(bounds).test.ts'];
const others = ['test/*.test.ts', 'test/!(proto|server)/**/*.test.ts', 'test/server/**/bounds.test.ts'];

const shared = { testTimeout: 60_000, hookTimeout: 120_000, setupFiles: 'test/setup/per-file.ts' };

export default defineConfig({
  test: {
    globalSetup: 'test/setup/global.ts',
    projects: [
      { test: { ...shared, name: 'alone', include: alone, maxWorkers: 2, sequence: { groupOrder: 0 } } },
      { test: { ...shared, name: 'machine', include: others, sequence: { groupOrder: 1 } } },
    ],
  },
});
