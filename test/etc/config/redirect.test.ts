// Rules of where a client goes.
import { describe, expect, it } from 'vitest';
import { matchesRedirect, parseRedirect } from '../../../etc/config/redirect.ts';

const names = { isUser: (uid: number, name: string) => uid === 1000 && name === 'alice', isInGroup: () => false };

it.each([
  ['alice unix:///a', { patterns: [{ user: 'alice' }], services: [], uris: [{ scheme: 'unix' }] }],
  ['@staff, 5-9  ssh://h', { patterns: [{ group: 'staff' }, { from: 5, to: 9 }], uris: [{ scheme: 'ssh' }] }],
  ['service:imap * .', { services: ['imap'], patterns: [{ from: 0 }], uris: undefined }],
  ['service:imap exec:sh -c "a, b"', { services: ['imap'], patterns: [], uris: [{ command: ['sh', '-c', 'a, b'] }] }],
  ['bob unix:///a,inetd://h:1', { uris: [{ scheme: 'unix' }, { scheme: 'inetd' }] }],
])('%s', (text, rule) => expect(parseRedirect(text)).toMatchObject({ text, ...rule }));

describe('is none', () => {
  it.each(['', '.', 'unix:///a', 'alice', 'alice gopher://x', 'service: .', 'service:a b: .', 'a:b .', 'alice unix:a'])(
    '%j',
    (text) => expect(parseRedirect(text)).toBeUndefined(),
  );
});

it.each([
  ['alice .', { uid: 1000, service: undefined }, true],
  ['alice .', { uid: 1001, service: undefined }, false],
  ['service:imap .', { uid: 1000, service: undefined }, false],
  ['service:imap .', { uid: 1000, service: 'imap' }, true],
  ['service:imap .', { uid: 1000, service: 'smtp' }, false],
  ['0-999 service:imap .', { uid: 5, service: undefined }, true],
])('%s for %j: %s', (text, who, means) => {
  expect(matchesRedirect(parseRedirect(text) as NonNullable<ReturnType<typeof parseRedirect>>, who, names)).toBe(means);
});
