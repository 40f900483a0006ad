// What the launcher makes, and what it refuses to use.
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { isRootsPlace, prepareBaseDirectory, prepareUserDirectory } from '../../launcher/directories.ts';
import { UserDirectory } from '../../launcher/user-directory.ts';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

const uid = process.getuid?.() as number;
const self = { uid, gid: process.getgid?.() as number };
const insecure = (message: string) =>
  expect.objectContaining({ name: 'RendezvousError', code: 'insecure', message: expect.stringContaining(message) });

let base: string;
beforeEach(() => {
  process.umask(0o022);
  base = `${temporaryDirectory()}/run`;
});

/** The place of a uid's directory below the base. */
const placeOf = (owner: number) => new UserDirectory(base, String(owner), owner);

const mode = (path: string) => (lstatSync(path).mode & 0o7777).toString(8);

describe('the base directory', () => {
  it('is made, and found again', () => {
    for (let time = 0; time < 2; time++) prepareBaseDirectory(base, uid);
    expect(mode(base)).toBe(uid === 0 ? '755' : '700');
  });

  it('is refused where others may write to it', () => {
    mkdirSync(base);
    chmodSync(base, 0o1777);
    expect(() => prepareBaseDirectory(base, uid)).toThrow(insecure('closed to other writers'));
  });

  it('is refused where others may replace it', () => {
    prepareBaseDirectory(base, uid);
    chmodSync(`${base}/..`, 0o777);
    expect(() => prepareBaseDirectory(base, uid)).toThrow(insecure('has mode 777'));
  });

  it('is not made out of a whole path that is missing', () => {
    expect(() => prepareBaseDirectory(`${base}/a/b`, uid)).toThrow(expect.objectContaining({ code: 'internal' }));
  });
});

describe("a user's directory", () => {
  beforeEach(() => prepareBaseDirectory(base, uid));
  const path = () => `${base}/${uid}`;

  it('is made with mode 700, and found again', () => {
    for (let time = 0; time < 2; time++) prepareUserDirectory(placeOf(uid), self, uid);
    expect([mode(path()), statSync(path()).uid]).toEqual(['700', uid]);
  });

  it.each([
    ['a link to a directory', () => symlinkSync('/tmp', path())],
    ['a link that leads nowhere', () => symlinkSync('/nonexistent', path())],
    ['a file', () => writeFileSync(path(), '')],
    ['a directory that others may enter', () => mkdirSync(path(), { mode: 0o755 })],
  ])('is refused where %s stands in its place, which is left alone', (_, plant) => {
    plant();
    const before = lstatSync(path());
    expect(() => prepareUserDirectory(placeOf(uid), self, uid)).toThrow(insecure(path()));
    const after = lstatSync(path());
    expect([after.ino, after.mode, after.uid]).toEqual([before.ino, before.mode, before.uid]);
    expect(existsSync('/nonexistent')).toBe(false);
  });
});

describeWith(['root'], 'root', () => {
  beforeEach(() => prepareBaseDirectory(base, 0));

  it("makes a user's directory the user's", () => {
    prepareUserDirectory(placeOf(12345), { uid: 12345, gid: 23456 }, 0);
    const made = statSync(`${base}/12345`);
    expect([made.uid, made.gid, mode(`${base}/12345`)]).toEqual([12345, 23456, '700']);
    expect(readdirSync(`${base}/12345`)).toEqual([]);
  });

  it('of a launcher that runs as a user makes none for others', () => {
    for (const launcherUid of [12345, 54321]) {
      const make = () => prepareUserDirectory(placeOf(12345), { uid: 12345, gid: 23456 }, launcherUid);
      expect(make).toThrow(insecure('of uid 12345'));
      expect(statSync(`${base}/12345`).uid).toBe(0);
    }
  });

  it("gives away no directory that was there before, root's own least of all", () => {
    mkdirSync(`${base}/12345`, { mode: 0o700 });
    writeFileSync(`${base}/12345/secret`, '');
    expect(() => prepareUserDirectory(placeOf(12345), { uid: 12345, gid: 23456 }, 0)).toThrow(insecure('of uid 12345'));
    expect(statSync(`${base}/12345`).uid).toBe(0);
  });

  it('makes it below a directory with the setgid bit, and finds it again', () => {
    chownSync(base, 0, 23456);
    chmodSync(base, 0o2755);
    for (let time = 0; time < 2; time++) prepareUserDirectory(placeOf(12345), { uid: 12345, gid: 23456 }, 0);
    expect(mode(`${base}/12345`)).toBe('2700');
  });

  it('leaves nothing beside it', () => {
    prepareUserDirectory(placeOf(12345), { uid: 12345, gid: 23456 }, 0);
    expect(readdirSync(base)).toEqual(['12345']);
  });

  it("refuses one that is another user's", () => {
    mkdirSync(`${base}/12345`, { mode: 0o700 });
    chownSync(`${base}/12345`, 54321, 54321);
    expect(() => prepareUserDirectory(placeOf(12345), { uid: 12345, gid: 23456 }, 0)).toThrow(insecure('of uid 12345'));
    expect(statSync(`${base}/12345`).uid).toBe(54321);
  });

  it('refuses a base directory that is a user’s', () => {
    chownSync(base, 12345, 12345);
    expect(() => prepareBaseDirectory(base, 0)).toThrow(insecure('must belong to uid 0'));
  });
});

describeWith(['root'], "a place is root's", () => {
  const place = () => {
    const directory = `${temporaryDirectory()}/d`;
    mkdirSync(`${directory}/e`, { recursive: true, mode: 0o755 });
    return directory;
  };

  it('where everything on the way is, links included', () => {
    const directory = place();
    symlinkSync(`${directory}/e`, `${directory}/link`);
    expect(isRootsPlace(new UserDirectory(`${directory}/e`, 'x', 12345))).toBe(true);
    expect(isRootsPlace(new UserDirectory(`${directory}/link`, 'x', 12345))).toBe(true);
  });

  it.each<[string, (directory: string) => void]>([
    ['another user has planted the link', (directory) => lchownSync(`${directory}/link`, 12345, 12345)],
    ['others can replace the link', (directory) => chmodSync(directory, 0o777)],
    ['what the link leads to is another user’s', (directory) => chownSync(`${directory}/e`, 12345, 12345)],
    ['others can write to what the link leads to', (directory) => chmodSync(`${directory}/e`, 0o777)],
  ])('and not where %s', (_, change) => {
    const directory = place();
    symlinkSync(`${directory}/e`, `${directory}/link`);
    change(directory);
    expect(isRootsPlace(new UserDirectory(`${directory}/link`, 'x', 12345))).toBe(false);
  });
});
