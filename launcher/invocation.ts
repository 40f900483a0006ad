import { fstatSync } from 'node:fs';

/**
 * How the launcher was started: `listen` by hand, on addresses of its own; with a socket that listens (`wait`) or is the
 * connection (`inetd`), named after the words of inetd.conf; `socket` where the two are to be told apart by trying.
 */
export type Mode = 'listen' | 'wait' | 'inetd' | 'socket';

/** The mode that the flags say, or else the one that the descriptors show that systemd has `passed`, or descriptor 0. */
export function detectMode(flags: { listen?: boolean; wait?: boolean; inetd?: boolean }, passed: number[]): Mode {
  if (flags.listen) return 'listen';
  if (flags.wait) return 'wait';
  if (flags.inetd) return 'inetd';
  return passed.length > 0 || stdinIsSocket() ? 'socket' : 'listen';
}

/** Whether descriptor 0 is a socket, and so 1 and 2 may well be the same one. */
export function stdinIsSocket(): boolean {
  try {
    return fstatSync(0).isSocket();
  } catch {
    return false;
  }
}

/** Whether descriptor 1 is a pipe or socket of its own, and not the one that descriptor 0 is. */
export function stdoutIsApart(): boolean {
  try {
    const [input, output] = [fstatSync(0), fstatSync(1)];
    return (output.isFIFO() || output.isSocket()) && (input.ino !== output.ino || input.dev !== output.dev);
  } catch {
    return false;
  }
}
