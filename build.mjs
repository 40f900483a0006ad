// Bundles the library and each program into one file: nothing is resolved or read at start-up but that.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
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
// As Node wraps a CommonJS module; run-compiled.cjs calls it.
const wrapper = { banner: { js: '(function(exports,require,module,__filename,__dirname){' }, footer: { js: '})' } };
await build({ ...options, ...wrapper, entryPoints: programs, entryNames: '[name].bundle' });
await build({ ...options, entryPoints: { index: 'client/index.ts' } });
for (const program of Object.keys(programs)) {
  const bundle = `dist/${program}.bundle.js`;
  const text = readFileSync(bundle, 'latin1');
  // Compiled code has no place for it: what is loaded late comes from the bundle, or from process.getBuiltinModule.
  if (/\bimport\(/.test(text)) throw new Error(`${bundle}: a dynamic import that is not bundled`);
  writeFileSync(`${bundle}.compiled`, compiledFile(text, bundle));
  copyFileSync('run-compiled.cjs', `dist/${program}.js`);
  chmodSync(`dist/${program}.js`, 0o755);
}

mkdirSync('dist/completions', { recursive: true });
for (const [shell, name] of Object.entries({ bash: 'ccapi.bash', fish: 'ccapi.fish', zsh: '_ccapi' })) {
  writeFileSync(`dist/completions/${name}`, execFileSync(process.execPath, ['dist/ccapi.js', 'completions', shell]));
}

/** Compiled code behind what run-compiled.cjs compares before it is used. It begins at a multiple of 8, as V8 wants it. */
function compiledFile(text, filename) {
  const { platform, arch, version, versions, config } = process;
  const pointers = config.variables.v8_enable_pointer_compression;
  const header = `compiled ${platform} ${arch} ${version} ${versions.v8} ${pointers} ${text.length} `;
  const padding = ' '.repeat(7 - ((header.length + text.length) % 8));
  return Buffer.concat([Buffer.from(`${header}${padding}\n${text}`, 'latin1'), compiled(text, filename)]);
}

/** All of it: what is compiled only when it is first called is compiled at each start. */
function compiled(text, filename) {
  setFlagsFromString('--no-lazy');
  const script = new Script(text, { filename });
  // V8 takes back what it has made by the same options alone.
  setFlagsFromString('--lazy');
  const cachedData = script.createCachedData();
  if (new Script(text, { filename, cachedData }).cachedDataRejected) throw new Error(`${filename}: compiled in vain`);
  return cachedData;
}
