import { styleText } from 'node:util';

/** A command of `ccapi`. */
export interface Command {
  /** What `--help` prints: the form of the command, what it does, an example. */
  usage: string;
  /** Does it; throws an Error whose message is for the person, a {@link UsageError} where the arguments are wrong. */
  run(args: string[]): Promise<void>;
}

/** The arguments are not what the command takes. */
export class UsageError extends Error {}

/** A line on standard output, in the way of every program: whole, and not at all once nobody reads. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** A line for the person beside the output. */
export function warn(line: string): void {
  process.stderr.write(`ccapi: ${line}\n`);
}

/** A line that holds names. They come from whoever stored them; a terminal must not act on what is in them. */
export function printable(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return line.replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff]/gu, '?');
}

/** Text in a colour, where it goes to a terminal that has them and NO_COLOR (no-color.org) is not set. */
export function coloured(colour: 'red' | 'green', text: string): string {
  const has = process.stdout.isTTY && !process.env.NO_COLOR && process.stdout.hasColors();
  return has ? styleText(colour, text) : text;
}
