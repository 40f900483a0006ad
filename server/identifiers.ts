import { closeSync, openSync, readSync } from 'node:fs';
import type { Identifier } from '../proto/identifier.ts';

/** Where a collection takes its identifiers from. */
export interface IdentifierSource {
  /** The part that every identifier of this server carries. */
  readonly server: string;
  /** A part that was never given out before. */
  nextObject(): string;
}

/**
 * Identifiers in the form of random (version 4) UUIDs, as MIT's are. The server's part is random, and so are the first
 * 80 bits that its objects share; what tells the objects apart is a count in the last 48.
 */
export function randomIdentifiers(): IdentifierSource {
  const random = randomBytes(26);
  const server = uuid(random.subarray(0, 16));
  const shared = uuid(Buffer.concat([random.subarray(16), Buffer.alloc(6)])).slice(0, -12);
  let count = 0;
  return { server, nextObject: () => shared + (++count).toString(16).padStart(12, '0') };
}

/** An identifier for a new object. */
export function freshIdentifier(source: IdentifierSource): Identifier {
  return { server: source.server, object: source.nextObject() };
}

/** Straight from the kernel: loading `node:crypto` for it would double what the rest of the start costs. */
function randomBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const descriptor = openSync('/dev/urandom', 'r');
  try {
    if (readSync(descriptor, bytes, 0, length, null) !== length) throw new Error('/dev/urandom gave too few bytes');
  } finally {
    closeSync(descriptor);
  }
  return bytes;
}

function uuid(random: Buffer): string {
  const bytes = Buffer.from(random);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
