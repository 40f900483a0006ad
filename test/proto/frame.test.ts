import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader } from '../../proto/frame.ts';
import { bytes } from './arbitrary.ts';

function framed(payload: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(payload.length);
  return Buffer.concat([header, payload]);
}

function cut(stream: Buffer, sizes: number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < stream.length; i++) {
    const size = sizes[i % sizes.length] as number;
    chunks.push(stream.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

describe('a stream of frames', () => {
  it('gives the same frames however it is cut', () => {
    const payloads = fc.array(bytes(60).filter((payload) => payload.length > 0));
    const sizes = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1 });
    fc.assert(
      fc.property(payloads, sizes, (sent, cuts) => {
        const reader = new FrameReader();
        const got = cut(Buffer.concat(sent.map(framed)), cuts).flatMap((chunk) => reader.push(chunk));
        expect(got).toEqual(sent);
        expect(reader.incomplete).toBe(false);
        expect(reader.error).toBeUndefined();
      }),
    );
  });

  it('is lost at a frame of 0 bytes, after the frames before it', () => {
    const reader = new FrameReader();
    const stream = Buffer.concat([framed(Buffer.from('one')), Buffer.alloc(4), framed(Buffer.from('two'))]);
    expect(reader.push(stream)).toEqual([Buffer.from('one')]);
    expect(reader.error?.message).toContain('0 bytes');
    expect(reader.push(framed(Buffer.from('three')))).toEqual([]);
  });

  it('is lost at a frame above the limit, before any of it is kept', () => {
    const reader = new FrameReader(10);
    expect(reader.push(framed(Buffer.alloc(10)))).toHaveLength(1);
    expect(reader.push(Buffer.from('0000000b00', 'hex'))).toEqual([]);
    expect(reader.error?.message).toContain('11 bytes is above the limit of 10');
    expect(reader.incomplete).toBe(false);
  });

  it('allocates nothing for a frame that is only announced', () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 100 }, () => {
      const reader = new FrameReader();
      reader.push(Buffer.from('01000000', 'hex'));
      return reader;
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
    expect(readers.every((reader) => reader.incomplete)).toBe(true);
  });
});
