import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { loadKoffi } from '../../../etc/host/load-koffi.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';
import { run } from '../../setup/programs.ts';

const scope = '@koromix';
const name = `${scope}/koffi-${process.platform}-${process.arch}`;
const installed = join(process.cwd(), 'node_modules', name);
let above: string;

beforeEach(() => {
  above = temporaryDirectory();
});

const put = (modules: string) => cpSync(installed, join(modules, name), { recursive: true });

/** What stands where `require` would find it: loading it would be seen. */
function plant(modules: string): void {
  mkdirSync(join(modules, 'koffi'), { recursive: true });
  put(modules);
  writeFileSync(join(modules, 'koffi/index.js'), 'throw new Error("planted")');
}

it('is found in the package itself, here', () => {
  expect(loadKoffi().load(null).func('int getpid()')()).toBe(process.pid);
});

it.each([
  ['in the package', 'lib/node_modules/ccapi/node_modules'],
  ['in koffi, in the package', 'lib/node_modules/ccapi/node_modules/koffi/node_modules'],
  ['beside the package', 'lib/node_modules'],
  ['in koffi, beside the package', 'lib/node_modules/koffi/node_modules'],
])('is found %s', (_, modules) => {
  put(join(above, modules));
  expect(loadKoffi(join(above, 'lib/node_modules/ccapi'))).toHaveProperty('load');
});

it.each([
  ['above the directory of packages', 'lib/node_modules/ccapi', ['node_modules', 'lib/node_modules/node_modules']],
  ['beside a checkout', 'src/ccapi', ['src', 'src/node_modules', 'node_modules']],
  ['in a home', 'lib/node_modules/ccapi', ['home/.node_modules', 'home/.node_libraries']],
])('is not found %s, where require looks', (_, root, places) => {
  for (const modules of places) plant(join(above, modules));
  mkdirSync(join(above, root), { recursive: true });
  expect(() => loadKoffi(join(above, root))).toThrow('koffi cannot be loaded: ');
});

it('is not found by NODE_PATH', async () => {
  plant(join(above, 'modules'));
  mkdirSync(join(above, 'lib/node_modules/ccapi'), { recursive: true });
  const root = join(above, 'lib/node_modules/ccapi');
  const tsx = join(dirname(createRequire(import.meta.url).resolve('tsx/package.json')), 'dist/cjs/index.cjs');
  const script = `
    try { require('${process.cwd()}/etc/host/load-koffi.ts').loadKoffi('${root}'); console.log('loaded'); }
    catch (error) { console.log(error.message); }`;
  const env = { NODE_PATH: join(above, 'modules') };
  const { stdout } = await run(process.execPath, ['--require', tsx, '-e', script], { env });
  expect(stdout).toContain(`koffi cannot be loaded: ${root}/node_modules/${name}`);
});

it('says what is wrong with one that does not load', () => {
  const directory = join(above, 'node_modules', name, `${process.platform}_${process.arch}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'koffi.node'), 'not an addon');
  expect(() => loadKoffi(above)).toThrow(`${directory}/koffi.node: `);
});
