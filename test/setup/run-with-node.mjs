// npm run test-with-node -- MAJOR [ARGUMENT ...]: packs the package, and runs tests, with another Node, which is fetched. The
// arguments are those of vitest.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const major = process.argv[2] ?? '26';
const root = join(import.meta.dirname, '../..');
const name = `node-${process.platform}-${process.arch}`;
const directory = join(root, 'node_modules/.cache', `node-${major}`);
const bin = join(directory, 'node_modules', name, 'bin');
const node = join(bin, 'node');
if (!existsSync(node)) {
  // Of a range npm takes the newest; of the newest major not every platform may be there yet.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', directory, `${name}@${major}`];
  execFileSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
const options = { cwd: root, env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` } };
process.stdout.write(`with Node ${execFileSync(node, ['--version'], { encoding: 'utf8' })}`);

const packed = mkdtempSync(join(tmpdir(), 'ccapi-package-'));
try {
  execFileSync('npm', ['run', '--silent', 'package', '--', '--silent', '--pack-destination', packed], {
    ...options,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
} finally {
  rmSync(packed, { recursive: true });
}
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const { status } = spawnSync(node, [vitest, 'run', ...process.argv.slice(3)], { ...options, stdio: 'inherit' });
process.exit(status ?? 1);
