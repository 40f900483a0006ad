/** Whom a rule means: a range of uids, a user by name, or the members of a group. */
export type Whom = { from: number; to: number } | { user: string } | { group: string };

/** One rule; of several the one of the lowest order that means somebody decides on them. */
export interface AccessRule {
  whom: Whom;
  order: number;
}

/** Whether the launcher serves a uid, and by which rule. */
export interface AccessDecision {
  allowed: boolean;
  rule?: string;
}

/** What the name service knows of a uid. */
export interface NameService {
  isUser(uid: number, name: string): boolean;
  isInGroup(uid: number, group: string): boolean;
}

const LAST_UID = 0xffff_fffe;

/** Reads `alice @users 1000-1999 4711 *`, with spaces or commas between them; undefined where a word is none of these. */
export function parseWhom(text: string): Whom[] | undefined {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  const parsed = words.map(parseWord);
  return parsed.length > 0 && parsed.every((whom) => whom !== undefined) ? parsed : undefined;
}

/**
 * The first rule that means the uid decides. Where none does, the uid is served, unless there are rules that allow: then
 * only those are served whom one allows.
 */
export function decideAccess(
  { allow, deny }: { allow: readonly AccessRule[]; deny: readonly AccessRule[] },
  uid: number,
  names: NameService,
): AccessDecision {
  const rules = [
    ...allow.map((rule) => ({ ...rule, allowed: true })),
    ...deny.map((rule) => ({ ...rule, allowed: false })),
  ].sort((a, b) => a.order - b.order);
  const first = rules.find(({ whom }) => whomMeans(whom, uid, names));
  if (!first) return { allowed: allow.length === 0 };
  return { allowed: first.allowed, rule: `${first.allowed ? 'allow' : 'deny'} = ${whomAsText(first.whom)}` };
}

function parseWord(word: string): Whom | undefined {
  if (word === '*') return { from: 0, to: LAST_UID };
  const [, from, to] = /^([0-9]{1,10})(?:-([0-9]{1,10}))?$/.exec(word) ?? [];
  if (from !== undefined) {
    const range = { from: Number(from), to: Number(to ?? from) };
    return range.from <= range.to && range.to <= LAST_UID ? range : undefined;
  }
  if (/^@[^\s@:]+$/.test(word)) return { group: word.slice(1) };
  return /^[A-Za-z_][^\s@:]*$/.test(word) ? { user: word } : undefined;
}

/** Whether it means a uid. */
export function whomMeans(whom: Whom, uid: number, names: NameService): boolean {
  if ('from' in whom) return uid >= whom.from && uid <= whom.to;
  return 'user' in whom ? names.isUser(uid, whom.user) : names.isInGroup(uid, whom.group);
}

/** As it is written. */
export function whomAsText(whom: Whom): string {
  if ('user' in whom) return whom.user;
  if ('group' in whom) return `@${whom.group}`;
  if (whom.from === 0 && whom.to === LAST_UID) return '*';
  return whom.from === whom.to ? String(whom.from) : `${whom.from}-${whom.to}`;
}
