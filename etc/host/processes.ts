import { beginningOf, namesIn, textOf } from './read-or-nothing.ts';

/** The ids of the processes that this one can see, in their order. Source: proc(5). */
export function processIds(): number[] {
  return namesIn('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number);
}

/** How much is read of a command line, in bytes: a process can have terabytes of its own memory for one (prctl(2), PR_SET_MM_MAP). */
const MOST_WORDS = 65_536;

/** The words that a process was started with, as far as they are read; none where it has ended. */
export function commandLineOf(pid: number): string[] {
  return beginningOf(`/proc/${pid}/cmdline`, MOST_WORDS).split('\0').slice(0, -1);
}

/** Whether these are the words of a server of ours, of whatever user. */
export function isServerCommand(words: readonly string[]): boolean {
  return words.some((word) => word.endsWith('/ccapi-server.js'));
}

/** The name of the program that a process runs, of 15 characters at most, or what it has called itself. */
export function commandOf(pid: number): string {
  return textOf(`/proc/${pid}/comm`).trimEnd();
}

/** The real, effective, saved and file system's uid of a process; empty where it has ended. */
export function uidsOf(pid: number): number[] {
  return (
    /^Uid:((?:\t\d+){4})$/m
      .exec(textOf(`/proc/${pid}/status`))?.[1]
      ?.trim()
      .split('\t')
      .map(Number) ?? []
  );
}
