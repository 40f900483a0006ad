import { defineConfig } from 'vitest/config';
import { findOpenPlace } from './test/setup/open-place.mts';

findOpenPlace(import.meta.dirname);

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    setupFiles: 'test/setup/per-file.ts',
    globalSetup: 'test/setup/global.ts',
  },
});
