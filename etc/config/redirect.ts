import type { Membership, NameService, UidPattern } from '../host/passwd.ts';
import { matchesUid, parseUidPatterns } from './access-rules.ts';
import { parseServerURIs, type ServerURI } from './server-uri.ts';

/** A rule that sends some clients elsewhere. */
export interface Redirect {
  /** The rule as it was written. */
  text: string;
  patterns: UidPattern[];
  /** The names of services, as programs give them. */
  services: string[];
  /** Where to; undefined for where clients go without a rule. */
  uris: ServerURI[] | undefined;
}

/** What stands in a rule for where clients go without one. */
const USUAL = '.';

/** Reads `alice @staff 1000-1999 * service:NAME URI[,URI…]`; undefined where it is none. */
export function parseRedirect(text: string): Redirect | undefined {
  const [, clients = '', target = ''] = /^(\S.*?)\s+(\.|(?:inetd|unix|ssh|exec):.*)$/s.exec(text.trim()) ?? [];
  const words = clients.split(/[\s,]+/).filter((word) => word !== '');
  const services = words.flatMap((word) => /^service:([A-Za-z0-9_.-]+)$/.exec(word)?.[1] ?? []);
  const others = words.filter((word) => !word.startsWith('service:'));
  const patterns = others.length === 0 ? [] : parseUidPatterns(others.join(' '));
  const uris = target === USUAL ? undefined : parseServerURIs(target);
  const isWhole = words.length > 0 && patterns && services.length + others.length === words.length;
  return isWhole && (uris || target === USUAL) ? { text: text.trim(), patterns, services, uris } : undefined;
}

/** Whether a rule means a client: by its uid, or by the service that its program says it is. */
export function matchesRedirect(
  { patterns, services }: Redirect,
  { uid, service }: { uid: number; service: string | undefined },
  names: NameService<Membership>,
): boolean {
  return (
    (service !== undefined && services.includes(service)) || patterns.some((pattern) => matchesUid(pattern, uid, names))
  );
}
