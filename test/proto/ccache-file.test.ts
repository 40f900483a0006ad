import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCCacheFile, writeCCacheFile } from '../../proto/ccache-file.ts';
import { toVersion4 } from '../../proto/former-ccache-file.ts';
import { Reader } from '../../proto/reader.ts';
import { bytes, krb5Credential, principal } from './arbitrary.ts';
import { hex } from './vectors/file-ccache.json' with { type: 'json' };

const vector = Buffer.from(hex, 'hex');

describe('the FILE ccache that stock libkrb5 wrote', () => {
  it('is read in every part', () => {
    const file = readCCacheFile(vector);
    expect(file).toMatchObject({
      kdcOffset: { seconds: -7, microseconds: 0 },
      principal: { nameType: 1, realm: 'EX', components: ['a'] },
      removed: 0,
      tornBytes: 0,
    });
    expect(file.credentials).toHaveLength(2);
    expect(file.credentials[0]).toMatchObject({
      server: { nameType: 2, realm: 'EX', components: ['krbtgt', 'EX'] },
      keyblock: { type: 17, data: Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex') },
      authtime: 1700000000,
      starttime: 1700000001,
      endtime: 4000000000,
      renewTill: 4100000000,
      ticketFlags: 0x40e10000,
      addresses: [{ type: 2, data: Buffer.from([127, 0, 0, 1]) }],
      authdata: [{ type: 1, data: Buffer.from('AD') }],
      ticket: Buffer.from('TKT'),
    });
    expect(file.credentials[1]?.server).toMatchObject({
      realm: 'X-CACHECONF:',
      components: ['krb5_ccache_conf_data', 'k'],
    });
  });

  it('is written as the same bytes', () => {
    expect(writeCCacheFile(readCCacheFile(vector)).toString('hex')).toBe(hex);
  });

  it('is without its credentials after libkrb5 removed them in place', () => {
    const removed = Buffer.from(vector);
    removed.write('ffffffff', 106, 'hex');
    removed.write('000000', 114, 'hex');
    removed.write('524d45442d', 197, 'hex');
    removed.write('ffffffff', 243, 'hex');
    expect(readCCacheFile(removed)).toMatchObject({ credentials: [], removed: 2, tornBytes: 0 });
  });

  it('is read up to a torn tail wherever it is cut behind the principal, and refused before', () => {
    for (let length = 0; length < vector.length; length++) {
      const cut = vector.subarray(0, length);
      if (length < 35 && length !== 16) {
        expect(() => readCCacheFile(cut)).toThrow(expect.objectContaining({ code: 22 }));
      } else {
        const whole = length < 164 ? 0 : 1;
        const start = length < 35 ? 16 : length < 164 ? 35 : 164;
        expect(readCCacheFile(cut)).toMatchObject({ credentials: { length: whole }, tornBytes: length - start });
      }
    }
  });
});

it('is read as it was written, unknown header tags included', () => {
  const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const live = krb5Credential.filter(({ authtime, endtime }) => endtime !== 0 || authtime === 0);
  const file = fc.record(
    {
      kdcOffset: fc.record({ seconds: i32, microseconds: i32 }),
      otherTags: fc.array(fc.record({ tag: fc.integer({ min: 2, max: 0xffff }), value: bytes() }), { maxLength: 3 }),
      principal,
      credentials: fc.array(live, { maxLength: 4 }),
    },
    { requiredKeys: ['otherTags', 'principal', 'credentials'] },
  );
  fc.assert(
    fc.property(file, (value) => {
      expect(readCCacheFile(writeCCacheFile(value))).toEqual({ ...value, removed: 0, tornBytes: 0 });
    }),
  );
});

it('has no principal while DIR has only made it', () => {
  expect(readCCacheFile(Buffer.from('05040000', 'hex'))).toEqual({
    otherTags: [],
    credentials: [],
    removed: 0,
    tornBytes: 0,
  });
});

describe('a FILE ccache of a former version', () => {
  /** The file of two credentials in a former form, and where the second begins. */
  function former(version: 1 | 2 | 3, isLittle: boolean): { bytes: Buffer; second: number } {
    const number = (size: 2 | 4, value: number) => {
      const bytes = Buffer.alloc(size);
      if (isLittle) bytes.writeUIntLE(value, 0, size);
      else bytes.writeUIntBE(value, 0, size);
      return bytes;
    };
    const data = (text: string) => Buffer.concat([number(4, text.length), Buffer.from(text)]);
    const typed = (type: number, text: string) => Buffer.concat([number(2, type), data(text)]);
    const principal = (...texts: string[]) => {
      const count = number(4, version === 1 ? texts.length : texts.length - 1);
      return Buffer.concat([...(version === 1 ? [] : [number(4, 2)]), count, ...texts.map(data)]);
    };
    const credential = (service: string) =>
      Buffer.concat([
        ...[principal('R', 'alice'), principal('R', 'host', service)],
        ...(version === 3 ? [number(2, 18)] : []),
        typed(18, 'key'),
        ...[1, 2, 3, 4].map((time) => number(4, time)),
        Buffer.of(1),
        ...[number(4, 0x40000000), number(4, 1), typed(2, 'addr'), number(4, 1), typed(1, 'auth')],
        ...[data('ticket'), data('')],
      ]);
    const first = Buffer.concat([Buffer.of(5, version), principal('R', 'alice'), credential('a')]);
    return { bytes: Buffer.concat([first, credential('b')]), second: first.length };
  }

  const host = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  const versions = [1, 2, 3] as const;

  it.each(versions)('of version %i is read as libkrb5 reads it', (version) => {
    const file = readCCacheFile(former(version, version < 3 && host).bytes);
    const nameType = version === 1 ? 0 : 2;
    expect(file).toMatchObject({
      principal: { nameType, realm: 'R', components: ['alice'] },
      removed: 0,
      tornBytes: 0,
    });
    expect(file.credentials).toHaveLength(2);
    expect(file.credentials[1]).toEqual({
      client: { nameType, realm: 'R', components: ['alice'] },
      server: { nameType, realm: 'R', components: ['host', 'b'] },
      keyblock: { type: 18, data: Buffer.from('key') },
      ...{ authtime: 1, starttime: 2, endtime: 3, renewTill: 4, isSkey: 1, ticketFlags: 0x40000000 },
      addresses: [{ type: 2, data: Buffer.from('addr') }],
      authdata: [{ type: 1, data: Buffer.from('auth') }],
      ticket: Buffer.from('ticket'),
      secondTicket: Buffer.alloc(0),
    });
  });

  it.each(versions)('of version %i ends where it is cut within a credential', (version) => {
    const { bytes, second } = former(version, version < 3 && host);
    for (let length = second; length < bytes.length; length++) {
      const cut = readCCacheFile(bytes.subarray(0, length));
      expect(cut).toMatchObject({ credentials: { length: 1 }, tornBytes: length - second });
    }
  });

  it.each([true, false])('of version 2 is converted from either byte order: little %s', (isLittle) => {
    const { bytes } = former(2, isLittle);
    const { bytes: converted, tornBytes } = toVersion4(new Reader(bytes.subarray(2)), 2, isLittle);
    expect([converted.readUInt32BE(0), converted.readUInt32BE(4), tornBytes]).toEqual([2, 1, 0]);
  });
});

describe('what is no FILE ccache is refused with the reason', () => {
  it.each([
    ['', 'not a FILE ccache'],
    ['4b52', 'not a FILE ccache'],
    ['0505', 'not a FILE ccache'],
    ['0503000000', 'bytes expected'],
    ['0504000c000100040000000000000000', 'not 8 bytes'],
    ['05040004000100080000', 'bytes expected'],
  ])('%s', (text, reason) => {
    expect(() => readCCacheFile(Buffer.from(text, 'hex'))).toThrow(reason);
  });
});
