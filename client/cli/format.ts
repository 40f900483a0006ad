import type { CredentialV5 } from '../index.ts';

/** The flags of a ticket in the order and with the letters of MIT's klist (RFC 4120 5.3, counted from the highest bit). */
const flags: readonly [bit: number, letter: string][] = [
  [0x40000000, 'F'],
  [0x20000000, 'f'],
  [0x10000000, 'P'],
  [0x08000000, 'p'],
  [0x04000000, 'D'],
  [0x02000000, 'd'],
  [0x01000000, 'i'],
  [0x00800000, 'R'],
  [0x00400000, 'I'],
  [0x00100000, 'H'],
  [0x00200000, 'A'],
  [0x00080000, 'T'],
  [0x00040000, 'O'],
  [0x00008000, 'a'],
];

/** The enctypes in use, as MIT names them (IANA, Kerberos Encryption Type Numbers). */
const enctypes: Record<number, string> = {
  16: 'des3-cbc-sha1',
  17: 'aes128-cts-hmac-sha1-96',
  18: 'aes256-cts-hmac-sha1-96',
  19: 'aes128-cts-hmac-sha256-128',
  20: 'aes256-cts-hmac-sha384-192',
  23: 'arcfour-hmac',
  25: 'camellia128-cts-cmac',
  26: 'camellia256-cts-cmac',
};

/** What kinds of addresses there are (RFC 4120 7.5.3). */
const INTERNET = 2;
const INTERNET6 = 24;

/** `FRIA` and the like. */
export function flagsText({ ticketFlags }: CredentialV5): string {
  return flags.map(([bit, letter]) => ((ticketFlags & bit) !== 0 ? letter : '')).join('');
}

/** The name of the session key's enctype, or its number. */
export function enctypeText({ keyblock }: CredentialV5): string {
  return enctypes[keyblock.type] ?? `enctype ${keyblock.type | 0}`;
}

/** The addresses that a ticket may be used from. */
export function addressesText({ addresses }: CredentialV5): string {
  if (addresses.length === 0) return '(none)';
  return addresses.map(({ type, data }) => addressText(type, data)).join(', ');
}

function addressText(type: number, data: Buffer): string {
  if (type === INTERNET && data.length === 4) return data.join('.');
  if (type !== INTERNET6 || data.length !== 16) return `type ${type}: ${data.toString('hex')}`;
  return Array.from({ length: 8 }, (_, i) => data.readUInt16BE(2 * i).toString(16)).join(':');
}

/** A length of time in seconds, as people say it: `9 h`, `2 d`. */
export function howLong(seconds: number): string {
  const [size, unit] =
    seconds >= 172_800 ? [86_400, 'd'] : seconds >= 7200 ? [3600, 'h'] : seconds >= 120 ? [60, 'min'] : [1, 's'];
  return `${Math.floor(seconds / size)} ${unit}`;
}

/** How far away a time is: `in 9 h`, `2 d ago`. */
export function fromNow(seconds: number, now: number): string {
  return seconds >= now ? `in ${howLong(seconds - now)}` : `${howLong(now - seconds)} ago`;
}
