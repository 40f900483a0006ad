import { fstatSync, readSync } from 'node:fs';
import { Writer } from '../../proto/writer.ts';
import type { CCache } from '../model/ccache.ts';
import { describeContents, fileHeader } from './heading.ts';
import { writePlainRecord } from './records.ts';

/** How much of a view is gathered for one write, in bytes. */
const PIECE = 65_536;

/** What may be needed behind that, in bytes; where it was more, the larger buffer is not kept. */
const MARGIN = 8192;

/** What pieces are gathered in. It is kept, since large buffers that come and go leave a large heap behind. */
let kept: Writer | undefined;

/**
 * The ccache as a whole FILE ccache, without what only a worker reads: pieces in their order, each of which is overwritten
 * when the next is asked for. One view is gathered at a time.
 */
export function* viewOf({ contents }: CCache): Generator<Buffer> {
  const { principal, type, offset } = describeContents(contents);
  kept ??= new Writer(PIECE + MARGIN);
  const piece = kept;
  try {
    piece.bytes(fileHeader({ principal, type, offset }));
    for (const credential of contents.credentials) {
      writePlainRecord(piece, credential);
      if (piece.length < PIECE) continue;
      yield piece.finish();
      piece.wipe();
    }
    yield piece.finish();
  } finally {
    piece.wipe();
    if (piece.capacity > PIECE + MARGIN) kept = undefined;
  }
}

/** Whether a file consists of these pieces. */
export function consistsOf(descriptor: number, pieces: Iterable<Buffer>): boolean {
  const found = Buffer.alloc(PIECE);
  let at = 0;
  try {
    for (const piece of pieces) {
      for (let from = 0; from < piece.length; from += PIECE) {
        const part = piece.subarray(from, from + PIECE);
        const count = readSync(descriptor, found, 0, part.length, at);
        if (!found.subarray(0, count).equals(part)) return false;
        at += count;
      }
    }
    return fstatSync(descriptor).size === at;
  } finally {
    found.fill(0);
  }
}
