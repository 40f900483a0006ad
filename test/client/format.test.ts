// How a ticket is shown to a person.
import { expect, it } from 'vitest';
import { addressesText, enctypeText, flagsText, fromNow } from '../../client/cli/format.ts';
import { credentialFor } from '../server/model/model.ts';

it.each([
  [0, ''],
  [0x40e10000, 'FRIA'],
  [0x50a50000, 'FPRAO'],
  [0xffffffff, 'FfPpDdiRIHATOa'],
])('flags %i: %s', (ticketFlags, text) => expect(flagsText({ ...credentialFor('s@R'), ticketFlags })).toBe(text));

it.each([
  [18, 'aes256-cts-hmac-sha1-96'],
  [20, 'aes256-cts-hmac-sha384-192'],
  [99, 'enctype 99'],
  [-133 >>> 0, 'enctype -133'],
])('enctype %i: %s', (type, text) => {
  expect(enctypeText({ ...credentialFor('s@R'), keyblock: { type, data: Buffer.alloc(0) } })).toBe(text);
});

it.each([
  [[], '(none)'],
  [[{ type: 2, data: Buffer.from([127, 0, 0, 1]) }], '127.0.0.1'],
  [
    [{ type: 24, data: Buffer.concat([Buffer.from('fe80', 'hex'), Buffer.alloc(13), Buffer.from([1])]) }],
    'fe80:0:0:0:0:0:0:1',
  ],
  [
    [
      { type: 2, data: Buffer.from([1]) },
      { type: 20, data: Buffer.from('HOST') },
    ],
    'type 2: 01, type 20: 484f5354',
  ],
])('addresses %#', (addresses, text) => expect(addressesText({ ...credentialFor('s@R'), addresses })).toBe(text));

it.each([
  [9 * 3600 + 1800, 'in 9 h'],
  [59, 'in 59 s'],
  [0, 'in 0 s'],
  [-90, '90 s ago'],
  [-600, '10 min ago'],
  [3 * 86_400 + 5, 'in 3 d'],
])('%i seconds from now: %s', (seconds, text) => expect(fromNow(1_700_000_000 + seconds, 1_700_000_000)).toBe(text));
