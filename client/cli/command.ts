import type { Duplex } from 'node:stream';
import { styleText } from 'node:util';
import { escapedJSON, escapeText } from '../../etc/host/escape.ts';
import { UsageError } from '../../proto/errors.ts';

/** What completions offer where a value or an argument may stand. */
export type Offer = 'ccaches' | 'files' | 'command' | readonly string[];

/** An option, as `parseArgs` takes it, with what help and completions say of it. */
export interface Option {
  type: 'boolean' | 'string';
  /** The letter of `-c`; an option with one is shown by it alone. */
  short?: string;
  /** What follows the option in help, as NAME. */
  value?: string;
  offers?: Offer;
  /** One line for completions. */
  summary: string;
  /** What help says; else the summary. */
  help?: string;
}

export type Options = Readonly<Record<string, Option>>;

/** The option of a command that takes one ccache; `help` says of which. */
export function cacheOption(help: string) {
  const named = { type: 'string', short: 'c', value: 'NAME', offers: 'ccaches', summary: 'this ccache' } as const;
  return { cache: { ...named, help } } satisfies Options;
}

/** A command of `ccapi`. Help and completions are made from it. */
export interface Command {
  /** Its arguments, a line for each form. */
  synopsis: readonly string[];
  about: string;
  options?: Options;
  /** What its arguments may be. */
  offers?: Offer;
  example: string;
  /** Runs the command. Throws an Error with a message for the user, a {@link UsageError} where the arguments are wrong. */
  run(args: string[], commands: CommandTable): Promise<void>;
}

/** The commands by their names; each is loaded when it is called. */
export type CommandTable = Readonly<Record<string, { summary: string; load(): Promise<Command> }>>;

export { UsageError };

// All output of the command passes through this file. Names, paths and messages come from other programs and other users,
// and a terminal must not act on what is in them: each function escapes what it is given. A test holds the rest of the
// client to that.

type Colour = 'red' | 'green';

/** A part of a line that has a colour where standard output has colours. */
export interface Coloured {
  colour: Colour;
  text: string;
}

/** Text in a colour, for {@link print}. */
export function coloured(colour: Colour, text: string): Coloured {
  return { colour, text };
}

/** Prints one line on standard output, in one write. What it is made of is escaped, line breaks too. */
export function print(...parts: (string | Coloured)[]): void {
  const escaped = parts.map((part) =>
    typeof part === 'string' ? escapeText(part) : inColour(part.colour, escapeText(part.text)),
  );
  process.stdout.write(`${escaped.join('')}\n`);
}

/** Prints lines on standard output, in one write. */
export function printLines(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${escapeText(line)}\n`).join(''));
}

/** Prints a value as JSON, over several lines where `indent` is not 0. */
export function printJSON(value: unknown, indent = 2): void {
  process.stdout.write(`${escapedJSON(value, indent)}\n`);
}

/** Prints a line for the person beside the output. */
export function warn(line: string): void {
  process.stderr.write(`ccapi: ${escapeText(line)}\n`);
}

/** Replaces the last line of a terminal on standard error; an empty text clears it. */
export function overwriteLine(text: string): void {
  process.stderr.write(`\r${escapeText(text)}\x1b[K`);
}

/** Whether {@link overwriteLine} has a terminal to write to. */
export function hasTerminal(): boolean {
  return process.stderr.isTTY;
}

/** Joins standard input and output to a stream, unescaped, until one of them ends: a program is at both ends. */
export async function joinStreams(stream: Duplex): Promise<void> {
  await new Promise<void>((resolve) => {
    // Each direction ends by itself; with the stream's, or without a reader, all is over.
    process.stdin.pipe(stream).pipe(process.stdout);
    stream.on('error', () => {});
    stream.once('close', () => resolve());
    process.stdout.once('close', () => stream.destroy());
    process.stdin.on('error', () => stream.destroy());
  });
  process.stdin.destroy();
}

/** Ends the program in silence once the reader of its output has gone. */
export function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
  });
}

/** Where the output goes to a terminal that has colours, and NO_COLOR (no-color.org) is not set. */
function inColour(colour: Colour, text: string): string {
  const has = process.stdout.isTTY && !process.env.NO_COLOR && process.stdout.hasColors();
  return has ? styleText(colour, text) : text;
}
