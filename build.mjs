// Bundles the library and each program into one file: nothing is resolved or read at start-up but that file.
import { chmodSync } from 'node:fs';
import { build } from 'esbuild';

const options = {
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // A native addon cannot be bundled; it is loaded from node_modules where it is needed at all.
  external: ['koffi'],
  // Less to read is a quicker start; the names stay, for what is said of faults.
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: 'warning',
};
const programs = {
  ccapi: 'client/cli/main.ts',
  'ccapi-launcher': 'launcher/main.ts',
  'ccapi-server': 'server/main.ts',
};
await build({ ...options, entryPoints: programs, banner: { js: '#!/usr/bin/env node' } });
await build({ ...options, entryPoints: { index: 'client/index.ts' } });
for (const program of Object.keys(programs)) chmodSync(`dist/${program}.js`, 0o755);
