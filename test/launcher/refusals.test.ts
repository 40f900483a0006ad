// Refusals are logged at a bounded rate, with a count of those that are not.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Refusals } from '../../launcher/refusals.ts';

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

it('the lines of one uid take no room from another', () => {
  for (let i = 0; i < 100; i++) refusals.add('uid 1000', () => 'one');
  refusals.add('uid 1001', () => 'other');
  expect(lines.at(-1)).toBe('other');
});

it('any number of keys is kept in bounds', () => {
  for (let i = 0; i < 100_000; i++) refusals.add(`uid ${i}`, () => 'line');
  // One line for each key that is told apart, and ten for all others together.
  expect(lines).toHaveLength(110);
});

it('the counts are written before the process ends', () => {
  for (let i = 0; i < 12; i++) refusals.add('uid 1000', () => 'line');
  refusals.flush();
  expect(lines.at(-1)).toBe('uid 1000: 2 more refusals within 60 s');
});
