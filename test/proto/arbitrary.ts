// Arbitrary values of the protocol, for the property tests.
import fc from 'fast-check';
import type { CredentialV5 } from '../../proto/credential.ts';
import type { Data } from '../../proto/fields.ts';
import type { Krb5Credential } from '../../proto/krb5-credential.ts';
import { inferredNameType, type Principal } from '../../proto/principal.ts';
import { textFromBytes } from '../../proto/text.ts';

export const bytes = (maxLength = 40) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

/** Any text that a wire string can hold: any bytes but NUL, valid UTF-8 or not. */
export const wireText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
  fc.uint8Array({ maxLength: 20, min: 1 }).map((array) => textFromBytes(Buffer.from(array))),
);

const data: fc.Arbitrary<Data> = fc.record({ type: u32, data: bytes() });

const dataList = fc.array(data, { maxLength: 4 });

export const credentialV5: fc.Arbitrary<CredentialV5> = fc.record({
  client: wireText,
  server: wireText,
  keyblock: data,
  authtime: u32,
  starttime: u32,
  endtime: u32,
  renewTill: u32,
  isSkey: u32,
  ticketFlags: u32,
  addresses: dataList,
  ticket: data,
  secondTicket: data,
  authdata: dataList,
});

/** Any text a principal's part can hold, NUL included. */
const part = fc.uint8Array({ maxLength: 12 }).map((array) => textFromBytes(Buffer.from(array)));

/** Principals of at least one component: the text form cannot tell no component from one that is empty. */
export const principal: fc.Arbitrary<Principal> = fc.record({
  nameType: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  realm: part,
  components: fc.array(fc.oneof(part, fc.constantFrom('krbtgt', 'WELLKNOWN', 'a/b@c\\d')), {
    minLength: 1,
    maxLength: 4,
  }),
});

/** A principal with the name type that its text implies. */
export const plainPrincipal = principal.map((value) => ({ ...value, nameType: inferredNameType(value.components) }));

const u16 = fc.integer({ min: 0, max: 0xffff });
const signed16 = u16.map((value) => ((value << 16) >> 16) >>> 0);
const typed = (type: fc.Arbitrary<number>): fc.Arbitrary<Data> => fc.record({ type, data: bytes() });

export const krb5Credential: fc.Arbitrary<Krb5Credential> = fc.record({
  client: principal,
  server: principal,
  keyblock: typed(signed16),
  authtime: u32,
  starttime: u32,
  endtime: u32,
  renewTill: u32,
  isSkey: fc.integer({ min: 0, max: 255 }),
  ticketFlags: u32,
  addresses: fc.array(typed(u16), { maxLength: 4 }),
  authdata: fc.array(typed(signed16), { maxLength: 4 }),
  ticket: bytes(100),
  secondTicket: bytes(),
});
