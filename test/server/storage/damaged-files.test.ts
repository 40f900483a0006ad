// Damage to what is kept: whatever a byte or a value in the journal or in a ccache's file becomes, the next worker starts,
// and every ticket is in its collection, but for those of the one damaged file.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Collection } from '../../../server/collection.ts';
import { Store } from '../../../server/storage/file-storage.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';
import { credentialFor } from '../model.ts';

const names = ['x', 'y', 'z'];
let root: string;
let original: string;
let copies = 0;

function load(directory: string): { collection: Collection; store: Store; said: string[] } {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const store = new Store(directory, false, { info: say, warning: say, error: say, refusal: say });
  const { identifiers, kept } = store.load(() => 1_700_000_000);
  const collection = new Collection(identifiers, () => 1_700_000_000);
  store.attach(collection, kept);
  return { collection, store, said };
}

const tickets = (collection: Collection) =>
  [...collection].flatMap(({ contents }) => [...contents.credentials].map(({ value }) => value.server)).sort();

/** What the next worker makes of the directory with other bytes in one of its files. */
function withFile(name: string, bytes: Buffer | string | undefined): { found: string[]; said: string[]; at: string } {
  const at = `${root}/${copies++}`;
  cpSync(original, at, { recursive: true });
  if (bytes === undefined) mkdirSync(`${at}/odd`);
  else writeFileSync(`${at}/${name}`, bytes);
  const { collection, store, said } = load(at);
  const found = tickets(collection);
  // It can be used, and what follows it finds the same.
  collection.store(collection.create('later', 2, 'a@R'), credentialFor('later@R'));
  for (const ccache of [...collection]) collection.setKDCOffset(ccache, 5);
  collection.setDefault([...collection].at(-2) ?? (collection.default as never));
  const order = [...collection].map(({ name }) => name);
  for (const wasKilled of [true, false]) {
    if (!wasKilled) store.close();
    const next = load(at);
    expect(tickets(next.collection)).toEqual([...found, 'later@R'].sort());
    expect([...next.collection].map(({ name }) => name)).toEqual(order);
    expect(next.said).toEqual([]);
  }
  return { found, said, at };
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
  collection.setDefault(collection.named('y') as never);
  collection.setKDCOffset(collection.named('z') as never, 77);
  collection.awaitDefault('d');
  collection.moveTo(collection.named('x') as never, 'moved');
  collection.destroy(collection.named('over') as never);
});

const all = () => names.flatMap((name) => [`${name}0@R`, `${name}1@R`]);
const changes = [(byte: number) => byte ^ 1, (byte: number) => byte ^ 0x10, () => 0x30, () => 0x7d, () => 0x0a];

describe('the journal', () => {
  it('with any one byte changed is set aside, and no ticket is lost', () => {
    const journal = readFileSync(`${original}/journal`);
    for (let at = 0; at < journal.length; at++) {
      const bytes = Buffer.from(journal);
      bytes[at] = (changes[at % changes.length] as (typeof changes)[0])(bytes[at] as number);
      const { found, said } = withFile('journal', bytes);
      expect(found, `byte ${at}`).toEqual(all());
      const isSame = bytes.equals(journal);
      // Without its newline the last line is one that was cut off.
      if (at < journal.length - 1) expect(/set aside/.test(said.join()), `byte ${at}`).toBe(!isSame);
    }
  });

  it('cut at any byte loses no ticket', () => {
    const journal = readFileSync(`${original}/journal`);
    for (let at = 0; at < journal.length; at += 3) {
      expect(withFile('journal', journal.subarray(0, at)).found, `byte ${at}`).toEqual(all());
    }
  });

  it('without any one of its lines loses no ticket', () => {
    const lines = readFileSync(`${original}/journal`, 'utf8').split('\n').slice(0, -1);
    for (const left of lines) {
      const text = lines.filter((line) => line !== left).map((line) => `${line}\n`);
      expect(withFile('journal', text.join('')).found, left).toEqual(all());
    }
  });

  /** As version 0.1 wrote it: without sums, so that every damage gets as far as the values. */
  const lines = () =>
    readFileSync(`${original}/journal`, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line.split('\t')[0] as string) as Record<string, unknown>);
  const wrong: unknown[] = [null, true, -1, 1.5, 1e300, '', 'x', [], {}, { toString: 1 }];

  it('of version 0.1 is read', () => {
    const text = lines().map((line) => `${JSON.stringify(line)}\n`);
    expect(withFile('journal', text.join(''))).toMatchObject({ found: all(), said: [] });
  });

  it('with any key missing, or any value of another type, stops no start', () => {
    for (const [i, line] of lines().entries()) {
      for (const key of Object.keys(line)) {
        const { [key]: _, ...without } = line;
        for (const damaged of [without, ...wrong.map((value) => ({ ...line, [key]: value }))]) {
          const text = lines().map((one, j) => `${JSON.stringify(i === j ? damaged : one)}\n`);
          expect(() => withFile('journal', text.join('')), text[i]).not.toThrow();
        }
      }
    }
  });

  it.each(['null', '1', '"x"', '[]', '{}', '[1]', '{"__proto__":{"ccapi":1}}', '{"toString":1}', '\0', 'x', '\ufeff'])(
    'of nothing but %j loses no ticket',
    (line) => {
      expect(withFile('journal', `${line}\n`).found).toEqual(all());
      const { at, said } = withFile('journal', `${line}\n${line}\n`);
      expect(readdirSync(at).filter((name) => name.startsWith('set-aside.journal'))).toHaveLength(1);
      expect(said.filter((message) => message.includes('set aside'))).toHaveLength(1);
    },
  );
});

describe('the file of a ccache', () => {
  const file = () => readdirSync(original).find((name) => name.startsWith('tkt')) as string;

  it('with any one byte changed costs no other a ticket', () => {
    const bytes = readFileSync(`${original}/${file()}`);
    const own = tickets(load(withFile('', undefined).at).collection).filter((server) =>
      bytes.includes(server.slice(0, 2)),
    );
    const others = all().filter((server) => !own.includes(server));
    expect(others).toHaveLength(4);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (changes[at % changes.length] as (typeof changes)[0])(damaged[at] as number);
      expect(withFile(file(), damaged).found, `byte ${at}`).toEqual(expect.arrayContaining(others));
    }
  });

  it.each([
    ['"name":"y"', '"name":123'],
    ['"name":"y"', '"Name":"y"'],
    ['"name":"y"', '"name":  {'],
    ['"list":', '"List":'],
  ])('in whose header %s is %s costs no other a ticket, also without a journal', (part, damage) => {
    const name = readdirSync(original).find(
      (one) => one.startsWith('tkt') && readFileSync(`${original}/${one}`).includes('"name":"y"'),
    ) as string;
    const damaged = readFileSync(`${original}/${name}`).toString('latin1').replace(part, damage);
    const at = `${root}/${copies++}`;
    cpSync(original, at, { recursive: true });
    writeFileSync(`${at}/journal`, '');
    writeFileSync(`${at}/${name}`, damaged, 'latin1');
    const { collection } = load(at);
    expect(tickets(collection)).toEqual(all().filter((server) => !server.startsWith('y')));
    expect(readFileSync(`${at}/${name}`, 'latin1')).toBe(damaged);
  });

  it('that stock programs wrote is neither taken nor written over, with or without a journal', () => {
    for (const journal of [undefined, '']) {
      const at = `${root}/${copies++}`;
      cpSync(original, at, { recursive: true });
      const foreign = Buffer.from(
        readFileSync(`${at}/${file()}`).toString('latin1').replace('"server"', '"Server"'),
        'latin1',
      );
      for (const name of ['tkt9', 'tkta', 'tktz9']) writeFileSync(`${at}/${name}`, foreign);
      if (journal !== undefined) writeFileSync(`${at}/journal`, journal);
      const { collection, store } = load(at);
      for (let i = 0; i < 50; i++) collection.create(`${i}`, 2, 'a@R');
      for (let i = 0; i < 50; i++) collection.destroy(collection.named(`${i}`) as never);
      store.close();
      for (const name of ['tkt9', 'tkta', 'tktz9']) expect(readFileSync(`${at}/${name}`).equals(foreign)).toBe(true);
      expect(existsSync(`${at}/journal`)).toBe(true);
    }
  });
});
