// Refusals are logged at a bounded rate, with a count of those that are not.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Refusals, refusalKey } from '../../launcher/refusals.ts';

let lines: string[];
let refusals: Refusals;
beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  refusals = new Refusals({ refusal: (line) => lines.push(line) });
});
afterEach(() => {
  vi.useRealTimers();
});

it('of 4,600 in a minute ten lines are written, and one that counts the others', () => {
  for (let i = 0; i < 4600; i++) refusals.add('uid 1000', () => `uid 1000: ${i}`);
  expect(lines).toHaveLength(10);
  vi.advanceTimersByTime(60_000);
  expect(lines.slice(10)).toEqual(['uid 1000: 4590 more refusals within 60 s']);
  refusals.add('uid 1000', () => 'again');
  expect(lines.at(-1)).toBe('again');
});

it('a minute that left nothing out is not told of', () => {
  for (let i = 0; i < 10; i++) refusals.add('uid 1000', () => 'line');
  vi.advanceTimersByTime(60_000);
  expect(lines).toHaveLength(10);
});

it('a line that is not written is not made', () => {
  const message = vi.fn(() => 'line');
  for (let i = 0; i < 20; i++) refusals.add('uid 1000', message);
  expect(message).toHaveBeenCalledTimes(10);
});

it('the uids that no database has count together, and apart from peers without a uid', () => {
  const isKnown = (uid: number) => uid < 2000;
  expect([1000, 1001, 5000, 5001, undefined].map((uid) => refusalKey({ uid }, isKnown))).toEqual([
    'uid 1000',
    'uid 1001',
    'unknown uids',
    'unknown uids',
    'unknown peers',
  ]);
});

it('a count that is due keeps no process', () => {
  vi.useRealTimers();
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  refusals.add('uid 1000', () => 'line');
  expect(timers()).toBe(before);
});

it('the lines of one uid take no room from another', () => {
  for (let i = 0; i < 100; i++) refusals.add('uid 1000', () => 'one');
  refusals.add('uid 1001', () => 'other');
  expect(lines.at(-1)).toBe('other');
});

it('any number of keys is kept in bounds', () => {
  for (let i = 0; i < 100_000; i++) refusals.add(`uid ${i}`, () => 'line');
  // One line for each key that is told apart, and ten for all others together.
  expect(lines).toHaveLength(110);
  // A key that is told apart stays so.
  refusals.add('uid 5', () => 'its second');
  expect(lines.at(-1)).toBe('its second');
});

it('the counts are written before the process ends', () => {
  for (let i = 0; i < 12; i++) refusals.add('uid 1000', () => 'line');
  refusals.flush();
  expect(lines.at(-1)).toBe('uid 1000: 2 more refusals within 60 s');
  vi.advanceTimersByTime(60_000);
  expect(lines).toHaveLength(11);
});
