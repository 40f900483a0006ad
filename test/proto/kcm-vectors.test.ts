// What stock clients sent and got: each request is read, each reply written as it was.
import { describe, expect, it } from 'vitest';
import { type Field, type Layout, readFields } from '../../proto/fields.ts';
import { type OperationName, operationError, operationNumbered, operationReply, operations } from '../../proto/kcm.ts';
import { Reader } from '../../proto/reader.ts';
import vectors from './vectors/kcm.json' with { type: 'json' };

function operationOf(request: string): { name: OperationName; reader: Reader } {
  const reader = new Reader(Buffer.from(request, 'hex'));
  expect(reader.u32()).toBe(request.length / 2 - 4);
  expect(reader.u16()).toBe(0x0200);
  return { name: operationNumbered(reader.u16()) as OperationName, reader };
}

describe('each request', () => {
  it.each(vectors)('$name: is read to its end', ({ name: title, request }) => {
    const { name, reader } = operationOf(request);
    readFields(reader, operations[name].request as Layout);
    expect(title.replace(/[_ ]/g, '').toLowerCase()).toContain(name.toLowerCase());
    // Heimdal may put an empty second ticket behind a matching credential without saying so.
    expect([0, 4]).toContain(reader.remaining);
  });

  it.each(vectors)('$name: is malformed when it is cut anywhere', ({ request }) => {
    const { name } = operationOf(request);
    const whole = Buffer.from(request, 'hex').subarray(8);
    const layout = operations[name].request as Layout;
    const end = new Reader(whole);
    readFields(end, layout);
    for (let length = 0; length < end.offset; length++) {
      expect(() => readFields(new Reader(whole.subarray(0, length)), layout)).toThrow(
        expect.objectContaining({ code: 22 }),
      );
    }
  });
});

describe('each reply', () => {
  it.each(vectors)('$name: is written as it was', ({ request, reply }) => {
    const { name } = operationOf(request);
    const reader = new Reader(Buffer.from(reply, 'hex'));
    expect([reader.u32(), reader.i32()]).toEqual([reply.length / 2 - 8, 0]);
    const code = reader.i32();
    const layout: Record<string, Field<unknown>> = operations[name].reply;
    const written = code === 0 ? operationReply(name, readFields(reader, layout) as never) : operationError(code);
    expect(written.toString('hex')).toBe(reply);
  });
});
