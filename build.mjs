// Bundles each program into one file: nothing is resolved or read at start-up but that file.
import { chmodSync } from 'node:fs';
import { build } from 'esbuild';

await build({
  entryPoints: {
    ccapi: 'client/cli/main.ts',
    'ccapi-launcher': 'launcher/main.ts',
    'ccapi-server': 'server/main.ts',
  },
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  banner: { js: '#!/usr/bin/env node' },
  // A native addon cannot be bundled; it is loaded from node_modules where it is needed at all.
  external: ['koffi'],
  logLevel: 'warning',
});
for (const program of ['ccapi', 'ccapi-launcher', 'ccapi-server']) chmodSync(`dist/${program}.js`, 0o755);
