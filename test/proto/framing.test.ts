import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader } from '../../proto/framing.ts';
import { Writer } from '../../proto/writer.ts';
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

  it.each([['x'], [framed(Buffer.from('x')).toString('latin1')], ['\0\0\0\x02within\0\0\0\x01x']])(
    'is read to the end of each, though it holds what looks like one: %j',
    (text) => {
      const stream = Buffer.concat([text, 'next'].map((payload) => framed(Buffer.from(payload, 'latin1'))));
      for (let first = 1; first < stream.length; first++) {
        for (let second = first; second < stream.length; second++) {
          const reader = new FrameReader();
          const bytes = Buffer.from(stream);
          const pieces = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
          const got = pieces.flatMap((piece) => reader.push(piece).map((frame) => frame.toString('latin1')));
          expect(got, `cut at ${first} and ${second}`).toEqual([text, 'next']);
        }
      }
    },
  );

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

  it('keeps at most twice what has come of a frame, however it comes, and nothing in a piece that it has copied', () => {
    const reader = new FrameReader();
    const pieces = cut(
      Buffer.concat([Buffer.from('01000000', 'hex'), Buffer.alloc(300_000, 'x')]),
      [1, 2, 4000, 50_000],
    );
    let sent = 0;
    for (const piece of pieces) {
      reader.push(piece);
      sent += piece.length;
      expect(reader.held).toBeLessThanOrEqual(Math.max(2 * sent, 4096));
      expect(piece.every((byte) => byte === 0)).toBe(true);
    }
    expect(reader.held).toBeGreaterThanOrEqual(sent);
    reader.clear();
    expect([reader.held, reader.incomplete]).toEqual([0, false]);
  });
});

it('a message that outgrows its memory leaves nothing in it', () => {
  const writer = new Writer(8).bytes(Buffer.from('secret'));
  const before = writer.finish();
  const after = writer.bytes(Buffer.alloc(100, 'x')).finish();
  expect([before.every((byte) => byte === 0), after.toString('latin1', 0, 6)]).toEqual([true, 'secret']);
  writer.wipe();
  expect(after.every((byte) => byte === 0)).toBe(true);
});
