// Whom the launcher serves: of several rules the first that means somebody decides.
import { expect, it } from 'vitest';
import { decideAccess, parseWhom } from '../../etc/access-rules.ts';
import { nameService } from '../../etc/passwd.ts';

const names = {
  isUser: (uid: number, name: string) => name === `user${uid}`,
  isInGroup: (uid: number, group: string) => group === 'even' && uid % 2 === 0,
};

/** `lines` as in a krb5.conf: `allow …` or `deny …`. */
function decide(lines: string[], uid: number) {
  const rules = (kind: string) =>
    lines.flatMap((line, order) =>
      line.startsWith(`${kind} `) ? (parseWhom(line.slice(kind.length)) ?? []).map((whom) => ({ whom, order })) : [],
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
] as [string[], number, boolean, string | undefined][])('%j: uid %i: %j by %j', (lines, uid, allowed, rule) => {
  expect(decide(lines, uid)).toEqual(rule === undefined ? { allowed } : { allowed, rule });
});

it('knows root by name, and root is in its group', () => {
  expect([nameService.isUser(0, 'root'), nameService.isUser(1, 'root')]).toEqual([true, false]);
  expect([nameService.isInGroup(0, 'root'), nameService.isInGroup(1, 'root')]).toEqual([true, false]);
  expect([nameService.isUser(0, 'no-such-user'), nameService.isInGroup(0, 'no-such-group')]).toEqual([false, false]);
});
