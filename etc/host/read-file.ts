import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { CCAPIError } from '../../proto/errors.ts';

/** The bytes that are read before the rest, to see whether it is worth reading. */
const HEAD = 2;

/**
 * Reads a regular file of at most `limit` bytes, a multiple of 1 MiB. Opens without waiting and looks at what is open, not at
 * the path, which may name something else by then: a FIFO blocks, and a device may have no end. /dev/null is an empty file.
 *
 * `checkHead` is given the first two bytes, or fewer of a shorter file, before the rest is read; what it throws is thrown.
 * Throws 202 (`ccErrBadParam`) naming the path for anything else than such a file, and the system's error as it is.
 */
export function readRegularFile(path: string, limit: number, checkHead: (head: Buffer) => void = () => {}): Buffer {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const found = fstatSync(descriptor);
    if (isNullDevice(found)) return Buffer.alloc(0);
    if (!found.isFile()) throw refusal(path, `is ${kindOf(found)} and not a file`);
    if (found.size > limit) throw tooLarge(path, limit);
    const head = readUpTo(descriptor, HEAD);
    checkHead(head);
    if (head.length < HEAD) return head;
    // It may have grown since, and a file of /proc says that it is empty.
    const rest = readUpTo(descriptor, limit + 1 - HEAD, Math.max(found.size, 4096));
    if (rest.length + HEAD > limit) throw tooLarge(path, limit);
    return Buffer.concat([head, rest]);
  } finally {
    closeSync(descriptor);
  }
}

/** Reads to the end of the file, but no more than `most` bytes; `expected` bytes are made ready at first. */
function readUpTo(descriptor: number, most: number, expected = most): Buffer {
  let buffer = Buffer.alloc(Math.min(most, expected));
  for (let length = 0; ; ) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    length += count;
    if (count === 0 || length === most) return buffer.subarray(0, length);
    if (length === buffer.length) buffer = Buffer.concat([buffer], Math.min(most, 2 * length));
  }
}

function isNullDevice(found: Stats): boolean {
  return found.isCharacterDevice() && found.rdev === statSync('/dev/null', { throwIfNoEntry: false })?.rdev;
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a directory';
  if (found.isFIFO()) return 'a FIFO';
  return found.isSocket() ? 'a socket' : 'a device';
}

function tooLarge(path: string, limit: number): CCAPIError {
  return refusal(path, `is larger than ${limit / 2 ** 20} MiB, the limit`);
}

function refusal(path: string, why: string): CCAPIError {
  return new CCAPIError('ccErrBadParam', `${path} ${why}`);
}
