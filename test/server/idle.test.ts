// When a worker may leave, by a clock of the test's own.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { monotonic } from '../../etc/host/monotonic.ts';
import { IdleExit } from '../../server/idle.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const user = { isAlone: false, wouldLose: false };
const SECOND = 1000;

function started(more: { shouldStay?(): boolean; hasEnded?(): boolean } = {}): { idle: IdleExit; left: string[] } {
  Object.assign(user, { isAlone: false, wouldLose: false });
  const left: string[] = [];
  const conditions = {
    isAlone: () => user.isAlone,
    mustStayAlive: () => user.wouldLose,
    leave: (why: string) => void left.push(why),
    ...more,
  };
  return { idle: new IdleExit({ idle: 600 * SECOND, alone: 2 * SECOND }, conditions), left };
}

it('stays for idle_timeout while its user has another process', () => {
  const { left } = started();
  vi.advanceTimersByTime(599 * SECOND);
  expect(left).toEqual([]);
  vi.advanceTimersByTime(SECOND);
  expect(left).toEqual(['idle for 600 s']);
});

it('leaves within seconds where there is none, and when the last one has ended', () => {
  const alone = started();
  user.isAlone = true;
  vi.advanceTimersByTime(2 * SECOND);
  expect(alone.left).toEqual(['its user has no other process']);
  const { left } = started();
  vi.advanceTimersByTime(300 * SECOND);
  user.isAlone = true;
  vi.advanceTimersByTime(8 * SECOND);
  expect(left).toEqual(['its user has no other process']);
});

it('stays after each request for as long again', () => {
  const { idle, left } = started();
  user.isAlone = true;
  for (let i = 0; i < 100; i++) {
    vi.advanceTimersByTime(2 * SECOND - 1);
    idle.touch(monotonic());
  }
  expect(left).toEqual([]);
});

it.each(['a connection', 'what would be lost'])('stays for %s, and leaves soon after that has gone', (what) => {
  const { idle, left } = started();
  user.isAlone = true;
  if (what === 'a connection') idle.addConnection();
  else user.wouldLose = true;
  vi.advanceTimersByTime(3000 * SECOND);
  expect(left).toEqual([]);
  if (what === 'a connection') idle.removeConnection();
  else user.wouldLose = false;
  vi.advanceTimersByTime(8 * SECOND);
  expect(left).toHaveLength(1);
});

it('stays for the tickets of a login while its user has another process, and no longer', () => {
  const { left } = started({ shouldStay: () => true });
  vi.advanceTimersByTime(3000 * SECOND);
  expect(left).toEqual([]);
  user.isAlone = true;
  vi.advanceTimersByTime(600 * SECOND);
  expect(left).toEqual(['its user has no other process']);
});

it('leaves at the end of its login session, whatever it holds', () => {
  const { left } = started({ hasEnded: () => user.isAlone });
  user.wouldLose = true;
  vi.advanceTimersByTime(3000 * SECOND);
  expect(left).toEqual([]);
  user.isAlone = true;
  vi.advanceTimersByTime(8 * SECOND);
  expect(left).toEqual(['its login session has ended']);
});

it('goes by other timeouts from the next look on, also where alone_timeout is the longer one', () => {
  const { idle, left } = started();
  user.isAlone = true;
  idle.timeouts = { idle: 60 * SECOND, alone: 900 * SECOND };
  vi.advanceTimersByTime(59 * SECOND);
  expect(left).toEqual([]);
  vi.advanceTimersByTime(SECOND);
  expect(left).toEqual(['idle for 60 s']);
});
