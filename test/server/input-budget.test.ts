// What connections hold of requests is counted as it comes and goes; beyond the bound the ones that hold the most are ended.
import { beforeEach, expect, it } from 'vitest';
import { InputBudget, type InputHolder } from '../../server/input-budget.ts';

let budget: InputBudget;
let ended: string[];
let said: string[];
beforeEach(() => {
  [ended, said] = [[], []];
  budget = new InputBudget(100, { warning: (line) => void said.push(line) });
});

/** A connection that comes to hold so many bytes, one amount after the other. */
function holding(name: string) {
  const holder = { held: 0, end: () => void ended.push(name) } satisfies InputHolder;
  return (...amounts: number[]) => {
    for (const held of amounts) {
      holder.held = held;
      budget.update(holder);
    }
  };
}

it('what is held again counts again, and the one that holds the most is ended, once', () => {
  holding('a')(60, 0, 60);
  expect(ended).toEqual([]);
  holding('b')(50);
  expect(ended).toEqual(['a']);
  holding('c')(50);
  expect(ended).toEqual(['a']);
});

it('what was released makes room', () => {
  const a = holding('a');
  a(60, 0);
  holding('b')(60, 0);
  a(100);
  expect(ended).toEqual([]);
});

it('what grows and shrinks counts as it is', () => {
  const [a, b] = [holding('a'), holding('b')];
  a(90, 10);
  b(90);
  expect(ended).toEqual([]);
  a(11);
  expect(ended).toEqual(['b']);
});

it('as many are ended as it takes, and that is said once, until half of the room is free again', () => {
  const [a, b, c] = [holding('a'), holding('b'), holding('c')];
  for (const hold of [a, b, c]) hold(40);
  holding('d')(99);
  expect(ended).toEqual(['a', 'd']);
  expect(said).toHaveLength(1);
  b(10);
  holding('e')(101);
  expect(ended).toEqual(['a', 'd', 'e']);
  expect(said).toHaveLength(2);
});
