import { defineConfig } from 'vitest/config';
import { findOpenPlace } from './test/setup/open-place.mts';

findOpenPlace(import.meta.dirname);

/**
 * Files that use no fixed port and no user of the machine, and hold no time against a bound: two at once do not disturb each
 * other.
 */
const undisturbed = [
  'test/proto/**/*.test.ts',
  'test/server/**/!(bounds).test.ts',
  'test/client/{cli,colours,completions,format,library,output,redirected,running-settings,server-uris}.test.ts',
  'test/client/{programs-that-do-not-answer,waiting,while-kinit-runs}.test.ts',
  'test/e2e/{junk,large-tickets,published-library}.test.ts',
  'test/fault/{day-of-calls,killed-at-any-moment,leaving-and-coming}.test.ts',
];

/** All others. An `exclude` here would have no room for that of a command line. */
const others = ['test/**/*.test.ts', ...undisturbed.map((pattern) => `!${pattern}`)];

const shared = { testTimeout: 60_000, hookTimeout: 120_000, setupFiles: 'test/setup/per-file.ts' };

export default defineConfig({
  test: {
    globalSetup: 'test/setup/global.ts',
    projects: [
      { test: { ...shared, name: 'two at once', include: undisturbed, maxWorkers: 2, sequence: { groupOrder: 0 } } },
      { test: { ...shared, name: 'machine', include: others, sequence: { groupOrder: 1 } } },
    ],
  },
});
