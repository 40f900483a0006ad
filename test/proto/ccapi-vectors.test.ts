// A session and requests that must fail, as MIT's own client and server sent them.
import { describe, expect, it } from 'vitest';
import { type MessageName, messages } from '../../proto/ccapi.ts';
import {
  errorFrame,
  readArguments,
  readReply,
  readRequestHeader,
  replyFrame,
  requestFrame,
} from '../../proto/ccapi-codec.ts';
import { CCAPIError } from '../../proto/errors.ts';
import mustFail from './vectors/ccapi-must-fail.json' with { type: 'json' };
import session from './vectors/ccapi-session.json' with { type: 'json' };

const known = session.filter(({ name }) => name !== 'unknown message number 99');

describe('each request of the session', () => {
  it.each(known)('$name: is read, and written as it was', ({ request }) => {
    const header = readRequestHeader(Buffer.from(request, 'hex'));
    const name = header.name as MessageName;
    const frame = requestFrame(name, header.object, rewritable(name, readArguments(name, header.arguments)));
    expect(frame.subarray(4).toString('hex')).toBe(request);
    expect(frame.readUInt32BE(0)).toBe(request.length / 2);
  });

  it('has no message for the number 99', () => {
    const { request } = session[session.length - 1] as (typeof session)[0];
    expect(readRequestHeader(Buffer.from(request, 'hex'))).toMatchObject({ number: 99, name: undefined });
  });
});

describe('each reply of the session', () => {
  it.each(known)('$name: is read, and written as it was', ({ request, reply }) => {
    const name = readRequestHeader(Buffer.from(request, 'hex')).name as MessageName;
    expect(rewritten(name, Buffer.from(reply, 'hex')).subarray(4).toString('hex')).toBe(reply);
  });

  it.each(known)('$name: is refused when it is cut anywhere', ({ request, reply }) => {
    const name = readRequestHeader(Buffer.from(request, 'hex')).name as MessageName;
    const bytes = Buffer.from(reply, 'hex');
    for (let length = 0; length < bytes.length; length++) {
      expect(() => readReply(name, bytes.subarray(0, length))).toThrow(CCAPIError);
    }
  });
});

describe('a request with arguments that must fail', () => {
  const malformed = mustFail.filter(({ error }) => error === 22 || error === 212);
  it.each(malformed)('$name: $error', ({ request, error }) => {
    const header = readRequestHeader(Buffer.from(request, 'hex'));
    const name = header.name as MessageName;
    expect(() => readArguments(name, header.arguments)).toThrow(expect.objectContaining({ code: error }));
  });
});

it('frames the sync request with its length', () => {
  const { request } = session[0] as (typeof session)[0];
  const header = readRequestHeader(Buffer.from(request, 'hex'));
  expect(requestFrame('contextSync', header.object, {}).toString('hex')).toBe(
    '00000022000000020000000b4e454544535f53594e43000000000b4e454544535f53594e4300',
  );
});

it('has 37 messages, none of them on a number that is a placeholder', () => {
  const numbers = Object.values(messages).map(({ number }) => number);
  expect(new Set(numbers).size).toBe(numbers.length);
  const valid = [...range(1, 13), ...range(16, 33), ...range(36, 38), ...range(41, 43)];
  expect(numbers.sort((a, b) => a - b)).toEqual(valid);
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** The arguments as they were read; what a test writes back is what it read, whatever the message. */
function rewritable<Name extends MessageName>(_: Name, values: unknown): never {
  return values as never;
}

function rewritten(name: MessageName, payload: Buffer): Buffer {
  try {
    return replyFrame(name, readReply(name, payload) as never);
  } catch (error) {
    if (!(error instanceof CCAPIError)) throw error;
    return errorFrame(error.code);
  }
}
