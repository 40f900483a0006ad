import { ConfigError } from '../../proto/errors.ts';
import type { Membership, NameService, UidPattern } from '../host/passwd.ts';

/** One word of an `allow` or `deny` line; of several that match, the one of the lowest order decides. */
export interface AccessRule {
  pattern: UidPattern;
  order: number;
}

/** Whether the launcher serves a uid, and by which rule. */
interface AccessDecision {
  allowed: boolean;
  rule?: string;
}

const LAST_UID = 0xffff_fffe;

/** A word: characters that are not blank, a comma, a quote or a backslash; `\` before any character; text in quotes. */
const WORD = /(?:[^\s,"\\]|\\.|"(?:[^"\\]|\\.)*")+/y;
const BETWEEN = /[\s,]*/y;

/**
 * Reads `alice @users "domain admins" @domain\ users 1000-1999 4711 *`, with blanks or commas between the words; undefined
 * where a word is none of these. A name with a blank, a comma, a quote or a backslash in it has a backslash before each of
 * them, or stands in quotes.
 */
export function parseUidPatterns(text: string): UidPattern[] | undefined {
  const words = splitWords(text);
  const parsed = words?.map(parseWord);
  return parsed && parsed.length > 0 && parsed.every((pattern) => pattern !== undefined) ? parsed : undefined;
}

/**
 * The first rule that matches the uid decides. Where none does, the uid is served, unless there are rules that allow: then
 * only what one of them allows. Rejects where a rule that denies cannot be held against the uid: as the name service
 * does, or with 202 (`ccErrBadParam`) for a group that no database has.
 */
export async function decideAccess(
  { allow, deny }: { allow: readonly AccessRule[]; deny: readonly AccessRule[] },
  uid: number,
  names: NameService<Membership | Promise<Membership>>,
): Promise<AccessDecision> {
  const rules = [
    ...allow.map((rule) => ({ ...rule, allowed: true })),
    ...deny.map((rule) => ({ ...rule, allowed: false })),
  ].sort((a, b) => a.order - b.order);
  for (const { pattern, allowed } of rules) {
    const rule = `${allowed ? 'allow' : 'deny'} = ${uidPatternText(pattern)}`;
    const matches = await matchesUid(pattern, uid, names);
    if (matches) return { allowed, rule };
    if (matches === undefined && !allowed) throw new ConfigError(`${rule}: no database has this group`);
  }
  return { allowed: allow.length === 0 };
}

/** Whether a pattern stands for a uid. */
export function matchesUid<Answer extends Membership | Promise<Membership>>(
  pattern: UidPattern,
  uid: number,
  names: NameService<Answer>,
): Answer | boolean {
  if ('from' in pattern) return uid >= pattern.from && uid <= pattern.to;
  return 'user' in pattern ? names.isUser(uid, pattern.user) : names.isInGroup(uid, pattern.group);
}

/** A pattern as it is written in krb5.conf. */
export function uidPatternText(pattern: UidPattern): string {
  if ('user' in pattern) return pattern.user.replace(/[\s,"\\]/g, '\\$&');
  if ('group' in pattern) return `@${pattern.group.replace(/[\s,"\\]/g, '\\$&')}`;
  if (pattern.from === 0 && pattern.to === LAST_UID) return '*';
  return pattern.from === pattern.to ? String(pattern.from) : `${pattern.from}-${pattern.to}`;
}

/** The words as they are written; undefined where a quote is not closed. */
function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  for (let at = 0; ; ) {
    BETWEEN.lastIndex = at;
    BETWEEN.test(text);
    at = BETWEEN.lastIndex;
    if (at === text.length) return words;
    WORD.lastIndex = at;
    const [word] = WORD.exec(text) ?? [];
    if (word === undefined) return undefined;
    words.push(word);
    at = WORD.lastIndex;
  }
}

function parseWord(word: string): UidPattern | undefined {
  if (word === '*') return { from: 0, to: LAST_UID };
  const [, from, to] = /^([0-9]{1,10})(?:-([0-9]{1,10}))?$/.exec(word) ?? [];
  if (from !== undefined) {
    const range = { from: Number(from), to: Number(to ?? from) };
    return range.from <= range.to && range.to <= LAST_UID ? range : undefined;
  }
  const name = word.replace(/"((?:[^"\\]|\\.)*)"|\\(.)/g, (_, quoted?: string, character?: string) =>
    quoted === undefined ? (character as string) : quoted.replace(/\\(.)/g, '$1'),
  );
  // A database has its fields between colons, and its entries on lines; a number would be a uid.
  if (name.startsWith('@')) return /^[^@:\n][^:\n]*$/.test(name.slice(1)) ? { group: name.slice(1) } : undefined;
  return /^[A-Za-z_][^:\n]*$/.test(name) ? { user: name } : undefined;
}
