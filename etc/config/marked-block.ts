import { ConfigError } from '../../proto/errors.ts';

/**
 * Lines of ours in a file that is an admin's or a user's. What stands around them is kept byte for byte, and so the file is
 * what it was once they are taken out, whatever was changed around them meanwhile. Texts are of bytes (latin1).
 */
const BEGIN = '# >>> ccapi setup';
const END = '# <<< ccapi setup';

/** At the end of the first line: the line break before the block is ours too, since the file ended without one. */
const BROKE = ' +';

// A line ends in \n alone here: `^`, `$` and `.` would end one at \r too.
const block = new RegExp(`(?<![^\\n])${BEGIN}([^\\n]*)\\n(?:[^\\n]*\\n)*?${END}(?:\\n|$)`);

/** Whether a text has our lines. Throws 202 (`ccErrBadParam`) naming the file where only one of the two marks is there. */
export function hasBlock(text: string, file: string): boolean {
  const has = block.test(text);
  const marks = text.split('\n').filter((line) => line.startsWith(BEGIN) || line === END);
  if (marks.length !== (has ? 2 : 0)) {
    throw new ConfigError(`${file}: the marks around the lines of setup are damaged: take these lines out by hand`);
  }
  return has;
}

/**
 * The text with our lines: in the place of those that are there, or else before the line that `before` matches, or at the
 * end. The first line names what takes them out.
 */
export function withBlock(text: string, file: string, lines: string, undo: string, before?: RegExp): string {
  const first = `${BEGIN}; ${undo} takes these lines out`;
  const at = before ? text.search(before) : -1;
  if (hasBlock(text, file)) {
    return text.replace(block, (_, rest: string) => `${first}${rest.endsWith(BROKE) ? BROKE : ''}\n${lines}${END}\n`);
  }
  if (at >= 0) return `${text.slice(0, at)}${first}\n${lines}${END}\n${text.slice(at)}`;
  const isBroken = text !== '' && !text.endsWith('\n');
  return `${text}${isBroken ? '\n' : ''}${first}${isBroken ? BROKE : ''}\n${lines}${END}\n`;
}

/** The text without our lines. */
export function withoutBlock(text: string, file: string): string {
  if (!hasBlock(text, file)) return text;
  const [all, rest = ''] = block.exec(text) as RegExpExecArray;
  const at = text.indexOf(all);
  const start = rest.endsWith(BROKE) && text[at - 1] === '\n' ? at - 1 : at;
  return text.slice(0, start) + text.slice(at + all.length);
}
