// Who is served: the first matching allow or deny line wins, and a rule that cannot be held against a uid opens nothing.
import { expect, it } from 'vitest';
import { decideAccess, parseUidPatterns, uidPatternText } from '../../../etc/config/access-rules.ts';
import { nameService } from '../../../etc/host/passwd.ts';

const names = {
  isUser: (uid: number, name: string) => name === `user${uid}`,
  isInGroup: (uid: number, group: string) => (group.startsWith('even') ? uid % 2 === 0 : undefined),
};

/** `lines` as in a krb5.conf: `allow …` or `deny …`. */
function decide(lines: string[], uid: number) {
  const rules = (kind: string) =>
    lines.flatMap((line, order) =>
      line.startsWith(`${kind} `)
        ? (parseUidPatterns(line.slice(kind.length)) ?? []).map((pattern) => ({ pattern, order }))
        : [],
    );
  return decideAccess({ allow: rules('allow'), deny: rules('deny') }, uid, names);
}

it.each([
  [[], 5, true, undefined],
  [['allow 5'], 5, true, 'allow = 5'],
  [['allow 5'], 6, false, undefined],
  [['deny 5'], 5, false, 'deny = 5'],
  [['deny 5'], 6, true, undefined],
  [['deny 0-999', 'allow *'], 999, false, 'deny = 0-999'],
  [['deny 0-999', 'allow *'], 1000, true, 'allow = *'],
  [['allow user7', 'deny 0-999'], 7, true, 'allow = user7'],
  [['allow user7', 'deny 0-999'], 8, false, 'deny = 0-999'],
  [['allow @even'], 8, true, 'allow = @even'],
  [['allow @even'], 7, false, undefined],
  [['deny @even, user7', 'allow 0-100'], 7, false, 'deny = user7'],
  [['deny @even', 'allow 0-100'], 101, false, undefined],
  [['deny @even\\ more'], 8, false, 'deny = @even\\ more'],
  [['deny "@even, more"'], 8, false, 'deny = @even\\,\\ more'],
  [['allow @missing user7'], 7, true, 'allow = user7'],
  [['allow @missing'], 7, false, undefined],
] as [string[], number, boolean, string | undefined][])('%j: uid %i: %j by %j', async (lines, uid, allowed, rule) => {
  expect(await decide(lines, uid)).toEqual(rule === undefined ? { allowed } : { allowed, rule });
});

it('a group that no database has does not open the door in silence', async () => {
  const denied = decide(['deny @missing', 'allow *'], 7);
  await expect(denied).rejects.toThrow('deny = @missing: no database has this group');
});

it('a name service that fails opens nothing', async () => {
  const rules = { allow: [], deny: [{ pattern: { user: 'alice' }, order: 0 }] };
  const failing = () => Promise.reject(new Error('timeout'));
  await expect(decideAccess(rules, 7, { isUser: failing, isInGroup: failing })).rejects.toThrow('timeout');
});

it.each([
  ['alice', [{ user: 'alice' }]],
  ['@domain\\ users', [{ group: 'domain users' }]],
  ['@"domain users" bob', [{ group: 'domain users' }, { user: 'bob' }]],
  ['"@domain users",bob', [{ group: 'domain users' }, { user: 'bob' }]],
  ['alice@example.com', [{ user: 'alice@example.com' }]],
  ['DOMAIN\\\\alice', [{ user: 'DOMAIN\\alice' }]],
  ['"say \\"hi\\""', [{ user: 'say "hi"' }]],
  ['a\\"b', [{ user: 'a"b' }]],
  ['"open', undefined],
  ['@', undefined],
  ['@@x', undefined],
  ['5-4', undefined],
  ['a:b', undefined],
])('reads %s', (text, patterns) => {
  expect(parseUidPatterns(text)).toEqual(patterns);
  if (patterns) expect(parseUidPatterns(patterns.map(uidPatternText).join(' '))).toEqual(patterns);
});

it('knows root by name, and root is in its group', () => {
  expect([nameService.isUser(0, 'root'), nameService.isUser(1, 'root')]).toEqual([true, false]);
  expect([nameService.isInGroup(0, 'root'), nameService.isInGroup(1, 'root')]).toEqual([true, false]);
  expect([nameService.isUser(0, 'no-such-user'), nameService.isInGroup(0, 'no-such-group')]).toEqual([
    false,
    undefined,
  ]);
});
