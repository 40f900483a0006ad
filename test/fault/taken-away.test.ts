// Every subset of the files in a user's directory, removed or emptied, while a worker lives and after it was killed: the next
// command works within two seconds, finds what was not taken away, and leaves one worker at the most.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { credentialFor } from '../server/model/model.ts';
import { end, endWorkersBelow, eventually, memory, workersBelow } from '../setup/cleanup.ts';
import { programs } from '../setup/programs.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';

const uid = process.getuid?.() as number;

/** Milliseconds within which the next command has to work. */
const DEADLINE = 2000;

/** The names in a directory that has a worker, by kind: those of the worker itself end in its id. */
const names = ['S.ccapi', 'S.', 'H.ccapi', 'H.', 'W.'];
const kept = ['caches/collection', 'caches/primary', 'caches/tkt'];

/** What is done to the files of the kinds. */
type Damage = Record<string, 'removed' | 'emptied'>;

/** Every way to leave each of the kinds alone or do one of the things to it. */
function damages(kinds: readonly string[], ways: readonly ('removed' | 'emptied')[]): [title: string, Damage][] {
  let all: Damage[] = [{}];
  for (const kind of kinds) all = all.flatMap((one) => [one, ...ways.map((way) => ({ ...one, [kind]: way }))]);
  return all.map((one) => [Object.entries(one).flat().join(' ') || 'nothing', one]);
}

/** The path of the file of a kind. */
function pathOf(directory: string, kind: string): string {
  const [below, prefix] = kind.startsWith('caches/') ? ['caches/', kind.slice(7)] : ['', kind];
  const found = readdirSync(`${directory}/${below}`).filter((name) => name.startsWith(prefix));
  const exact = found.includes(prefix) ? prefix : found.find((name) => !name.endsWith('.ccapi'));
  if (exact === undefined) throw new Error(`no ${kind} in ${directory}: ${found.join()}`);
  return `${directory}/${below}${exact}`;
}

function inflict(directory: string, damage: Damage): void {
  const paths = Object.entries(damage).map(([kind, way]) => [pathOf(directory, kind), way] as const);
  for (const [path, way] of paths) {
    if (way === 'removed') rmSync(path, { recursive: true });
    else truncateSync(path);
  }
}

const contextFor = (base: string) => {
  const launcher = [process.execPath, programs.launcher, `--directory=${base}`] as const;
  return new Context({ env: { CCAPI_DIRECTORY: base, CCAPI_PORT: '1', KRB5_CONFIG: '/x' }, launcher });
};

/** A directory with a worker, and a ccache with a ticket in it. */
async function usedDirectory(): Promise<{ base: string; directory: string; kill: () => Promise<void> }> {
  const base = workerDirectory(memory);
  const { worker } = await startWorker(base);
  await using context = contextFor(base);
  await (await context.createCCache('a', 'alice@R')).storeCredentials(credentialFor('s@R'));
  const directory = `${base}/${uid}`;
  await eventually(() => existsSync(`${directory}/caches/primary`));
  return { base, directory, kill: () => end(worker, 'SIGKILL') };
}

/** The next command: it stores a ticket, and tells which others it found. */
async function nextCommand(base: string, own = 'next@R'): Promise<string[]> {
  const began = performance.now();
  await using context = contextFor(base);
  await (await context.createCCache(own, 'alice@R')).storeCredentials(credentialFor(own));
  const found: string[] = [];
  for await (const ccache of context.ccaches()) {
    for await (const { data } of ccache.credentials()) found.push(data.server);
  }
  expect(performance.now() - began).toBeLessThan(DEADLINE);
  return found.filter((server) => server !== own).sort();
}

/** One worker serves, everything is at its place, and an end in order leaves no process and loses nothing. */
async function expectGoodOrder(base: string, directory: string, tickets: string[]): Promise<void> {
  await eventually(() => workersBelow(base).length === 1);
  await eventually(() =>
    names.every((kind) => ['S.', 'H.', 'W.'].includes(kind) || existsSync(`${directory}/${kind}`)),
  );
  await endWorkersBelow(base);
  // Of a worker that was killed, and of which nothing but these is left, a later one removes them.
  const left = readdirSync(directory).filter((name) => !/^[SH]\./.test(name) || name.endsWith('.ccapi'));
  expect(left).toEqual(['caches', 'krb5cc']);
  expect(await nextCommand(base, 'last@R')).toEqual(tickets);
  await endWorkersBelow(base);
}

describe('while a worker lives,', () => {
  it.each([
    ...damages(names, ['removed']),
    ...damages(kept, ['removed', 'emptied']),
    ...damages([...names, 'caches'], ['removed']).slice(-1),
    ['the token emptied', { 'W.': 'emptied' }] as [string, Damage],
  ])('%s', async (_, damage) => {
    const { base, directory } = await usedDirectory();
    const [pid] = workersBelow(base);
    inflict(directory, damage);
    expect(await nextCommand(base)).toEqual(['s@R']);
    expect(workersBelow(base)).toContain(pid);
    await expectGoodOrder(base, directory, ['next@R', 's@R']);
  });

  it('what is kept removed, which is there again before the worker is killed', async () => {
    const { base, directory, kill } = await usedDirectory();
    rmSync(`${directory}/caches`, { recursive: true });
    await eventually(() => existsSync(`${directory}/caches/primary`));
    await kill();
    expect(await nextCommand(base)).toEqual(['s@R']);
    await expectGoodOrder(base, directory, ['next@R', 's@R']);
  });

  it('the directory removed', async () => {
    const { base, directory } = await usedDirectory();
    const [pid] = workersBelow(base);
    rmSync(directory, { recursive: true });
    expect(await nextCommand(base)).toEqual([]);
    await eventually(() => !workersBelow(base).includes(pid as number));
    await expectGoodOrder(base, directory, ['next@R']);
  });

  it('the directory replaced by another, and the former worker leaves its files alone', async () => {
    const { base, directory } = await usedDirectory();
    const [pid] = workersBelow(base);
    await using former = contextFor(base);
    const ccache = await former.openCCache('a');
    renameSync(directory, `${base}/former`);
    mkdirSync(directory, { mode: 0o700 });
    expect(await nextCommand(base)).toEqual([]);
    await ccache.storeCredentials(credentialFor('late@R')).catch(() => {});
    await former.close();
    await eventually(() => !workersBelow(base).includes(pid as number));
    expect(readdirSync(`${base}/former`)).toContain('caches');
    await expectGoodOrder(base, directory, ['next@R']);
  });
});

describe('after a worker was killed,', () => {
  it.each([...damages(names, ['removed']), ['the token emptied', { 'W.': 'emptied' }] as [string, Damage]])(
    '%s',
    async (_, damage) => {
      const { base, directory, kill } = await usedDirectory();
      await kill();
      inflict(directory, damage);
      expect(await nextCommand(base)).toEqual(['s@R']);
      await expectGoodOrder(base, directory, ['next@R', 's@R']);
    },
  );

  it.each(damages(kept, ['removed', 'emptied']))('%s', async (_, damage) => {
    const { base, directory, kill } = await usedDirectory();
    await kill();
    inflict(directory, damage);
    const left = 'caches/tkt' in damage ? [] : ['s@R'];
    expect(await nextCommand(base)).toEqual(left);
    await expectGoodOrder(base, directory, ['next@R', ...left]);
  });
});

describe('where no worker is,', () => {
  it.each<[string, (directory: string) => void]>([
    ['the token of version 0.1 without its bearer', (at) => writeFileSync(`${at}/W`, '')],
    ['the token of version 0.1 of a dead bearer', (at) => writeFileSync(`${at}/W`, 'x.y')],
    ['a token without its worker', (at) => writeFileSync(`${at}/W.x.y`, '')],
    ['two such tokens', (at) => ['W.x', 'W.y'].map((name) => writeFileSync(`${at}/${name}`, ''))],
    ['a token with a very long name', (at) => writeFileSync(`${at}/W.${'x'.repeat(200)}`, '')],
    ['a directory as a token', (at) => mkdirSync(`${at}/W.x/y`, { recursive: true })],
    ['a directory as the free token', (at) => mkdirSync(`${at}/W.free`)],
    ['a dangling link as a token', (at) => symlinkSync('nowhere', `${at}/W.x`)],
    ['a link to itself as a socket', (at) => ['W.x', 'S.x'].map((name) => symlinkSync('S.x', `${at}/${name}`))],
    [
      'directories as sockets',
      (at) => ['S.ccapi/x', 'H.ccapi'].map((n) => mkdirSync(`${at}/${n}`, { recursive: true })),
    ],
    [
      'files as sockets',
      (at) => ['S.ccapi', 'H.ccapi', 'S.x', 'W.x'].map((name) => writeFileSync(`${at}/${name}`, '')),
    ],
    ['dangling links as sockets', (at) => ['S.ccapi', 'H.ccapi'].map((name) => symlinkSync('x', `${at}/${name}`))],
    [
      'a directory in the place of each kept file',
      (at) =>
        ['collection', 'primary', 'new', 'tkt1', 'gone', 'journal'].map((name) =>
          mkdirSync(`${at}/caches/${name}/x`, { recursive: true, mode: 0o700 }),
        ),
    ],
  ])('%s', async (_, prepare) => {
    const base = workerDirectory(memory);
    const directory = `${base}/${uid}`;
    prepare(directory);
    expect(await nextCommand(base)).toEqual([]);
    await eventually(() => workersBelow(base).length === 1);
    await endWorkersBelow(base);
    expect(await nextCommand(base, 'last@R')).toEqual(['next@R']);
  });

  it.each([0o2700, 0o1700, 0o3700])('a directory of mode %o, also for a login session', async (mode) => {
    const base = workerDirectory(memory);
    chmodSync(base, 0o2755);
    chmodSync(`${base}/${uid}`, mode);
    expect((await startWorker(base)).said).toBe('ok\n');
    expect((await startWorker(base, '--session=one')).said).toBe('ok\n');
  });
});
