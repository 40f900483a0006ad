import { CCAPIError } from './errors.ts';
import type { Reader } from './reader.ts';
import { bytesFromText } from './text.ts';
import type { Writer } from './writer.ts';

/** A principal as libkrb5 has it. Realm and components may hold any byte; see `text.ts` for how bytes are text. */
export interface Principal {
  /** `KRB5_NT_…`, a signed 32-bit number. It is preserved and never compared. */
  nameType: number;
  realm: string;
  components: string[];
}

/** The longest text of a principal, and of each part of one in bytes. Kerberos messages carry no longer one. */
export const MAX_PRINCIPAL = 65_536;

/** The name types that can be told from the text of a principal (RFC 4120 6.2). */
const nameTypes = { principal: 1, serviceInstance: 2, wellKnown: 11 } as const;

/**
 * The text form of a principal, as `krb5_unparse_name` writes it: components joined by `/`, then `@` and the realm;
 * `/`, `@`, `\`, newline, tab, backspace and NUL within them are quoted by a backslash.
 */
export function unparsePrincipal({ components, realm }: Pick<Principal, 'components' | 'realm'>): string {
  return `${components.map(quoted).join('/')}@${quoted(realm)}`;
}

/**
 * Reads the text form as `krb5_parse_name` does, the name type inferred as it infers it. A text without a realm is
 * refused, since there is no default realm here: 202 (`ccErrBadParam`) with the text quoted.
 */
export function parsePrincipal(text: string): Principal {
  const parts: { separator: string; text: string }[] = [{ separator: '', text: '' }];
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    const part = parts[parts.length - 1] as { separator: string; text: string };
    if (character === '\\') {
      if (++at === text.length) throw notAPrincipal(text, 'it ends in a backslash');
      part.text += unquoted[text.charAt(at)] ?? text.charAt(at);
    } else if (character === '/' || character === '@') {
      if (part.separator === '@') throw notAPrincipal(text, `its realm has a "${character}" without a backslash`);
      parts.push({ separator: character, text: '' });
    } else {
      part.text += character;
    }
  }
  const realm = parts.pop();
  if (realm?.separator !== '@') throw notAPrincipal(text, 'it has no realm');
  const components = parts.map((part) => part.text);
  return { nameType: inferredNameType(components), realm: realm.text, components };
}

/** The name type that libkrb5 gives a principal of which it has only the text. */
export function inferredNameType(components: readonly string[]): number {
  return nameTypeImplied(components.length, components[0]);
}

function nameTypeImplied(count: number, first: string | undefined): number {
  if (count === 2 && first === 'krbtgt') return nameTypes.serviceInstance;
  if (count >= 2 && first === 'WELLKNOWN') return nameTypes.wellKnown;
  return nameTypes.principal;
}

/** The text of a principal in two: before the `@` that is not quoted, and behind it; a text without one is all name. */
export function splitRealm(text: string): { name: string; realm: string } {
  if (!text.includes('\\')) {
    const at = text.indexOf('@');
    return at < 0 ? { name: text, realm: '' } : { name: text.slice(0, at), realm: text.slice(at + 1) };
  }
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '@') return { name: text.slice(0, at), realm: text.slice(at + 1) };
  }
  return { name: text, realm: '' };
}

/** Reads a principal as FILE ccaches and KCM carry it (FILE-CCACHE.md#principals). */
export function readPrincipal(reader: Reader): Principal {
  const nameType = reader.i32();
  const count = readCount(reader);
  const realm = readText(reader);
  return { nameType, realm, components: Array.from({ length: count }, () => readText(reader)) };
}

/** Moves on behind a principal. Throws 22 where it is cut short or its count cannot be true. */
export function skipPrincipal(reader: Reader): void {
  reader.skip(4);
  const components = reader.count(4);
  for (let texts = -1; texts < components; texts++) reader.skip(reader.u32());
}

/** A principal in its text form, and how its name type differs (XOR) from the one that the text implies. */
export interface PrincipalText {
  text: string;
  nameTypeWord: number;
}

/** The same as text at once: what is stored and compared is the text, and this is far less work. */
export function readPrincipalText(reader: Reader): PrincipalText {
  const nameType = reader.i32();
  const count = readCount(reader);
  const realm = readText(reader);
  const first = count > 0 ? readText(reader) : '';
  let text = quoted(first);
  for (let i = 1; i < count; i++) text += `/${quoted(readText(reader))}`;
  return { text: `${text}@${quoted(realm)}`, nameTypeWord: (nameType ^ nameTypeImplied(count, first)) >>> 0 };
}

/** Writes a principal as FILE ccaches and KCM carry it. */
export function writePrincipal(writer: Writer, { nameType, realm, components }: Principal): void {
  writer.u32(nameType).u32(components.length);
  for (const text of [realm, ...components]) {
    const bytes = bytesFromText(text);
    writer.u32(bytes.length).bytes(bytes);
  }
}

const quotes: Record<string, string> = { '\n': '\\n', '\t': '\\t', '\b': '\\b', '\0': '\\0' };
const unquoted: Record<string, string> = { n: '\n', t: '\t', b: '\b', 0: '\0' };

function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that libkrb5 quotes.
  if (!/[/@\\\n\t\x08\0]/.test(text)) return text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the same.
  return text.replace(/[/@\\\n\t\x08\0]/g, (character) => quotes[character] ?? `\\${character}`);
}

function notAPrincipal(text: string, why: string): CCAPIError {
  return new CCAPIError('ccErrBadParam', `not a principal with its realm: ${JSON.stringify(text)}: ${why}`);
}

function readCount(reader: Reader): number {
  return bounded(reader, reader.count(4));
}

function readText(reader: Reader): string {
  return reader.text(bounded(reader, reader.u32()));
}

function bounded(reader: Reader, count: number): number {
  if (count > MAX_PRINCIPAL) throw reader.malformed(`a principal above the limit of ${MAX_PRINCIPAL} bytes`);
  return count;
}
