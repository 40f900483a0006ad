// When the live view is written, and what it leaves: a view and its collection in this process.
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { readCCacheFile } from '../../../proto/ccache-file.ts';
import { unparsePrincipal } from '../../../proto/principal.ts';
import { Collection } from '../../../server/model/collection.ts';
import { Identifiers } from '../../../server/model/identifiers.ts';
import { LiveView } from '../../../server/storage/live-view.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';
import { secret } from './changes.ts';

afterEach(() => void vi.useRealTimers());

/** A collection with two ccaches, `a` being the default, and what keeps its view. */
function start() {
  const place = temporaryDirectory(memory);
  mkdirSync(`${place}/caches`);
  const said: string[] = [];
  const log = { info() {}, warning() {}, refusal() {}, error: (line: string) => void said.push(line) };
  const collection = new Collection(new Identifiers(), () => 1_700_000_000);
  const [a, b] = [collection.create('a', 2, 'a@R'), collection.create('b', 2, 'b@R')];
  const view = `${place}/krb5cc`;
  const open = () => {
    const live = new LiveView(place, collection, false, log);
    live.begin();
    return live;
  };
  const shown = () => {
    const { principal, credentials } = readCCacheFile(readFileSync(view));
    return [principal, ...credentials.map(({ server }) => server)].map((each) => unparsePrincipal(each as never));
  };
  return { place, view, said, collection, a, b, open, shown };
}

/** What a request does that has changed something. */
function acknowledge(live: LiveView): void {
  live.touch();
  live.update();
}

/** A view that has taken more of the time than its share for its writes; the time stands still. */
function busy() {
  vi.useFakeTimers();
  const started = start();
  const live = started.open();
  const services = Array.from({ length: 100 }, (_, i) => `s${i}@R`);
  for (const service of services) {
    started.collection.store(started.a, secret(service));
    acknowledge(live);
  }
  // Each write counts for 2 ms of 128.
  expect(started.shown()).toEqual(['a@R', ...services.slice(0, 64)]);
  return { ...started, live, services };
}

it('is up to date a moment later where writes take too much of the time', () => {
  const { live, services, shown } = busy();
  vi.advanceTimersByTime(20);
  expect(shown()).toEqual(['a@R', ...services]);
  live.close();
});

it('is up to date where its worker leaves within that moment', () => {
  const { live, services, shown } = busy();
  live.close();
  expect(shown()).toEqual(['a@R', ...services]);
});

it('is another default ccache within that moment too', () => {
  const { live, collection, b, shown } = busy();
  collection.setDefault(b);
  acknowledge(live);
  expect(shown()).toEqual(['b@R']);
  live.close();
});

it('is the next default ccache at once, also where that last changed in the same second', () => {
  const { collection, a, b, open, shown } = start();
  const live = open();
  expect(a.changed).toBe(b.changed);
  collection.destroy(a);
  acknowledge(live);
  expect(shown()).toEqual(['b@R']);
  live.close();
});

it('is left as it is by a next worker and by a change of another ccache, and shows at the end of a turn what no reply tells', async () => {
  const { view, collection, a, b, open, shown } = start();
  open().close();
  const { ino } = statSync(view);
  const live = open();
  for (const services of [['one@R'], ['one@R', 'two@R']]) {
    collection.store(a, secret(services.at(-1) as string));
    live.touch();
    await nextTurn();
    expect(shown()).toEqual(['a@R', ...services]);
    const written = statSync(view).ino;
    expect(written).not.toBe(ino);
    collection.store(b, secret('other@R'));
    acknowledge(live);
    await nextTurn();
    live.restore();
    expect(statSync(view).ino).toBe(written);
  }
  live.close();
});

it('gives its room away until the next request', () => {
  const { view, collection, a, open, shown } = start();
  const live = open();
  collection.store(a, secret('one@R'));
  acknowledge(live);
  const readers = [openSync(view, 'r'), openSync(view, 'r')];
  live.yieldRoom();
  expect(existsSync(view)).toBe(false);
  for (const reader of readers) {
    expect(readFileSync(reader).every((byte) => byte === 0)).toBe(true);
    closeSync(reader);
  }
  live.update();
  expect(shown()).toEqual(['a@R', 'one@R']);
  live.close();
});

it('is overwritten where it is destroyed and a directory has taken its place', () => {
  const { view, said, collection, a, b, open } = start();
  const live = open();
  const reader = openSync(view, 'r');
  rmSync(view);
  mkdirSync(view);
  for (const ccache of [a, b]) collection.destroy(ccache);
  acknowledge(live);
  expect(readFileSync(reader).every((byte) => byte === 0)).toBe(true);
  closeSync(reader);
  expect(said).toEqual([]);
  live.close();
});

it('does not show a ccache that is still being filled', () => {
  const { collection, a, b, open, shown } = start();
  const live = open();
  collection.setDefault(collection.create(`unfinished 1`, 2, 'c@R'));
  acknowledge(live);
  expect(shown()).toEqual(['a@R']);
  for (const ccache of [a, b]) collection.destroy(ccache);
  acknowledge(live);
  expect(shown).toThrow('ENOENT');
  live.close();
});

it('says once that it cannot be written', () => {
  const { place, said, collection, a, open } = start();
  const live = open();
  mkdirSync(`${place}/caches/new`);
  for (const service of ['one@R', 'two@R', 'three@R']) {
    collection.store(a, secret(service));
    acknowledge(live);
  }
  expect(said).toEqual([expect.stringContaining('cannot write')]);
  live.close();
});

it.each<[string, (path: string) => void]>([
  ['may be read by all', (path) => chmodSync(path, 0o644)],
  ['has a second name', (path) => linkSync(path, `${path}.other`)],
  ['has more at its end', (path) => appendFileSync(path, 'of another program')],
])('is written anew by a next worker where it %s', (_, change) => {
  const { view, open } = start();
  open().close();
  const before = readFileSync(view);
  change(view);
  const live = open();
  expect(readFileSync(view).equals(before)).toBe(true);
  expect([statSync(view).nlink, statSync(view).mode & 0o777]).toEqual([1, 0o600]);
  live.close();
});

it('takes the place of a directory at once, without a word', () => {
  const { view, said, open, shown } = start();
  mkdirSync(view);
  writeFileSync(`${view}/file`, '');
  const live = open();
  expect(shown()).toEqual(['a@R']);
  expect(said).toEqual([]);
  live.close();
});

it('leaves no former view behind when its worker leaves', () => {
  const { place, collection, a, open } = start();
  const live = open();
  collection.store(a, secret('one@R'));
  acknowledge(live);
  expect(readdirSync(`${place}/caches`)).toEqual(['former.0']);
  live.close();
  expect(readdirSync(`${place}/caches`)).toEqual([]);
});

it('is not written any more where the directory may be another worker’s', async () => {
  const { view, collection, a, open } = start();
  const live = open();
  live.forsake();
  writeFileSync(view, 'of another worker');
  collection.store(a, secret('one@R'));
  acknowledge(live);
  live.restore();
  live.close();
  await nextTurn();
  expect(readFileSync(view, 'utf8')).toBe('of another worker');
});
