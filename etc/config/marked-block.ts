import { ConfigError } from '../../proto/errors.ts';

/**
 * Lines of ours in a file that is an admin's or a user's. What stands around them is kept byte for byte, and so the file is
 * what it was once they are taken out, whatever was changed around them meanwhile. Texts are of bytes (latin1).
 */
const BEGIN = '# >>> ccapi setup';
const END = '# <<< ccapi setup';

/** At the end of the first line: the line break before the block is ours too, since the file ended without one. */
const BROKE = ' +';

/** There too: there was no file. */
const MADE = ' *';

// A line ends in \n alone here: `^`, `$` and `.` would end one at \r too.
const block = new RegExp(`(?<![^\\n])${BEGIN}([^\\n]*)\\n(?:[^\\n]*\\n)*?${END}(?:\\n|$)`);

/** Whether a text has our lines. Throws 202 (`ccErrBadParam`) naming the file where only one of the two marks is there. */
export function hasBlock(text: string | undefined, file: string): boolean {
  if (text === undefined) return false;
  const has = block.test(text);
  const marks = text.split('\n').filter((line) => line.startsWith(BEGIN) || line === END);
  if (marks.length !== (has ? 2 : 0)) {
    throw new ConfigError(`${file}: the marks around the lines of setup are damaged: take these lines out by hand`);
  }
  return has;
}

/**
 * The text with our lines, undefined being that of no file: in the place of those that are there, or else before the line that `before` matches, or at the
 * end. The first line names what takes them out.
 */
export function withBlock(
  text: string | undefined,
  file: string,
  lines: string,
  undo: string,
  before?: RegExp,
): string {
  const first = `${BEGIN}; ${undo} takes these lines out`;
  if (text === undefined) return `${first}${MADE}\n${lines}${END}\n`;
  const at = before ? text.search(before) : -1;
  if (hasBlock(text, file)) {
    const flag = (rest: string) => [BROKE, MADE].find((one) => rest.endsWith(one)) ?? '';
    return text.replace(block, (_, rest: string) => `${first}${flag(rest)}\n${lines}${END}\n`);
  }
  if (at >= 0) return `${text.slice(0, at)}${first}\n${lines}${END}\n${text.slice(at)}`;
  const isBroken = text !== '' && !text.endsWith('\n');
  return `${text}${isBroken ? '\n' : ''}${first}${isBroken ? BROKE : ''}\n${lines}${END}\n`;
}

/** The text without our lines; undefined where there was no file, and nothing else is in it by now. */
export function withoutBlock(text: string | undefined, file: string): string | undefined {
  if (text === undefined || !hasBlock(text, file)) return text;
  const [all, rest = ''] = block.exec(text) as RegExpExecArray;
  const at = text.indexOf(all);
  const start = rest.endsWith(BROKE) && text[at - 1] === '\n' ? at - 1 : at;
  const others = text.slice(0, start) + text.slice(at + all.length);
  return others === '' && rest.endsWith(MADE) ? undefined : others;
}
