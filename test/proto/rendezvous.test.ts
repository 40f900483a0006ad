import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MAX_LINE,
  NO_LAUNCHER,
  parseReplyLine,
  parseRequestLine,
  RendezvousError,
  replyLine,
  requestLine,
} from '../../proto/rendezvous.ts';

const line = (text: string) => text.slice(0, -1);

describe('a request line', () => {
  it('is read as it was written', () => {
    const uid = fc.integer({ min: 0, max: 0xffff_fffe });
    const session = fc.option(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/), { nil: undefined });
    fc.assert(
      fc.property(uid, session, (uid, session) => {
        const expected = session === undefined ? { uid, bare: false } : { uid, session, bare: false };
        expect(parseRequestLine(line(requestLine({ uid, session })))).toEqual(expected);
        expect(requestLine({ uid, session }).length).toBeLessThanOrEqual(MAX_LINE);
      }),
    );
  });

  it('may be the bare uid', () => {
    expect(parseRequestLine('1000')).toEqual({ uid: 1000, bare: true });
  });

  it.each([
    ['', 'uid'],
    ['-1', 'uid'],
    ['4294967295', 'uid'],
    ['99999999999', 'uid'],
    ['01', 'uid'],
    ['1e3', 'uid'],
    ['0x10', 'uid'],
    ['1000 ', 'uid'],
    ['root', 'uid'],
    ['\u0000\u0001', 'uid'],
    ['CCAPI/2 uid=1000', 'version'],
    ['CCAPI/1', 'uid'],
    ['CCAPI/1 uid=', 'uid'],
    ['CCAPI/1 uid=-1', 'uid'],
    ['CCAPI/1 uid=1 uid=2', 'syntax'],
    ['CCAPI/1  uid=1', 'syntax'],
    ['CCAPI/1 uid=1 shell=/bin/sh', 'syntax'],
    ['CCAPI/1 uid=1 session=', 'session'],
    ['CCAPI/1 uid=1 session=..', 'session'],
    ['CCAPI/1 uid=1 session=../../etc', 'session'],
    ['CCAPI/1 uid=1 session=a/b', 'session'],
    ['CCAPI/1 uid=1 session=-x', 'session'],
    [`CCAPI/1 uid=1 session=${'a'.repeat(33)}`, 'session'],
  ])('%j is refused as %s', (text, code) => {
    expect(() => parseRequestLine(text)).toThrow(expect.objectContaining({ name: 'RendezvousError', code }));
  });

  it('is read or refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          parseRequestLine(text);
        } catch (error) {
          expect(error).toBeInstanceOf(RendezvousError);
        }
      }),
    );
  });
});

describe('a reply line', () => {
  it('gives the path', () => {
    expect(parseReplyLine(line(replyLine(false, { path: '/run/a b/S.ccapi' })))).toBe('/run/a b/S.ccapi');
    expect(replyLine(true, { path: '/run/x' })).toBe('/run/x\n');
  });

  it('gives the refusal, and its text cannot make a second line', () => {
    const refusal = new RendezvousError('config', 'bad\nvalue\r in /etc/krb5.conf');
    expect(() => parseReplyLine(line(replyLine(false, refusal)))).toThrow('bad?value? in /etc/krb5.conf');
    expect(replyLine(true, refusal)).toBe('error: bad?value? in /etc/krb5.conf\n');
  });

  it('is never above 512 bytes', () => {
    const refusal = new RendezvousError('config', 'ä'.repeat(2000));
    for (const bare of [true, false]) expect(Buffer.byteLength(replyLine(bare, refusal))).toBe(MAX_LINE);
  });

  it.each(['', 'CCAPI/1 ok path=relative', 'CCAPI/1 ok', 'HTTP/1.1 400 Bad Request'])('%j is no answer', (text) => {
    expect(() => parseReplyLine(text)).toThrow(
      expect.objectContaining({ code: NO_LAUNCHER, message: `the launcher answered ${JSON.stringify(text)}` }),
    );
  });
});
