import { readSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { UsageError } from '../../proto/errors.ts';
import { escapeText } from './escape.ts';

/** Asks the person at the terminal, who has to agree by a word that begins with y. Throws a {@link UsageError} without one. */
export function confirm(question: string): boolean {
  if (!isatty(0)) throw new UsageError('standard input is no terminal: say --yes, or --dry-run');
  writeSync(2, `${escapeText(question)} [y/N] `);
  const answer = Buffer.alloc(16);
  return /^y/i.test(answer.toString('latin1', 0, readSync(0, answer)));
}
