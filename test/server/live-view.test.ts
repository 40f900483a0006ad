// `krb5cc` in the worker's directory is the default ccache at every moment, whatever is done to either.
import {
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type CCache, Context } from '../../client/index.ts';
import { readCCacheFile } from '../../proto/ccache-file.ts';
import { unparsePrincipal } from '../../proto/principal.ts';
import { Collection } from '../../server/model/collection.ts';
import { Identifiers } from '../../server/model/identifiers.ts';
import { LiveView } from '../../server/storage/live-view.ts';
import { end, eventually, memory, temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';
import { type RunningWorker, startWorker, workerDirectory } from '../setup/worker.ts';
import { secret } from './storage/changes.ts';

const silent = { info() {}, warning() {}, error() {}, refusal() {} };
const uid = process.getuid?.() as number;

let running: RunningWorker;
let context: Context;
let view: string;
let directory: string;

async function start(base: string, ...args: string[]): Promise<void> {
  running = await startWorker(base, ...args);
  expect(running.said).toBe('ok\n');
  directory = `${base}/${uid}`;
  view = `${directory}/krb5cc`;
  context = new Context({ env: { CCAPI_SERVER: `unix://${running.path}`, KRB5_CONFIG: '/nonexistent' } });
}

beforeEach(() => start(workerDirectory(memory)));

const store = (ccache: CCache, service: string) => ccache.storeCredentials(secret(service));

/** What the view shows: the principal and the services, or nothing. */
function shown(): string[] | undefined {
  if (!existsSync(view)) return undefined;
  const { principal, credentials } = readCCacheFile(readFileSync(view));
  return [unparsePrincipal(principal as never), ...credentials.map(({ server }) => unparsePrincipal(server))];
}

/** Whether it is what Heimdal and Samba take: a file of one name. */
function isInOrder(): boolean {
  const found = lstatSync(view, { throwIfNoEntry: false });
  return found?.isFile() === true && found.nlink === 1 && found.size > 20;
}

describe('the live view', () => {
  it('follows each change before it is acknowledged', async () => {
    expect(shown()).toBeUndefined();
    const a = await context.createCCache('a', 'a@R');
    expect(shown()).toEqual(['a@R']);
    await store(a, 'one@R');
    await store(a, 'two@R');
    expect(shown()).toEqual(['a@R', 'one@R', 'two@R']);
    const b = await context.createCCache('b', 'b@R');
    await store(b, 'three@R');
    expect(shown()).toEqual(['a@R', 'one@R', 'two@R']);
    await b.setDefault();
    expect(shown()).toEqual(['b@R', 'three@R']);
    await b.setPrincipal('c@R');
    await b.setKDCTimeOffset(-7);
    expect(shown()).toEqual(['c@R', 'three@R']);
    expect(readCCacheFile(readFileSync(view)).kdcOffset?.seconds).toBe(-7);
    for await (const credentials of b.credentials()) await b.removeCredentials(credentials);
    expect(shown()).toEqual(['c@R']);
    await a.move(b);
    expect(shown()).toEqual(['a@R', 'one@R', 'two@R']);
    await b.destroy();
    expect(shown()).toBeUndefined();
  });

  it('is a file of its owner, of one name, with nothing in it that only our server reads', async () => {
    const a = await context.createCCache('a', 'a@R');
    await store(a, 'one@R');
    const found = lstatSync(view);
    expect([found.isFile(), found.nlink, found.mode & 0o777]).toEqual([true, 1, 0o600]);
    expect(readFileSync(view, 'latin1')).not.toContain('ccapi_');
    expect(readCCacheFile(readFileSync(view)).otherTags).toEqual([]);
    expect(readdirSync(directory).filter((name) => name.startsWith('krb5cc'))).toEqual(['krb5cc']);
  });

  it('stays while no server runs, and is mended by the next one, also after one that was killed', async () => {
    const a = await context.createCCache('a', 'a@R');
    await store(a, 'one@R');
    await end(running.worker);
    expect(shown()).toEqual(['a@R', 'one@R']);
    const { ino } = statSync(view);
    await start(running.base);
    expect(statSync(view).ino).toBe(ino);
    truncateSync(view);
    await eventually(() => isInOrder() && String(shown()) === 'a@R,one@R');
    await end(running.worker, 'SIGKILL');
    for (const name of ['new', 'former.77']) writeFileSync(`${directory}/caches/${name}`, 'half');
    for (const text of ['', 'no ccache']) {
      writeFileSync(view, text);
      await start(running.base);
      expect(shown()).toEqual(['a@R', 'one@R']);
      expect(readdirSync(`${directory}/caches`).filter((name) => ['new', 'former.77'].includes(name))).toEqual([]);
      await end(running.worker, 'SIGKILL');
    }
  });

  it.each<[string, () => void]>([
    ['is removed', () => rmSync(view)],
    [
      'is removed with the directory that it is written in',
      () => {
        rmSync(view);
        rmSync(`${directory}/caches`, { recursive: true });
      },
    ],
    ['is emptied', () => truncateSync(view)],
    ['is cut short', () => truncateSync(view, 20)],
    [
      'has a link in its place',
      () => {
        rmSync(view);
        symlinkSync(`${running.base}/linked`, view);
      },
    ],
    ['gets a second name', () => linkSync(view, `${directory}/other`)],
    [
      'is replaced',
      () => {
        writeFileSync(`${directory}/other`, readFileSync(view, 'latin1').replace('a', 'b'), 'latin1');
        renameSync(`${directory}/other`, view);
      },
    ],
    [
      'has a directory in its place',
      () => {
        rmSync(view);
        mkdirSync(view);
        writeFileSync(`${view}/file`, '');
      },
    ],
  ])('is restored where it %s', async (_, plant) => {
    const a = await context.createCCache('a', 'a@R');
    writeFileSync(`${running.base}/linked`, 'of another program');
    plant();
    await eventually(() => isInOrder() && String(shown()) === 'a@R');
    // The first look at the directory is behind the server now.
    rmSync(view);
    await eventually(() => isInOrder() && String(shown()) === 'a@R');
    await store(a, 'one@R');
    expect(shown()).toEqual(['a@R', 'one@R']);
    expect(readFileSync(`${running.base}/linked`, 'utf8')).toBe('of another program');
  });

  it('is whole in each of 1,000 reads beside 1,000 writes', async () => {
    const a = await context.createCCache('a', 'a@R');
    const services = ['krbtgt/R@R'];
    await store(a, 'krbtgt/R@R');
    let isWriting = true;
    const stores = (async () => {
      for (let i = 0; i < 1000; i++) {
        services.push(`s${i}@R`);
        await store(a, `s${i}@R`);
      }
    })().finally(() => {
      isWriting = false;
    });
    let last = 0;
    for (let i = 0; i < 1000 || isWriting; i++) {
      const [principal, ...found] = shown() as string[];
      expect(principal).toBe('a@R');
      expect(found).toEqual(services.slice(0, found.length));
      expect(found.length).toBeGreaterThanOrEqual(last);
      last = found.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await stores;
    await eventually(() => shown()?.length === services.length + 1);
  });

  it('is not there where no files are kept', async () => {
    await end(running.worker);
    await start(workerDirectory(memory), '--persist=never');
    await context.createCCache('a', 'a@R');
    expect(existsSync(view)).toBe(false);
  });
});

// Root alone can look at a server's descriptors.
describeWith(['root', 'Linux'], 'the live view, by the descriptors of its server,', () => {
  it('leaves no secret behind of what is destroyed', async () => {
    const a = await context.createCCache('a', 'a@R');
    await store(a, 'one@R');
    await store(a, 'two@R');
    const open = () => {
      const path = `/proc/${running.worker.pid}/fd`;
      const of = readdirSync(path).map((name) => `${path}/${name}`);
      return of.filter((link) => /krb5cc|former/.test(readlinkSync(link)));
    };
    await a.destroy();
    const texts = open().map((link) => readFileSync(link, 'latin1'));
    expect(texts.join()).not.toContain('secret of');
  });
});

describe('a former view', () => {
  it('is whole to the end for a program that has opened it, and overwritten a second later', () => {
    vi.useFakeTimers();
    try {
      const place = temporaryDirectory(memory);
      mkdirSync(`${place}/caches`);
      const collection = new Collection(new Identifiers(), () => 1_700_000_000);
      const live = new LiveView(place, collection, false, silent);
      const change = (make: () => void) => {
        make();
        live.touch();
        live.update();
      };
      change(() => collection.store(collection.create('a', 2, 'a@R'), secret('one@R')));
      const before = readFileSync(`${place}/krb5cc`);
      const descriptor = openSync(`${place}/krb5cc`, 'r');
      const read = () => {
        const bytes = Buffer.alloc(before.length);
        readSync(descriptor, bytes, 0, bytes.length, 0);
        return bytes;
      };
      for (let i = 0; i < 20; i++) change(() => collection.store(collection.default as never, secret(`more${i}@R`)));
      vi.advanceTimersByTime(999);
      expect(read().equals(before)).toBe(true);
      // Heimdal's library opens a file first, and refuses one that has not one name then.
      expect(fstatSync(descriptor).nlink).toBe(1);
      expect(readdirSync(`${place}/caches`)).toContain('former.0');
      vi.advanceTimersByTime(1001);
      expect(readdirSync(`${place}/caches`)).toEqual([]);
      expect(read().every((byte) => byte === 0)).toBe(true);
      closeSync(descriptor);
      live.close();
    } finally {
      vi.useRealTimers();
    }
  });

  it('goes at once where the default ccache is destroyed, and what cannot be written leaves none that is out of date', () => {
    const place = temporaryDirectory(memory);
    mkdirSync(`${place}/caches`);
    const collection = new Collection(new Identifiers(), () => 1_700_000_000);
    const live = new LiveView(place, collection, false, silent);
    const ccache = collection.create('a', 2, 'a@R');
    live.touch();
    live.update();
    expect(existsSync(`${place}/krb5cc`)).toBe(true);
    mkdirSync(`${place}/caches/new`);
    collection.store(ccache, secret('one@R'));
    live.touch();
    live.update();
    expect(existsSync(`${place}/krb5cc`)).toBe(false);
    rmSync(`${place}/caches/new`, { recursive: true });
    live.update();
    expect(readFileSync(`${place}/krb5cc`, 'latin1')).toContain('secret of one@R');
    const descriptor = openSync(`${place}/krb5cc`, 'r');
    collection.destroy(ccache);
    live.touch();
    live.update();
    expect(existsSync(`${place}/krb5cc`)).toBe(false);
    expect(readFileSync(descriptor).every((byte) => byte === 0)).toBe(true);
    closeSync(descriptor);
    live.close();
  });
});
