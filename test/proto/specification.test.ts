// The specifications in proto/*.md against the code: what one has and the other has not, or otherwise, fails.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_SOCKET_PATH } from '../../etc/config/paths.ts';
import { readCCacheFile, writeCCacheFile } from '../../proto/ccache-file.ts';
import { type MessageName, messages } from '../../proto/ccapi.ts';
import {
  errorFrame,
  readArguments,
  readReply,
  readRequestHeader,
  replyFrame,
  requestFrame,
} from '../../proto/ccapi-codec.ts';
import { CREDENTIALS_V5, credentialUnion } from '../../proto/credential.ts';
import { errorCodes } from '../../proto/errors.ts';
import type { Field, Layout } from '../../proto/fields.ts';
import { MAX_FRAME } from '../../proto/framing.ts';
import { uninitialised } from '../../proto/identifier.ts';
import {
  MAX_REPLY,
  matchFlags,
  type OperationName,
  operationError,
  operationReply,
  operations,
  VERSION,
} from '../../proto/kcm.ts';
import { CONFIG_REALM, readKrb5Credential, writeKrb5Credential } from '../../proto/krb5-credential.ts';
import {
  MAX_PRINCIPAL,
  parsePrincipal,
  readPrincipal,
  unparsePrincipal,
  writePrincipal,
} from '../../proto/principal.ts';
import { Reader } from '../../proto/reader.ts';
import {
  LINE_DEADLINE,
  MAX_LINE,
  MAX_SETTINGS_REPLY,
  MAX_UID,
  parseReplyLine,
  parseRequestLine,
  RendezvousError,
  replyLine,
  requestLine,
} from '../../proto/rendezvous.ts';
import { isStaging } from '../../proto/staging.ts';
import { STATUS_REQUEST } from '../../proto/status.ts';
import { Writer } from '../../proto/writer.ts';
import { DEFAULT_NAME } from '../../server/model/collection.ts';
import { MAX_NAME } from '../../server/model/limits.ts';
import { lockTypes } from '../../server/model/locks.ts';
import { at, constantOf, plain, Specification } from './markdown.ts';

const root = join(import.meta.dirname, '../..');
const ccapi = new Specification('CCAPI.md');
const kcm = new Specification('KCM.md');
const rendezvous = new Specification('RENDEZVOUS.md');
const fileCCache = new Specification('FILE-CCACHE.md');
const all = { 'CCAPI.md': ccapi, 'KCM.md': kcm, 'RENDEZVOUS.md': rendezvous, 'FILE-CCACHE.md': fileCCache };

type AnyField = Field<unknown>;
interface Kind {
  hex: string;
  /** The values of the example, by their paths; `''` is the whole. */
  values: Record<string, unknown>;
  refused: { hex: string; code: number } | undefined;
}

const bytesOf = (hex: string) => Buffer.from(hex, 'hex');
const u32 = (number: number) => (number >>> 0).toString(16).padStart(8, '0');

/** `name: type, …` as pairs. */
function fieldsIn(cell: string): [name: string, type: string][] {
  return cell === '' ? [] : cell.split(', ').map((field) => field.split(': ') as [string, string]);
}

/** Whether a field reads the example of a type, all of it and as the specification says, writes it, and refuses what it has to. */
function expectKind(field: AnyField, { hex, values, refused }: Kind, where: string): void {
  const reader = new Reader(Buffer.concat([bytesOf(hex), where.endsWith(': uuids') ? Buffer.alloc(0) : bytesOf('ff')]));
  const value = field.read(reader);
  expect([where, reader.offset]).toEqual([where, hex.length / 2]);
  for (const [path, expected] of Object.entries(values)) {
    expect([where, path, path === '' ? plain(value) : at(plain(value), path)]).toEqual([where, path, expected]);
  }
  if (refused) {
    const read = () => field.read(new Reader(bytesOf(refused.hex)));
    expect(read, `${where} refuses`).toThrow(expect.objectContaining({ code: refused.code }));
  }
  if (where.endsWith(': matching')) return;
  const writer = new Writer();
  field.write(writer, value);
  expect([where, writer.finish().toString('hex')]).toEqual([where, hex]);
}

/** The types of a page by their names; `elsewhere` are those that have their example outside the table. */
function kindsOf(page: Specification, elsewhere: Record<string, Pick<Kind, 'hex' | 'values'>>): Map<string, Kind> {
  const rows = page.table('type', 'encoding', 'example', 'value', 'refused');
  return new Map(
    rows.map(({ type, example, value, refused }) => {
      const [refusedHex, code = '22'] = refused?.split(' ') ?? [];
      const shown = /^[0-9a-f]+$/.test(example as string)
        ? { hex: example as string, values: { '': JSON.parse(value as string) } }
        : elsewhere[type as string];
      if (!shown) throw new Error(`no example of ${type}`);
      return [type as string, { ...shown, refused: refusedHex ? { hex: refusedHex, code: Number(code) } : undefined }];
    }),
  );
}

function expectLayout(layout: Layout, cell: string, kinds: Map<string, Kind>, where: string): void {
  const fields = fieldsIn(cell);
  expect([where, fields.map(([name]) => name)]).toEqual([where, Object.keys(layout)]);
  for (const [name, type] of fields) {
    const kind = kinds.get(type);
    if (!kind) throw new Error(`${where}: no type ${type}`);
    expectKind(layout[name] as AnyField, kind, `${where}, ${name}: ${type}`);
  }
}

describe('CCAPI.md', () => {
  const kinds = kindsOf(ccapi, { credentials: ccapi.example('credentials') });
  const rows = ccapi.table('number', 'name', 'object', 'request', 'reply', 'errors');
  const classes = ccapi.table('object', 'the header names', 'foreign', 'unknown');

  it('has every message, in the order of the code, and no other', () => {
    expect(rows.map(({ number, name }) => [Number(number), name])).toEqual(
      Object.entries(messages).map(([name, { number }]) => [number, name]),
    );
  });

  it.each(rows)('$number $name: object, fields and their types, errors', ({ name, object, request, reply, errors }) => {
    const message = messages[name as MessageName];
    expect(object).toBe(message.object);
    expectLayout(message.request, request as string, kinds, `${name}, request`);
    expectLayout(message.reply, reply as string, kinds, `${name}, reply`);
    const codes = Object.values<{ code: number }>(errorCodes).map(({ code }) => code);
    for (const error of (errors as string).split(', ').filter(Boolean)) {
      expect(error).toMatch(/^(late )?\d{3}$/);
      expect(codes).toContain(Number(error.replace('late ', '')));
    }
  });

  it('says for which messages no worker is started', () => {
    const [, list] = /For messages ([\d, and]+) a client starts no worker/.exec(ccapi.text) ?? [];
    const quiet = Object.values(messages).filter(({ launches }) => !launches);
    expect(list?.split(/, | and /).map(Number)).toEqual(quiet.map(({ number }) => number));
  });

  it('has every class of object', () => {
    expect(new Set(classes.map(({ object }) => object))).toEqual(
      new Set(Object.values(messages).map(({ object }) => object)),
    );
  });

  it('names the fields of a credential in their order, and each of them', () => {
    const { hex, values } = ccapi.example('credentials');
    expect(Object.keys(values)).toEqual(Object.keys(credentialUnion.read(new Reader(bytesOf(hex)))));
  });

  it('has every error that is not below 0', () => {
    expectErrors(ccapi.table('code', 'name', 'meaning'), (code) => code > 0);
  });

  it('has the lock types', () => {
    const rows = ccapi.table('name', 'type', 'this connection must hold, else 218', 'granted while');
    expect(Object.fromEntries(rows.map(({ name, type }) => [name, Number(type)]))).toEqual(lockTypes);
  });

  it('has the constants', () => {
    const constants = constantsOf(ccapi);
    expect(constants).toEqual({
      'credentials version (cc_credentials_v5)': CREDENTIALS_V5,
      'name of the first ccache': DEFAULT_NAME,
      'part of the uninitialised identifier': uninitialised.server,
      'longest frame': MAX_FRAME,
      'status request': STATUS_REQUEST,
      'longest name, characters': MAX_NAME,
      'longest principal, characters': MAX_PRINCIPAL,
      'prefix of an unfinished ccache': 'unfinished ',
    });
    expect(isStaging(constants['prefix of an unfinished ccache'] as string)).toBe(true);
  });

  it.each(ccapi.vectors().filter(({ title }) => title !== 'status'))(
    'vector $title',
    ({ title, messages: [request, reply] }) => {
      const name = title as MessageName;
      if (!request || !reply) throw new Error('a request and a reply');
      const bytes = bytesOf(request.hex);
      expect(bytes.readUInt32BE(0)).toBe(bytes.length - 4);
      const header = readRequestHeader(bytes.subarray(4));
      expect(header.name).toBe(name);
      const values = readArguments(name, header.arguments) as never;
      expectValues(request.values, {
        length: bytes.length - 4,
        number: header.number,
        object: header.object,
        ...(values as object),
      });
      expect(Object.keys(messages[name].request).every((field) => mentions(request.values, field))).toBe(true);
      expect(requestFrame(name, header.object, values).toString('hex')).toBe(request.hex);

      const answer = bytesOf(reply.hex);
      const error = answer.readInt32BE(4);
      const results = error === 0 ? readReply(name, answer.subarray(4)) : {};
      expectValues(reply.values, { length: answer.length - 4, error, ...results });
      if (error === 0)
        expect(Object.keys(messages[name].reply).every((field) => mentions(reply.values, field))).toBe(true);
      const written = error === 0 ? replyFrame(name, results as never) : errorFrame(error);
      expect(written.toString('hex')).toBe(reply.hex);
    },
  );

  it('has the status request, and each field of the answer', () => {
    const [status] = ccapi.vectors().filter(({ title }) => title === 'status');
    expect(
      bytesOf(status?.messages[0]?.hex as string)
        .subarray(4)
        .toString('latin1'),
    ).toBe(STATUS_REQUEST);
    const declared = membersOf('status.ts', 'WorkerStatus');
    const types: Record<string, string> = {
      'object of numbers': 'Record<string, number>',
      'object of value, where': 'SettingsReport',
    };
    const rows = ccapi.table('field', 'type', 'meaning').map(({ field, type = '' }) => {
      const required = type.replace(', optional', '');
      return [`${field}${type === required ? '' : '?'}`, types[required] ?? required];
    });
    expect(Object.fromEntries(rows)).toEqual(declared);
  });
});

describe('KCM.md', () => {
  const principal = fileCCache.example('principal');
  const credential = fileCCache.example('credential').hex;
  const list = `00000001${u32(credential.length / 2)}${credential}`;
  const kinds = kindsOf(kcm, {
    principal,
    credential: { hex: credential, values: { '': credential } },
    credentials: { hex: list, values: { '': [credential] } },
    matching: kcm.example('matching'),
  });
  const rows = kcm.table('number', 'name', 'request', 'reply', 'errors');

  it('has every operation, in the order of the code, and no other', () => {
    expect(rows.map(({ number, name }) => [Number(number), name])).toEqual(
      Object.entries(operations).map(([name, { number }]) => [number, constantOf(name)]),
    );
  });

  it.each(rows)('$number $name: fields and their types, errors', ({ name, request, reply, errors }) => {
    const { request: asked, reply: answered } = operations[operationOf(name as string)];
    expectLayout(asked, request as string, kinds, `${name}, request`);
    expectLayout(answered, reply as string, kinds, `${name}, reply`);
    for (const error of (errors as string).split(', ').filter(Boolean))
      expect(Object.keys(errorCodes)).toContain(error);
  });

  it('has every error below 0, also as it travels', () => {
    const errors = kcm.table('code', 'hex', 'name', 'meaning');
    expectErrors(errors, (code) => code < 0);
    for (const { code, hex } of errors) expect(hex).toBe(u32(Number(code)));
  });

  it('has the flags of a match', () => {
    const flags = kcm.table('flag', 'value', 'asks');
    expect(Object.fromEntries(flags.map(({ flag, value }) => [flag, Number.parseInt(value as string, 16)]))).toEqual(
      matchFlags,
    );
  });

  it('has the bits of a matching credential', () => {
    const bits = kcm.table('order', 'field', 'encoding', 'there if the header has').flatMap((row) => {
      const bit = row['there if the header has'] as string;
      return /^[0-9a-f]{2}$/.test(bit) ? [[row.field, Number.parseInt(bit, 16)]] : [];
    });
    const [, source = ''] = /const present = \{([^}]*)\}/.exec(sourceOf('kcm.ts')) ?? [];
    const present = [...source.matchAll(/(\w+): (0x\w+)/g)].map(([, name, bit]) => [name, Number(bit)]);
    expect(Object.fromEntries(bits)).toEqual(Object.fromEntries(present));
  });

  it('has the constants', () => {
    expect(constantsOf(kcm)).toEqual({
      version: `0${VERSION.toString(16)}`,
      'longest reply': MAX_REPLY,
      'realm of configuration entries': CONFIG_REALM,
    });
  });

  it.each(kcm.vectors())('vector $title', ({ title, messages: [request, reply] }) => {
    const name = operationOf(title);
    if (!request || !reply) throw new Error('a request and a reply');
    const reader = new Reader(bytesOf(request.hex));
    const head = { length: reader.u32(), version: reader.u16(), number: reader.u16() };
    expect(head).toEqual({ length: request.hex.length / 2 - 4, version: VERSION, number: operations[name].number });
    const values = readAll(reader, operations[name].request);
    expect(reader.remaining).toBe(0);
    expectValues(request.values, { ...head, ...values });
    expect(Object.keys(values).every((field) => mentions(request.values, field))).toBe(true);

    const answer = new Reader(bytesOf(reply.hex));
    expect([answer.u32(), answer.u32()]).toEqual([reply.hex.length / 2 - 8, 0]);
    const error = answer.i32();
    const results = error === 0 ? readAll(answer, operations[name].reply) : {};
    expectValues(reply.values, { length: reply.hex.length / 2 - 8, error, ...results });
    const written = error === 0 ? operationReply(name, results as never) : operationError(error);
    expect(written.toString('hex')).toBe(reply.hex);
  });
});

describe('RENDEZVOUS.md', () => {
  const codes = rendezvous.table('code', 'meaning', 'what to do').map(({ code }) => code);

  it('has every error', () => {
    const [, union = ''] = /type RendezvousErrorCode =([^;]*);/.exec(sourceOf('rendezvous.ts')) ?? [];
    const declared = [...union.matchAll(/'([a-z-]+)'/g)].map(([, code]) => code);
    expect([...codes].sort()).toEqual(declared.sort());
  });

  it('has exchanges that are read and written as they stand there', () => {
    const lines = rendezvous.blocks('exchange').flatMap((block) => block.lines);
    expect(lines.length).toBeGreaterThan(5);
    let bare = false;
    for (const line of lines) {
      const text = line.slice(3);
      if (line.startsWith('->')) {
        const request = parseRequestLine(text);
        bare = request.bare;
        expect(bare ? `${request.uid}\n` : requestLine(request)).toBe(`${text}\n`);
      } else {
        expect(replyLine(bare, answerIn(text, bare))).toBe(`${text}\n`);
      }
    }
  });

  it('has lines that are refused as it says', () => {
    for (const { line, code } of rendezvous.table('line', 'code')) {
      expect(() => parseRequestLine(line as string)).toThrow(expect.objectContaining({ code }));
    }
  });

  it('has the limits', () => {
    expect(constantsOf(rendezvous)).toEqual({
      'longest line, bytes with the newline': MAX_LINE,
      'longest line with settings, bytes with the newline': MAX_SETTINGS_REPLY,
      'a launcher waits for a line, ms': LINE_DEADLINE,
      'longest path of a socket, bytes': MAX_SOCKET_PATH,
      'greatest uid': MAX_UID,
    });
  });
});

describe('FILE-CCACHE.md', () => {
  it('has the parts of a principal', () => {
    const field = { read: readPrincipal, write: writePrincipal } as AnyField;
    expectKind(field, { ...fileCCache.example('principal'), refused: undefined }, 'principal');
  });

  it('has the fields of a credential in their order', () => {
    const { hex, values } = fileCCache.example('credential');
    const field = { read: readKrb5Credential, write: writeKrb5Credential } as AnyField;
    expectKind(field, { hex, values, refused: undefined }, 'credential');
    const fields = Object.keys(readKrb5Credential(new Reader(bytesOf(hex))));
    expect([...tablesOfFields()][1]).toEqual(fields);
    expect(fields.every((name) => mentions(values, name))).toBe(true);
  });

  it('has a file, which is read and written as it stands there', () => {
    const { hex, values } = fileCCache.example('file');
    const file = readCCacheFile(bytesOf(hex));
    expectValues(values, file);
    expect(file.credentials).toHaveLength(2);
    expect(writeCCacheFile(file).toString('hex')).toBe(hex);
  });

  it('has the version and the header fields, of which a known one with another length is refused', () => {
    const [version] = fileCCache.table('order', 'part', 'encoding');
    expect(version).toMatchObject({
      part: 'version',
      encoding: writeCCacheFile({ otherTags: [], credentials: [] }).toString('hex', 0, 2),
    });
    const headerOf = (tag: number, length: number) =>
      new Writer()
        .u16(0x0504)
        .u16(4 + length)
        .u16(tag)
        .u16(length)
        .bytes(Buffer.alloc(length))
        .finish();
    for (const { tag, length } of fileCCache.table('tag', 'length', 'value')) {
      const [known, right] = [Number(tag), Number(length)];
      expect(readCCacheFile(headerOf(known, right))).toMatchObject({ kdcOffset: { seconds: 0 }, otherTags: [] });
      expect(() => readCCacheFile(headerOf(known, right - 1))).toThrow(expect.objectContaining({ code: 22 }));
      expect(readCCacheFile(headerOf(known + 1, right - 1)).otherTags).toHaveLength(1);
    }
  });

  it('has texts of principals, with the types that they imply', () => {
    for (const { text, nameType, components, realm } of fileCCache.table('text', 'nameType', 'components', 'realm')) {
      const principal = parsePrincipal(text as string);
      expect(principal).toEqual({
        nameType: Number(nameType),
        components: JSON.parse(components as string),
        realm: JSON.parse(realm as string),
      });
      expect(unparsePrincipal(principal)).toBe(text);
    }
  });

  function* tablesOfFields(): Generator<string[]> {
    const [, ...tables] = fileCCache.text.split('| order | field | encoding |');
    for (const table of tables) {
      const [rows = ''] = table.split('\n\n');
      yield [...rows.matchAll(/^\| +\d+ \| (\w+) \|/gm)].map(([, name]) => name as string);
    }
  }
});

describe('the comments', () => {
  const sources = ['proto', 'etc', 'server', 'launcher', 'client', 'test'].flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => `${room}/${path}`),
  );

  it('lead to sections that are there', () => {
    const broken = [
      ...sources,
      ...Object.keys(all).map((name) => `proto/${name}`),
      'README.md',
      'ARCHITECTURE.md',
    ].flatMap((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      const own = /proto\/(.*\.md)$/.exec(path)?.[1];
      const links = [...text.matchAll(/([A-Z-]+\.md)?\]?\(?#([a-z0-9-]+)/g)].flatMap(([whole, name = own, anchor]) => {
        const page = all[name as keyof typeof all];
        return page && (own || whole.includes('.md')) && !page.anchors.includes(anchor as string)
          ? [`${path}: ${whole}`]
          : [];
      });
      return links;
    });
    expect(broken).toEqual([]);
  });

  it('speak of nothing outside the repository', () => {
    const outside = /\.\.\/shared|\bDESIGN\b|ccapi-rpc|(RPC|KCM) specification|appendix|\((?!RFC)[0-9AB]\.\d+/;
    const isComment = /^\s*(\*|\/\*|\/\/)/;
    const found = sources.flatMap((path) => {
      const lines = readFileSync(join(root, path), 'utf8').split('\n');
      return lines.filter((line) => isComment.test(line) && outside.test(line)).map((line) => `${path}: ${line}`);
    });
    expect(found).toEqual([]);
  });
});

function expectErrors(rows: Record<string, string>[], which: (code: number) => boolean): void {
  const declared = Object.entries<{ code: number; meaning: string }>(errorCodes).filter(([, { code }]) => which(code));
  expect(rows.map(({ code, name, meaning }) => [name, Number(code), meaning])).toEqual(
    declared.map(([name, { code, meaning }]) => [name, code, meaning]),
  );
}

function constantsOf(page: Specification): Record<string, unknown> {
  return Object.fromEntries(
    page
      .table('name', 'value')
      .map(({ name, value = '' }) => [name, /^(0|[1-9]\d*|".*")$/.test(value) ? JSON.parse(value) : value]),
  );
}

/** All that a specification says of a value, it is. */
function expectValues(said: Record<string, unknown>, value: unknown): void {
  const found = plain(value);
  for (const [path, expected] of Object.entries(said)) expect([path, at(found, path)]).toEqual([path, expected]);
}

/** Whether a field, or a part of it, has a line of its own. */
function mentions(values: Record<string, unknown>, field: string): boolean {
  return Object.keys(values).some((path) => path === field || path.startsWith(`${field}.`));
}

function readAll(reader: Reader, layout: Layout): Record<string, unknown> {
  return Object.fromEntries(Object.entries(layout).map(([name, field]) => [name, field.read(reader)]));
}

function answerIn(text: string, bare: boolean): { path: string } | RendezvousError {
  if (bare) return text.startsWith('error: ') ? new RendezvousError('', text.slice(7)) : { path: text };
  try {
    return { path: parseReplyLine(text) };
  } catch (error) {
    return error as RendezvousError;
  }
}

function sourceOf(name: string): string {
  return readFileSync(join(root, 'proto', name), 'utf8');
}

/** The members of an interface with their types; those that may be missing end in `?`. */
function membersOf(file: string, name: string): Record<string, string> {
  const [, body = ''] = new RegExp(`interface ${name} \\{([^}]*)\\}`).exec(sourceOf(file)) ?? [];
  return Object.fromEntries([...body.matchAll(/^ {2}(\w+\??): (.*);$/gm)].map(([, member, type]) => [member, type]));
}

function operationOf(constant: string): OperationName {
  const found = Object.keys(operations).find((name) => constantOf(name) === constant);
  if (!found) throw new Error(`no operation ${constant}`);
  return found as OperationName;
}
