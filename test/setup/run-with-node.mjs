// npm run test-with-node -- MAJOR: all tests but the long ones of test/fault with another Node, which is fetched.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const major = process.argv[2] ?? '26';
const root = join(import.meta.dirname, '../..');
const name = `node-${process.platform}-${process.arch}`;
const directory = join(root, 'node_modules/.cache', `node-${major}`);
const bin = join(directory, 'node_modules', name, 'bin');
if (!existsSync(join(bin, 'node'))) {
  // Of a range npm takes the newest; of the newest major not every platform may be there yet.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', directory, `${name}@${major}`];
  execFileSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
const node = join(bin, 'node');
process.stdout.write(`with Node ${execFileSync(node, ['--version'], { encoding: 'utf8' })}`);
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const { status } = spawnSync(node, [vitest, 'run', '--exclude', 'test/fault/**', ...process.argv.slice(3)], {
  cwd: root,
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
  stdio: 'inherit',
});
process.exit(status ?? 1);
