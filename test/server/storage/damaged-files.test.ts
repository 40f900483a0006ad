// Damage to what is stored: whatever a byte or the length of a file becomes, the next worker starts, and every ticket is in
// its collection, but for those of the one damaged ccache.
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { readCCacheFile, writeCCacheFile } from '../../../proto/ccache-file.ts';
import { fromCredentialV5, marshalled } from '../../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../../proto/principal.ts';
import { Collection } from '../../../server/model/collection.ts';
import { FileStorage } from '../../../server/storage/file-storage.ts';
import { headingRecord, skippedRecord } from '../../../server/storage/records.ts';
import { toSummedJSON } from '../../../server/storage/summed-json.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';
import { credentialFor } from '../model/model.ts';

const names = ['x', 'y', 'z'];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
let root: string;
let original: string;
/** What is in it. */
const undamaged = new Map<string, Buffer>();
let copies = 0;

function load(directory: string): { collection: Collection; storage: FileStorage; said: string[] } {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const storage = new FileStorage(directory, false, { info: say, warning: say, error: say, refusal: say });
  const { identifiers, kept } = storage.load(() => 1_700_000_000);
  const collection = new Collection(identifiers, () => 1_700_000_000);
  storage.attach(collection, kept);
  return { collection, storage, said };
}

const tickets = (collection: Collection) =>
  [...collection].flatMap(({ contents }) => [...contents.credentials].map(({ value }) => value.server)).sort();

function copied(): string {
  const at = `${root}/${copies++}`;
  mkdirSync(at, { mode: 0o700 });
  for (const [name, bytes] of undamaged) writeFileSync(`${at}/${name}`, bytes);
  return at;
}

/** Holds what a file said of a collection against what the protocols can have. */
function expectSound(collection: Collection): void {
  const isWhole = (value: number) => Number.isSafeInteger(value) && value >= 0;
  expect([collection.nextUnique, collection.changed].every(isWhole)).toBe(true);
  expect(collection.identifier.server).toMatch(UUID);
  for (const { identifier, lastDefault, changed, contents } of collection) {
    const { nameType = 0, kdcOffset = 0, credentials } = contents;
    expect([lastDefault, changed, kdcOffset].every(isWhole) && Number.isSafeInteger(nameType)).toBe(true);
    for (const each of [identifier, ...[...credentials].map(({ identifier }) => identifier)]) {
      expect(each.object).toMatch(UUID);
    }
  }
}

/** What the next worker makes of the directory with other bytes in one of its files. */
function withFile(name: string, bytes: Buffer | string): { found: string[]; said: string[] } {
  const at = copied();
  writeFileSync(`${at}/${name}`, bytes);
  const { collection, storage, said } = load(at);
  const found = tickets(collection);
  expectSound(collection);
  // It can be used, and what follows it finds the same.
  collection.store(collection.create('later', 2, 'a@R'), credentialFor('later@R'));
  expectSound(collection);
  for (const ccache of [...collection]) collection.setKDCOffset(ccache, 5);
  collection.setDefault([...collection].at(-3) ?? (collection.default as never));
  const order = [...collection].map((ccache) => ccache.name);
  for (const wasKilled of [true, false]) {
    if (!wasKilled) storage.close();
    const next = load(at);
    expect(tickets(next.collection)).toEqual([...found, 'later@R'].sort());
    expect([...next.collection].map((ccache) => ccache.name)).toEqual(order);
    expect(next.said).toEqual([]);
  }
  rmSync(at, { recursive: true });
  return { found, said };
}

beforeAll(() => {
  root = temporaryDirectory(memory);
  original = `${root}/original`;
  const { collection } = load(original);
  for (const name of names) {
    const ccache = collection.create(name, 2, 'alice@R');
    for (const i of [0, 1]) collection.store(ccache, credentialFor(`${name}${i}@R`));
  }
  collection.create('over', 2, 'alice@R');
  collection.create('over', 2, 'bob@R');
  collection.setDefault(collection.findByName('y') as never);
  collection.setKDCOffset(collection.findByName('z') as never, 77);
  const z = collection.findByName('z') as NonNullable<ReturnType<Collection['findByName']>>;
  // One of each kind of record: a removed credential, a replaced one, one that only the CCAPI has, left-out indexes.
  for (const service of ['removed', 'replaced']) collection.store(z, credentialFor(`${service}@R`));
  const [, , removed, replaced] = [...z.contents.credentials];
  if (removed) collection.remove(z, [removed.identifier]);
  collection.setPrincipal(z, 2, 'alice@R');
  if (replaced) collection.store(z, { ...credentialFor('z2@R'), isSkey: 256 }, [replaced]);
  collection.awaitDefault('d');
  collection.moveTo(collection.findByName('x') as never, 'moved');
  collection.destroy(collection.findByName('over') as never);
  for (const name of readdirSync(original)) undamaged.set(name, readFileSync(`${original}/${name}`));
});

const all = () => [...names.flatMap((name) => [`${name}0@R`, `${name}1@R`]), 'z2@R'].sort();
const files = () => readdirSync(original).filter((name) => name.startsWith('tkt'));
const ownOf = (bytes: Buffer) =>
  all().filter((server) => bytes.includes(`alice`) && bytes.includes(server.slice(0, 2)));
const changes = [(byte: number) => byte ^ 1, (byte: number) => byte ^ 0x10, (byte: number) => byte ^ 0xff];

describe('the collection file', () => {
  it('with any one byte changed is set aside, and no ticket is lost', () => {
    const file = readFileSync(`${original}/collection`);
    const length = file.toString().trimEnd().length;
    for (let at = 0; at < length + 10; at++) {
      const bytes = Buffer.from(file);
      bytes[at] = (changes[at % changes.length] as (typeof changes)[0])(bytes[at] as number);
      const { found, said } = withFile('collection', bytes);
      expect(found, `byte ${at}`).toEqual(all());
      if (at < length) expect(said.join(), `byte ${at}`).toContain('set aside');
    }
  });

  it('cut at any byte loses no ticket', () => {
    const file = readFileSync(`${original}/collection`);
    for (let at = 0; at < file.toString().trimEnd().length + 10; at++) {
      expect(withFile('collection', file.subarray(0, at)).found, `byte ${at}`).toEqual(all());
    }
  });

  it.each(['null', '1', '"x"', '[]', '{}', '{"__proto__":{"ccapi":2}}', '\0', 'x', '\ufeff', ''])(
    'of nothing but %j loses no ticket',
    (text) => {
      const { found, said } = withFile('collection', text);
      expect(found).toEqual(all());
      expect(said.filter((message) => message.includes('set aside'))).toHaveLength(1);
    },
  );
});

/** Something of every kind that JSON has, in the place of one value. */
const strange = [
  null,
  true,
  -1,
  0.5,
  2 ** 50,
  2 ** 53,
  1e300,
  '',
  'x',
  [],
  [1],
  [[1]],
  [[1, -1]],
  {},
  { name: 1, front: 'x' },
];

it('the collection file, with anything in the place of any value and a right sum, loses no ticket', () => {
  const [json = ''] = readFileSync(`${original}/collection`, 'utf8').split('\t');
  const state = JSON.parse(json);
  for (const key of Object.keys(state)) {
    for (const value of strange) {
      const text = `${toSummedJSON({ ...state, [key]: value })}\n`;
      const { found, said } = withFile('collection', text);
      expect(found, `${key}: ${JSON.stringify(value)}`).toEqual(all());
      if (key === 'ccapi') expect(said.join(), `version ${JSON.stringify(value)}`).toContain('set aside');
    }
  }
});

it.each(strange)(
  '%j in the place of a heading or of all in the collection file, with a right sum, loses no ticket',
  (value) => {
    const [name = ''] = files();
    const file = readFileSync(`${original}/${name}`);
    const added = headingRecord(value as never);
    expect(withFile(name, Buffer.concat([file, added])).found).toEqual(all());
    expect(withFile('collection', `${toSummedJSON(value as never)}\n`).found).toEqual(all());
  },
);

it('an entry of more left-out indexes than there can be is a damaged one', () => {
  const [name = ''] = files();
  const at = copied();
  writeFileSync(`${at}/${name}`, Buffer.concat([readFileSync(`${original}/${name}`), skippedRecord(0xffff_ffff)]));
  const { collection } = load(at);
  const [first = ''] = ownOf(readFileSync(`${original}/${name}`));
  const ccache = [...collection].find(({ name }) => first.startsWith(name)) as NonNullable<typeof collection.default>;
  for (const service of ['one@R', 'two@R']) collection.store(ccache, credentialFor(service));
  for (const { identifier } of [...ccache.contents.credentials].slice(-2)) collection.remove(ccache, [identifier]);
  expect(tickets(load(at).collection)).toEqual(tickets(collection));
});

it('the heading of a ccache, with anything in the place of any value and a right sum, loses no ticket', () => {
  const [name = ''] = files();
  const file = readFileSync(`${original}/${name}`);
  const [, json = ''] = /(\{"ccache"[^\t]*\})\t[0-9a-f]{8}/.exec(file.toString('latin1')) ?? [];
  const heading = JSON.parse(json);
  for (const key of [...Object.keys(heading), 'type', 'offset']) {
    for (const value of strange) {
      const added = headingRecord({ ...heading, [key]: value });
      const { found } = withFile(name, Buffer.concat([file, added]));
      expect(found, `${key}: ${JSON.stringify(value)}`).toEqual(all());
    }
  }
});

describe('the file of a ccache', () => {
  it.each([0, 1, 2])('with any one byte changed costs no other a ticket (file %i)', (which) => {
    const name = files()[which] as string;
    const bytes = readFileSync(`${original}/${name}`);
    const others = all().filter((server) => !ownOf(bytes).includes(server));
    expect(others.length).toBeGreaterThanOrEqual(4);
    for (let at = 0; at < bytes.length; at++) {
      for (const change of at % 16 === 0 ? changes : changes.slice(at % 3, (at % 3) + 1)) {
        const damaged = Buffer.from(bytes);
        damaged[at] = change(damaged[at] as number);
        expect(withFile(name, damaged).found, `byte ${at}`).toEqual(expect.arrayContaining(others));
      }
    }
  });

  it.each([0, 1, 2])('cut at any byte costs no other a ticket, and has what stands before (file %i)', (which) => {
    const name = files()[which] as string;
    const bytes = readFileSync(`${original}/${name}`);
    const others = all().filter((server) => !ownOf(bytes).includes(server));
    expect(others.length).toBeGreaterThanOrEqual(4);
    let most = 0;
    for (let at = 0; at < bytes.length; at++) {
      const { found } = withFile(name, bytes.subarray(0, at));
      expect(found, `byte ${at}`).toEqual(expect.arrayContaining(others));
      // A longer file has no fewer tickets, but for those that are removed at its end.
      if (which < 2) expect(found.length).toBeGreaterThanOrEqual(most);
      most = found.length;
    }
  });

  it('is never deleted if it can be read, whatever else is damaged or gone', () => {
    const contents = new Map(files().map((name) => [name, readFileSync(`${original}/${name}`)]));
    const damages: [string, (path: string) => void][] = [
      ['removed', (path) => rmSync(path)],
      ['emptied', (path) => writeFileSync(path, '')],
      ['overwritten', (path) => writeFileSync(path, 'x'.repeat(500))],
      ['a link', (path) => [rmSync(path), symlinkSync('nowhere', path)]],
      ['a directory', (path) => [rmSync(path), mkdirSync(`${path}/x`, { recursive: true })]],
      ['another ccache', (path) => writeFileSync(path, contents.get(files()[0] as string) as Buffer)],
    ];
    const everything = readdirSync(original);
    for (let subset = 1; subset < 2 ** everything.length; subset++) {
      const hit = everything.filter((_, i) => subset & (1 << i));
      for (const [title, damage] of damages) {
        const at = copied();
        for (const name of hit) damage(`${at}/${name}`);
        const { collection, storage } = load(at);
        const spared = [...contents].filter(([name]) => !hit.includes(name));
        const expected = spared.flatMap(([, bytes]) => ownOf(bytes));
        expect(tickets(collection), `${title}: ${hit}`).toEqual(expect.arrayContaining(expected));
        storage.close();
        expect(tickets(load(at).collection)).toEqual(tickets(collection));
        for (const [name] of spared) expect(readCCacheFile(readFileSync(`${at}/${name}`)).tornBytes).toBe(0);
        rmSync(at, { recursive: true });
      }
    }
  });
});

describe('a directory of version 0.2, which had a journal,', () => {
  const former = (list: number, name: string, ...services: string[]) => {
    const ours = (kind: string, ticket: Buffer) => ({
      ...fromCredentialV5({ ...credentialFor('x@R'), authtime: 0xffff_ffff, endtime: 0 }),
      server: { nameType: 0, realm: 'X-CCAPI:', components: [kind] },
      ticket,
    });
    const file = writeCCacheFile({
      kdcOffset: { seconds: list, microseconds: 0 },
      otherTags: [{ tag: 0x4343, value: Buffer.from(JSON.stringify({ server: 'any', list, name })) }],
      principal: parsePrincipal('alice@R'),
      credentials: [...services, 'removed@R'].map((service) => fromCredentialV5(credentialFor(service))),
    });
    return Buffer.concat([file, marshalled(ours('gone', Buffer.from([0, 0, 0, services.length])))]);
  };

  it('is taken over, with its tickets, names and default', () => {
    const at = `${root}/former`;
    mkdirSync(at);
    writeFileSync(`${at}/journal`, '{"ccapi":1}\t00000000\n');
    writeFileSync(`${at}/primary`, 'tkt3\n');
    const written = {
      tkt1: former(1, 'a', 'a0@R'),
      tkt3: former(3, 'b', 'b0@R', 'b1@R'),
      tktz: former(35, 'a', 'c0@R'),
    };
    for (const [name, bytes] of Object.entries(written)) writeFileSync(`${at}/${name}`, bytes);
    writeFileSync(`${at}/tkt4`, written.tkt1);
    const { collection, said } = load(at);
    const found = (of: Collection) =>
      [...of].map(({ name, contents }) => [
        ...[name, contents.principal, contents.kdcOffset],
        ...[...contents.credentials].map(({ value }) => value.server),
      ]);
    expect(found(collection)).toEqual([
      ['b', 'alice@R', 3, 'b0@R', 'b1@R'],
      ['a (1)', 'alice@R', 1, 'a0@R'],
      ['a', 'alice@R', 35, 'c0@R'],
    ]);
    expect(said).toEqual([expect.stringContaining('no collection file; 3 ccaches are taken from their own')]);
    const next = load(at);
    expect(found(next.collection)).toEqual(found(collection));
    expect(next.said).toEqual([]);
    expect(readFileSync(`${at}/journal`, 'utf8')).toBe('{"ccapi":1}\t00000000\n');
    expect(readFileSync(`${at}/tkt4`).equals(written.tkt1)).toBe(true);
  });
});
