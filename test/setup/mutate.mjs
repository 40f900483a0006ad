// npm run mutate -- FOLDER|FILE [--most=N] [--seed=N] [--also=TEST,TEST] [--only=FILE:LINE]: which changes of the code no test
// notices. Draws up to N changes (40) of the folder's files: a condition that is always true or false, another comparison, one
// side of && or ||, a number that is one more, a boolean turned round, a call left out. Applies one at a time in a copy of the
// tree, and runs there the tests that import the file: those of test/FOLDER, then those of the folder above; then the tests of
// test/FOLDER that start our programs, and --also. Prints each change that all of them pass; with --all the others too, and
// which test fails. Not in .ci/run: 40 changes take about ten minutes.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseAst } from 'vitest/node';

const root = join(import.meta.dirname, '../..');
const [target] = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const option = (name, otherwise) =>
  process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;
const most = Number(option('most', 40));
const seed = Number(option('seed', 1));
const also = option('also', '').split(',').filter(Boolean);
const only = option('only');
const isTalkative = process.argv.includes('--all');
/** What a change may take that makes the tests wait for ever, in seconds; the tests as they are take a minute. */
const TIMEOUT = 300;

const other = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '===': '!==',
  '!==': '===',
  '+': '-',
  '-': '+',
  '&': '|',
  '|': '&',
  '>>>': '<<',
  '<<': '>>>',
};
const otherMethod = { some: 'every', every: 'some', min: 'max', max: 'min' };

/** The changes of a node: each the range it replaces, and the text it puts there. */
function changesOf(node, text) {
  const of = ({ start, end }) => text.slice(start, end);
  const instead = (...texts) => texts.map((by) => ({ start: node.start, end: node.end, by }));
  const condition = ({ test }) => ['true', 'false'].map((by) => ({ start: test.start, end: test.end, by }));
  switch (node.type) {
    case 'IfStatement':
    case 'ConditionalExpression':
      return condition(node);
    case 'LogicalExpression':
      return instead(`(${of(node.left)})`, `(${of(node.right)})`);
    case 'BinaryExpression': {
      const isText = node.operator === '+' && /['"`]/.test(of(node));
      if (!(node.operator in other) || isText) return [];
      return instead(`(${of(node.left)} ${other[node.operator]} ${of(node.right)})`);
    }
    case 'UnaryExpression':
      return node.operator === '!' ? instead(`(${of(node.argument)})`) : [];
    case 'Literal':
      if (typeof node.value === 'boolean') return instead(String(!node.value));
      return typeof node.value === 'number' ? instead(`${node.value + 1}`) : [];
    case 'ExpressionStatement': {
      const { expression } = node;
      const called = expression.type === 'AwaitExpression' ? expression.argument : expression;
      return ['CallExpression', 'AssignmentExpression'].includes(called.type) ? instead(';') : [];
    }
    case 'CallExpression': {
      const { property } = node.callee;
      const by = Object.hasOwn(otherMethod, property?.name ?? '') && otherMethod[property.name];
      return by ? [{ start: property.start, end: property.end, by }] : [];
    }
    default:
      return [];
  }
}

/** Types are passed over: they change nothing that runs. */
function* nodesIn(node) {
  if (Array.isArray(node)) for (const one of node) yield* nodesIn(one);
  else if (node && typeof node.type === 'string') {
    if (node.type.startsWith('TS')) return yield* nodesIn(node.expression);
    yield node;
    for (const [key, child] of Object.entries(node))
      if (typeof child === 'object' && key !== 'typeAnnotation') yield* nodesIn(child);
  }
}

/** The same order for the same seed. */
function shuffled(values) {
  let state = (seed * 2_654_435_761) >>> 0;
  const drawn = values.map((value) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return [state, value];
  });
  return drawn.sort(([a], [b]) => a - b).map(([, value]) => value);
}

const filesOf = (...args) =>
  execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', ...args], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\0')
    .filter((file) => file && existsSync(join(root, file)));
const changes = filesOf(target)
  .filter((file) => file.endsWith('.ts') && !file.startsWith('test/'))
  .flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const all = [...nodesIn(parseAst(text, { lang: 'ts' }))].flatMap((node) => changesOf(node, text));
    return all.map((change) => ({ ...change, file, text, line: text.slice(0, change.start).split('\n').length }));
  });
const drawn = shuffled(changes)
  .filter(({ file, line }) => !only || `${file}:${line}` === only)
  .slice(0, most);
process.stdout.write(`${target}: ${drawn.length} of ${changes.length} changes, seed ${seed}\n`);

const copy = mkdtempSync(join(tmpdir(), 'ccapi-mutants-'));
// Other users run the programs too.
chmodSync(copy, 0o755);
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
for (const file of filesOf()) cpSync(join(root, file), join(copy, file));
// What the programs load is copied: a private machine of a test's sees nothing that is outside of the copy.
const loaded = ['koffi', '@koromix'];
mkdirSync(join(copy, 'node_modules'));
for (const name of readdirSync(join(root, 'node_modules'))) {
  const [from, to] = [join(root, 'node_modules', name), join(copy, 'node_modules', name)];
  if (loaded.includes(name)) cpSync(from, to, { recursive: true });
  else symlinkSync(from, to);
}

// Nothing is built or installed where no program of ours is started.
const UNITS = 'units.config.mjs';
writeFileSync(
  join(copy, UNITS),
  "export default { test: { setupFiles: 'test/setup/per-file.ts', testTimeout: 60_000 } };",
);
const startsPrograms = (test) =>
  /\b(startWorker|startLauncher|programs|inject)\b/.test(readFileSync(join(root, test), 'utf8'));

/** The title of the first test that fails in the copy; undefined where all pass. */
function failing(tests, ...more) {
  if (tests.length === 0) return undefined;
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--bail=1', '--reporter=json', ...more, ...tests];
  // It ends the whole group: a process of vitest's in an endless loop does not notice that vitest has ended.
  const bounded = ['--kill-after=5', String(TIMEOUT), process.execPath, ...args];
  const { status, stdout } = spawnSync('timeout', bounded, { cwd: copy, maxBuffer: 1 << 28 });
  if (status === 0) return undefined;
  // It goes before the object's line, as the build does.
  const [json] = /^\{"numTotalTestSuites.*/m.exec(`${stdout}`) ?? ['{"testResults":[]}'];
  const all = JSON.parse(json).testResults.flatMap(({ assertionResults }) => assertionResults);
  return all.find((test) => test.status === 'failed')?.fullName ?? 'a file that does not load, or a test that hangs';
}

/** Whether a file imports another, by way of any number of others. */
function leadsTo(file, wanted, seen = new Set()) {
  if (file === wanted) return true;
  if (seen.has(file) || !file.endsWith('.ts')) return false;
  seen.add(file);
  const imported = [...readFileSync(join(root, file), 'utf8').matchAll(/ (?:from|import\() ?'(\.[^']+)'/g)];
  return imported.some(([, path]) => leadsTo(join(dirname(file), path), wanted, seen));
}

const folder = statSync(join(root, target)).isDirectory() ? target : dirname(target);
const near = join('test', folder);
const above = join('test', folder.split('/')[0]);
/** What notices a change of a file. */
function noticedBy(file) {
  const tests = filesOf(above).filter((test) => test.endsWith('.test.ts') && leadsTo(test, file));
  const isNear = (test) => test.startsWith(`${near}/`);
  const units = tests.filter((test) => !startsPrograms(test));
  return (
    failing(units.filter(isNear), '--config', UNITS) ??
    failing(
      units.filter((test) => !isNear(test)),
      '--config',
      UNITS,
    ) ??
    failing([...filesOf(near).filter((test) => test.endsWith('.test.ts') && startsPrograms(test)), ...also])
  );
}

const asItIs = noticedBy(drawn[0].file);
if (asItIs) throw new Error(`fails as it is: ${asItIs}`);
let survivors = 0;
for (const { file, text, line, start, end, by } of drawn) {
  // A signal is noticed here.
  await new Promise(setImmediate);
  writeFileSync(join(copy, file), text.slice(0, start) + by + text.slice(end));
  const noticed = noticedBy(file);
  writeFileSync(join(copy, file), text);
  if (noticed === undefined) survivors++;
  if (noticed && !isTalkative) continue;
  const change = `${text.slice(start, end)}  ->  ${by}`.replace(/\s+/g, ' ');
  process.stdout.write(`${file}:${line}: ${change}${noticed ? `   (${noticed})` : ''}\n`);
}
process.stdout.write(`${drawn.length - survivors} of ${drawn.length} are noticed, ${survivors} survive\n`);
