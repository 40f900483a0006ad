// Bundles the library and each program into one file: nothing is resolved or read at start-up but that.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const options = {
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // A native addon cannot be bundled; it is loaded from node_modules where it is needed at all.
  external: ['koffi'],
  // What proper-lockfile asks for beside itself: the first would replace functions of Node's own fs, and is slow to load; of
  // the second see the file.
  alias: { 'graceful-fs': 'node:fs', 'signal-exit': './launcher/on-exit.cjs' },
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
// As Node wraps a CommonJS module; run-compiled.cjs calls it.
const wrapper = { banner: { js: '(function(exports,require,module,__filename,__dirname){' }, footer: { js: '})' } };
// It is loaded once in the life of a machine, and not with each launcher.
const apart = {
  name: 'apart',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\.\/setup\/main\.ts$/ }, () => ({ path: './ccapi-setup.js', external: true })),
};
const asRequire = { plugins: [apart], supported: { 'dynamic-import': false } };
const { 'ccapi-launcher': launcher, ...others } = programs;
await build({ ...options, ...wrapper, entryPoints: others, entryNames: '[name].bundle' });
await build({ ...options, ...wrapper, ...asRequire, entryPoints: { 'ccapi-launcher.bundle': launcher } });
await build({ ...options, entryPoints: { 'ccapi-setup': 'launcher/setup/main.ts' } });
await build({ ...options, entryPoints: { index: 'client/index.ts' } });
const { compiledFile } = await importTypeScript('launcher/setup/compiled-code.ts');
for (const program of Object.keys(programs)) {
  const bundle = `dist/${program}.bundle.js`;
  const text = readFileSync(bundle, 'latin1');
  // Compiled code has no place for it: what is loaded late comes from the bundle, or from process.getBuiltinModule.
  if (/\bimport\(/.test(text)) throw new Error(`${bundle}: a dynamic import that is not bundled`);
  writeFileSync(`${bundle}.compiled`, compiledFile(bundle));
  copyFileSync('run-compiled.cjs', `dist/${program}.js`);
  chmodSync(`dist/${program}.js`, 0o755);
}

mkdirSync('dist/completions', { recursive: true });
for (const [shell, name] of Object.entries({ bash: 'ccapi.bash', fish: 'ccapi.fish', zsh: '_ccapi' })) {
  writeFileSync(`dist/completions/${name}`, execFileSync(process.execPath, ['dist/ccapi.js', 'completions', shell]));
}

/** A module of the launcher's, which imports nothing but Node's own: setup compiles by it too. */
async function importTypeScript(path) {
  const { outputFiles } = await build({ entryPoints: [path], platform: 'node', format: 'esm', write: false });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}
