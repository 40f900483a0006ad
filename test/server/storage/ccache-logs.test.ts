// Of the files of all ccaches 32 stay open: those that were used last.
import { expect, it } from 'vitest';
import type { CCache } from '../../../server/model/ccache.ts';
import type { CCacheLog } from '../../../server/storage/ccache-log.ts';
import { CCacheLogs } from '../../../server/storage/ccache-logs.ts';

/** A ccache of a number. */
const ccacheOf = (number: number) => ({ identifier: { object: number.toString(16).padStart(12, '0') } }) as CCache;

/** A file that only knows whether it is open. */
class Log {
  readonly heading: { ccache: number };
  isIntact = true;
  closed = 0;

  constructor(ccache: number) {
    this.heading = { ccache };
  }

  close(): void {
    this.closed++;
  }
}

const logs = (count: number) => Array.from({ length: count }, (_, i) => new Log(i));
const asLog = (log: Log) => log as unknown as CCacheLog;
const closed = (all: Log[]) => all.flatMap((log) => Array<number>(log.closed).fill(log.heading.ccache));

function collect(all: Log[]): CCacheLogs {
  const collected = new CCacheLogs();
  for (const log of all) collected.add(asLog(log));
  return collected;
}

it('that which was not used for longest is closed for another', () => {
  const all = logs(32);
  const open = collect(all);
  expect(closed(all)).toEqual([]);
  expect(open.use(ccacheOf(0))).toBe(all[0]);
  for (const number of [32, 33]) open.add(asLog(new Log(number)));
  expect(closed(all)).toEqual([1, 2]);
  // It is opened again, for which the next one goes.
  open.use(ccacheOf(1));
  expect(closed(all)).toEqual([1, 2, 3]);
});

it('those that were found are closed, and open once they are used', () => {
  const all = logs(40);
  const open = new CCacheLogs(new Map(all.map((log) => [log.heading.ccache, asLog(log)])));
  open.closeAll();
  expect(closed(all)).toEqual([]);
  for (const number of [5, 39]) open.use(ccacheOf(number));
  for (let time = 0; time < 2; time++) open.closeAll();
  expect(closed(all)).toEqual([5, 39]);
});

it('that of a ccache that is gone is closed, and is not missed', () => {
  const all = logs(3);
  const open = collect(all);
  expect(open.areIntact).toBe(true);
  (all[1] as Log).isIntact = false;
  expect(open.areIntact).toBe(false);
  open.forget(ccacheOf(1));
  expect([open.areIntact, closed(all)]).toEqual([true, [1]]);
  open.closeAll();
  expect(closed(all)).toEqual([0, 1, 2]);
});

it('that which another ccache has taken is found by it alone', () => {
  const all = logs(3);
  const [first] = all as [Log];
  const open = collect(all);
  first.heading.ccache = 7;
  open.reassign(ccacheOf(0));
  expect(open.use(ccacheOf(7))).toBe(first);
  first.isIntact = false;
  open.forget(ccacheOf(7));
  expect(open.areIntact).toBe(true);
});
