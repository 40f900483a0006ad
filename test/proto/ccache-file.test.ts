import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCCacheFile, writeCCacheFile } from '../../proto/ccache-file.ts';
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

describe('what is no version 4 FILE ccache is refused with the reason', () => {
  it.each([
    ['', 'not a FILE ccache'],
    ['4b52', 'not a FILE ccache'],
    ['0503', 'version 3'],
    ['0504000c000100040000000000000000', 'not 8 bytes'],
    ['05040004000100080000', 'bytes expected'],
  ])('%s', (text, reason) => {
    expect(() => readCCacheFile(Buffer.from(text, 'hex'))).toThrow(reason);
  });
});
