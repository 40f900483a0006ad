// A worker that waits for its user rehearses a first request: it ends, has served both protocols, and leaves nothing open.
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CCAPISession } from '../../server/protocols/ccapi-session.ts';
import { KCMSession } from '../../server/protocols/kcm-session.ts';
import { rehearse } from '../../server/rehearsal.ts';
import { describeWith } from '../setup/requirements.ts';

/** What is open, what the event loop waits for, and how many timers are set. */
const left = () => ({
  descriptors: readdirSync('/proc/self/fd').length,
  resources: process.getActiveResourcesInfo(),
  timers: vi.getTimerCount(),
});

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

describeWith(['Linux'], 'a rehearsal', () => {
  it('serves a request of each protocol, and leaves nothing behind', async () => {
    // What is loaded once, such as the calls of the C library, stays.
    await rehearse();
    const answered = [CCAPISession, KCMSession].map(({ prototype }) => vi.spyOn(prototype, 'answer'));
    const before = left();
    await rehearse();
    expect(left()).toEqual(before);
    expect(before.timers).toBe(0);
    for (const calls of answered) expect(calls).toHaveBeenCalledOnce();
  });
});
