import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { credentialUnion } from '../../proto/credential.ts';
import { dataArray, type Field, string, time } from '../../proto/fields.ts';
import { identifier } from '../../proto/identifier.ts';
import {
  fromCredentialV5,
  readKrb5Credential,
  toCredentialV5,
  writeKrb5Credential,
} from '../../proto/krb5-credential.ts';
import { readPrincipal, writePrincipal } from '../../proto/principal.ts';
import { Reader } from '../../proto/reader.ts';
import { Writer } from '../../proto/writer.ts';
import { credentialV5, krb5Credential, principal, wireText } from './arbitrary.ts';

function encoded<T>(field: Field<T>, value: T): Buffer {
  const writer = new Writer(1);
  field.write(writer, value);
  return writer.finish();
}

const codecs: [string, Field<unknown>, fc.Arbitrary<unknown>][] = [
  ['string', string, wireText],
  ['time', time, fc.integer({ min: 0, max: 0xffff_ffff })],
  ['identifier', identifier, fc.record({ server: wireText, object: wireText })],
  ['credential of the CCAPI', credentialUnion, credentialV5],
  ['principal of FILE and KCM', { read: readPrincipal, write: writePrincipal }, principal],
  ['credential of FILE and KCM', { read: readKrb5Credential, write: writeKrb5Credential }, krb5Credential],
] as [string, Field<unknown>, fc.Arbitrary<unknown>][];

describe.each(codecs)('%s', (_, field, arbitrary) => {
  it('reads what it wrote, and nothing beyond it', () => {
    fc.assert(
      fc.property(arbitrary, (value) => {
        const bytes = encoded(field, value);
        const reader = new Reader(Buffer.concat([bytes, Buffer.from('what follows')]));
        expect(field.read(reader)).toEqual(value);
        expect(reader.offset).toBe(bytes.length);
      }),
    );
  });

  it('rejects every truncation', () => {
    fc.assert(
      fc.property(arbitrary, (value) => {
        const bytes = encoded(field, value);
        for (let length = 0; length < bytes.length; length++) {
          const cut = new Reader(bytes.subarray(0, length));
          expect(() => field.read(cut)).toThrow(expect.objectContaining({ code: 22 }));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('answers any bytes with a value or with an error of the protocol', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          field.read(new Reader(Buffer.from(bytes)));
        } catch (error) {
          expect([22, 212]).toContain((error as { code: number }).code);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a string', () => {
  it.each([
    ['of length 0', '00000000'],
    ['without its NUL', '00000003616263'],
    ['with a NUL before the last', '0000000461006200'],
    ['longer than the message', '0000000461620000'.slice(0, 14)],
  ])('%s is malformed', (_, hex) => {
    expect(() => string.read(new Reader(Buffer.from(hex, 'hex')))).toThrow(expect.objectContaining({ code: 22 }));
  });

  it('cannot be written with a NUL in it', () => {
    expect(() => string.write(new Writer(), 'a\0b')).toThrow(expect.objectContaining({ code: 202 }));
  });
});

it('reads a time that is sign-extended, and one that is not, as the same 32 bits', () => {
  for (const hex of ['00000000fffffffb', 'fffffffffffffffb']) {
    expect(time.read(new Reader(Buffer.from(hex, 'hex')))).toBe(0xfffffffb);
  }
});

it('refuses a count that cannot be true before it allocates for it', () => {
  const before = process.memoryUsage();
  for (const count of ['ffffffff', '20000000', '00000003']) {
    const reader = new Reader(Buffer.from(`${count}00000000000000000000000000000000`, 'hex'));
    expect(() => dataArray.read(reader)).toThrow(expect.objectContaining({ code: 22 }));
  }
  expect(process.memoryUsage().heapUsed - before.heapUsed).toBeLessThan(8 << 20);
});

it('carries a credential of libkrb5 through the CCAPI with nothing lost, name types included', () => {
  fc.assert(
    fc.property(krb5Credential, (credential) => {
      const travelled = new Reader(encoded(credentialUnion, toCredentialV5(credential)));
      expect(fromCredentialV5(credentialUnion.read(travelled))).toEqual(credential);
    }),
  );
});

it('adds nothing to a credential with the name types that its text implies', () => {
  const alice = { nameType: 1, realm: 'R', components: ['alice'] };
  const tgs = { nameType: 2, realm: 'R', components: ['krbtgt', 'R'] };
  fc.assert(
    fc.property(krb5Credential, (credential) => {
      const { ticket, secondTicket } = toCredentialV5({ ...credential, client: alice, server: tgs });
      expect([ticket.type, secondTicket.type]).toEqual([0, 0]);
    }),
    { numRuns: 10 },
  );
});
