// A uid that becomes another account's: what the former one had goes, whether its server runs or not, and nothing else does.
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { accountOf } from '../../etc/host/account.ts';
import { databases } from '../../etc/host/passwd.ts';
import { AccountMark } from '../../server/account-mark.ts';
import { toSummedJSON } from '../../server/storage/summed-json.ts';
import { eventually, memory, temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

/** The uid, and a home that is not there, so that the name alone tells one account from another. */
const [uid, home] = [50_001, '/nonexistent'];

/** What a worker keeps, also of what another program has brought. */
const kept = ['collection', 'primary', 'set-aside.tkt1.5', 'tkt1'];

const { path: usual } = databases.passwd;
let place: string;
let passwd: string;
let said: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['hrtime'] });
  place = temporaryDirectory(memory);
  passwd = `${place}/passwd`;
  databases.passwd.path = passwd;
  said = [];
  mkdirSync(`${place}/run/caches`, { recursive: true });
  for (const name of kept) writeFileSync(`${place}/run/caches/${name}`, 'ticket');
  for (const name of ['krb5cc', 'krb5cc.set-aside.7', 'other']) writeFileSync(`${place}/run/${name}`, 'ticket');
  nameAccount('alice');
});
afterEach(() => {
  vi.useRealTimers();
  databases.passwd.path = usual;
});

/** Gives the uid an account of this name, or none, in a new file in the place of the former one, as useradd does. */
function nameAccount(name: string | undefined, itsHome = home): void {
  const line = name === undefined ? '' : `${name}:x:${uid}:${uid}::${itsHome}:/bin/sh\n`;
  writeFileSync(`${passwd}+`, `root:x:0:0::/root:/bin/sh\n${line}`);
  renameSync(`${passwd}+`, passwd);
}

const log = { info() {}, error() {}, refusal() {}, warning: (line: string) => void said.push(line) };
const open = (told?: string) => new AccountMark(`${place}/run`, uid, told, log);
const markPath = () => `${place}/run/caches/account`;
const mark = () => readFileSync(markPath(), 'utf8');
const writeMark = (name: string, made = '') => writeFileSync(markPath(), `${toSummedJSON({ name, made })}\n`);
const files = () => [
  ...readdirSync(`${place}/run`),
  ...(existsSync(`${place}/run/caches`) ? readdirSync(`${place}/run/caches`) : []),
];
const all = ['caches', 'krb5cc', 'krb5cc.set-aside.7', 'other', ...kept];

describe('when a server starts', () => {
  it('what another account has left goes, with what shows it, and nothing else', () => {
    writeMark('bob');
    open().settle();
    expect(files()).toEqual(['other']);
    expect(said).toEqual([`uid ${uid} was bob and is alice: removing the tickets`]);
  });

  it.each<[string, () => void, string?]>([
    ['of the same account', () => writeMark('alice')],
    ['of the same account, with its home away', () => writeMark('alice', 'home 1 2')],
    ['without a mark', () => {}],
    ['with a mark that is damaged', () => writeFileSync(markPath(), '{"name":"bob","made":""}\t00000000\n')],
    [
      'of an account that no database has now',
      () => {
        writeMark('bob');
        nameAccount(undefined);
      },
    ],
    [
      'of an account that the launcher finds none for',
      () => {
        writeMark('bob');
        nameAccount(undefined);
      },
      '',
    ],
    [
      'of an account that the launcher has found elsewhere',
      () => {
        writeMark('bob');
        nameAccount(undefined);
      },
      'bob',
    ],
  ])('what is there stays: %s', (_, leave, told) => {
    leave();
    const before = files();
    open(told).settle();
    expect(files()).toEqual(before);
    expect(files()).toEqual(expect.arrayContaining(all));
    expect(said).toEqual([]);
  });

  it('an account that another database has is another one too', () => {
    writeMark('bob');
    nameAccount(undefined);
    open('carol').settle();
    expect(files()).toEqual(['other']);
  });
});

describeWith(['root', 'Linux'], 'when a server starts after a home was made', () => {
  it('what is there stays, of an account that had none before', async () => {
    writeMark('alice');
    const homes = temporaryDirectory(memory);
    const made = `${homes}/home`;
    mkdirSync(made);
    chownSync(made, uid, uid);
    // A birth counts where it is told apart from the last change.
    await eventually(() => {
      chmodSync(homes, 0o755);
      const { birthtimeNs, ctimeNs } = statSync(homes, { bigint: true });
      return birthtimeNs !== ctimeNs;
    });
    nameAccount('alice', made);
    expect(accountOf(uid)?.made).toMatch(/^home /);
    open().settle();
    expect(files()).toEqual(expect.arrayContaining(all));
    expect(said).toEqual([]);
  });
});

describe('the mark', () => {
  it('is written where ccaches are kept, and again where it is missing or damaged', () => {
    const account = open();
    account.restore();
    const written = mark();
    expect(written).toBe(`${toSummedJSON({ name: 'alice', made: '' })}\n`);
    rmSync(markPath());
    account.restore();
    expect(mark()).toBe(written);
    writeFileSync(markPath(), written.replace('alice', 'bobby'));
    account.restore();
    expect(mark()).toBe(written);
    rmSync(`${place}/run/caches`, { recursive: true });
    account.restore();
    expect(existsSync(`${place}/run/caches`)).toBe(false);
    expect(said).toEqual([]);
  });

  it('still says when a home was made that is away', () => {
    writeMark('alice', 'home 1 2');
    const account = open();
    account.settle();
    rmSync(markPath());
    account.restore();
    expect(mark()).toContain('home 1 2');
  });

  it('that cannot be written is said, and costs nothing', () => {
    mkdirSync(`${markPath()}/in-the-way`, { recursive: true });
    open().restore();
    expect(said).toEqual([expect.stringContaining(`cannot write ${markPath()}: `)]);
  });

  it('is not written for a uid of which nothing is known', () => {
    nameAccount(undefined);
    open().restore();
    expect(existsSync(markPath())).toBe(false);
  });
});

describe('while a server runs', () => {
  /** One that knows its account, a moment later. */
  const run = () => {
    const account = open();
    account.restore();
    vi.advanceTimersByTime(1000);
    return account;
  };

  it('another account is noticed within a second, and not looked for more often', () => {
    const account = run();
    expect(account.hasChanged()).toBe(false);
    nameAccount('bob');
    expect(account.hasChanged()).toBe(false);
    vi.advanceTimersByTime(1000);
    expect(account.hasChanged()).toBe(true);
  });

  it('another account is noticed in a file that was written in its place, or has the former one’s time', () => {
    const account = run();
    const mtime = new Date(1_700_000_000_000);
    writeFileSync(passwd, `bob:x:${uid}:${uid}::${home}:/bin/sh\n`);
    utimesSync(passwd, mtime, mtime);
    expect(account.hasChanged()).toBe(true);
    vi.advanceTimersByTime(1000);
    nameAccount('carol');
    utimesSync(passwd, mtime, mtime);
    expect(account.hasChanged()).toBe(true);
  });

  it('nothing is another account that has another shell, is gone, or cannot be read of', () => {
    const account = run();
    const changes = [
      () => writeFileSync(passwd, `alice:x:${uid}:${uid}::${home}:/bin/zsh\n`),
      () => nameAccount(undefined),
      () => rmSync(passwd),
      () => mkdirSync(passwd),
    ];
    for (const change of changes) {
      change();
      vi.advanceTimersByTime(1000);
      expect(account.hasChanged()).toBe(false);
    }
  });

  it('nothing has changed for a uid of which nothing was known', () => {
    nameAccount(undefined);
    const account = run();
    nameAccount('bob');
    expect(account.hasChanged()).toBe(false);
  });

  it('what the former account had goes, and the mark is the new one’s', () => {
    const account = run();
    nameAccount('bob');
    account.change(() => rmSync(`${place}/run/caches/tkt1`));
    expect(readdirSync(`${place}/run/caches`)).toEqual(['account', 'collection', 'primary']);
    expect(mark()).toContain('"bob"');
    expect(said).toEqual([`uid ${uid} was alice and is bob: removing the tickets`]);
    vi.advanceTimersByTime(1000);
    expect(account.hasChanged()).toBe(false);
  });

  it('a mark that says when a home was made is not another account’s where the next says nothing of it', () => {
    writeMark('alice', 'home 1 2');
    const account = open();
    account.settle();
    nameAccount('alice');
    vi.advanceTimersByTime(1000);
    expect(account.hasChanged()).toBe(false);
  });

  it('nothing is in the way where no ccaches are kept', () => {
    const account = run();
    rmSync(`${place}/run/caches`, { recursive: true });
    nameAccount('bob');
    let cleared = 0;
    account.change(() => cleared++);
    expect(cleared).toBe(1);
    expect(existsSync(`${place}/run/caches`)).toBe(false);
  });
});
