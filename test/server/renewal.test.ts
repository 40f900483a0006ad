import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { stagingName } from '../../proto/staging.ts';
import type { CCache } from '../../server/model/ccache.ts';
import { Collection } from '../../server/model/collection.ts';
import { Identifiers } from '../../server/model/identifiers.ts';
import { Renewal } from '../../server/renewal.ts';
import { credential } from '../bench/round-trip.ts';

const RENEWABLE = 0x00800000;
const now = () => Math.floor(Date.now() / 1000);

let collection: Collection;
let tried: { name: string; at: number }[];
let logged: string[];
let outcome: (ccache: CCache, signal: AbortSignal) => Promise<void>;
let renewal: Renewal;
let began: number;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_800_000_000_000 });
  began = now();
  collection = new Collection(new Identifiers(), now);
  [tried, logged] = [[], []];
  outcome = async ({ name }) => void ccacheWith(name);
  const note = (line: string) => void logged.push(line);
  const log = { info: note, warning: note, error: note, refusal: note };
  const renew = (ccache: CCache, signal: AbortSignal) => {
    tried.push({ name: ccache.name, at: now() - began });
    return outcome(ccache, signal);
  };
  renewal = new Renewal(collection, renew, now, log);
  renewal.start();
});
afterEach(() => {
  renewal.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** A ccache with a ticket-granting ticket that lasts an hour, of which others may want it otherwise. */
function ccacheWith(name: string, other: Partial<typeof credential> = {}): CCache {
  const ccache = collection.create(name, 2, 'alice@R');
  const ticket = { client: 'alice@R', server: 'krbtgt/R@R', ticketFlags: RENEWABLE, authtime: now(), starttime: now() };
  collection.store(ccache, { ...credential, ...ticket, endtime: now() + 3600, renewTill: now() + 86_400, ...other });
  return ccache;
}

it('renews a ticket at half its life, and not before', async () => {
  ccacheWith('one');
  await vi.advanceTimersByTimeAsync(1_790_000);
  expect(tried).toEqual([]);
  expect(renewal.next).toBe(began + 1800);
  await vi.advanceTimersByTimeAsync(11_000);
  expect(tried).toEqual([{ name: 'one', at: 1800 }]);
  expect(logged).toEqual(['the ticket of alice@R in one is renewed']);
});

it('renews within a minute of resuming, when the machine was suspended at the time', async () => {
  ccacheWith('one');
  await vi.advanceTimersByTimeAsync(10_000);
  vi.setSystemTime(Date.now() + 2_400_000);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(tried).toEqual([{ name: 'one', at: expect.closeTo(2440, -2) }]);
});

it.each([
  ['that is not renewable', { ticketFlags: 0 }],
  ['that cannot last longer', { renewTill: 0 }],
  ['for a service', { server: 'host/a@R' }],
  ['of another client', { client: 'bob@R' }],
  ['for another realm', { server: 'krbtgt/S@R' }],
  ['of another realm', { server: 'krbtgt/R@S' }],
])('leaves a ticket alone %s', async (_, other) => {
  ccacheWith('one', other);
  await vi.advanceTimersByTimeAsync(7_200_000);
  expect(tried).toEqual([]);
  expect(renewal.next).toBeUndefined();
});

it('tries again after pauses that grow to an hour, until the ticket has expired', async () => {
  outcome = async () => Promise.reject(new Error('no KDC'));
  ccacheWith('one', { endtime: now() + 36_000 });
  await vi.advanceTimersByTimeAsync(36_000_000);
  const times = tried.map(({ at }) => at - 18_000);
  expect(times).toEqual([0, 60, 180, 420, 900, 1860, 3780, 7380, 10_980, 14_580]);
  expect(logged[0]).toBe('the ticket of alice@R in one is not renewed: no KDC; tried again in 60 s');
  await vi.advanceTimersByTimeAsync(36_000_000);
  expect(tried).toHaveLength(10);
});

it('takes a renewal that changes nothing for one that failed', async () => {
  outcome = async () => {};
  ccacheWith('one');
  await vi.advanceTimersByTimeAsync(1_860_000);
  expect(tried.map(({ at }) => at)).toEqual([1800, 1860]);
  expect(logged[0]).toMatch(/ is not renewed: it is the same as before; tried again in 60 s$/);
});

it('begins anew with another ticket after one that failed', async () => {
  outcome = async () => Promise.reject(new Error('no KDC'));
  const ccache = ccacheWith('one');
  await vi.advanceTimersByTimeAsync(1_990_000);
  expect(tried).toHaveLength(3);
  outcome = async ({ name }) => void ccacheWith(name);
  collection.destroy(ccache);
  ccacheWith('one', { endtime: now() + 200 });
  await vi.advanceTimersByTimeAsync(102_000);
  expect(tried.at(-1)).toEqual({ name: 'one', at: 2090 });
});

it('begins with the first pause where another ticket fails', async () => {
  outcome = async () => Promise.reject(new Error('no KDC'));
  const ccache = ccacheWith('one');
  await vi.advanceTimersByTimeAsync(1_990_000);
  collection.replace('one', collection.emptyContents('alice@R'));
  expect(ccache.removed).toBe(false);
  const ticket = { client: 'alice@R', server: 'krbtgt/R@R', ticketFlags: RENEWABLE, authtime: now(), starttime: now() };
  collection.store(ccache, { ...credential, ...ticket, endtime: now() + 400, renewTill: now() + 86_400 });
  logged.length = 0;
  await vi.advanceTimersByTimeAsync(210_000);
  expect(logged).toEqual(['the ticket of alice@R in one is not renewed: no KDC; tried again in 60 s']);
});

it('leaves a ccache alone that is still being filled', async () => {
  ccacheWith(stagingName());
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect([tried, renewal.next]).toEqual([[], undefined]);
});

it('renews one at a time, and breaks off when it is stopped', async () => {
  let aborted = false;
  outcome = (_, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        aborted = true;
        reject(new Error('aborted'));
      });
    });
  ccacheWith('one');
  await vi.advanceTimersByTimeAsync(1_801_000);
  ccacheWith('two', { endtime: now() + 100 });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(tried.map(({ name }) => name)).toEqual(['one']);
  renewal.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([aborted, renewal.next, logged]).toEqual([true, undefined, []]);
});

it('stays off when it is stopped in the turn of a change, and goes on when it is started again', async () => {
  ccacheWith('one');
  renewal.stop();
  await vi.advanceTimersByTimeAsync(1_000);
  expect([vi.getTimerCount(), collection.waiters.size, renewal.next]).toEqual([0, 0, undefined]);
  renewal.start();
  await vi.advanceTimersByTimeAsync(1_801_000);
  expect(tried.map(({ name }) => name)).toEqual(['one']);
});

it('renews in time although changes do not end', async () => {
  ccacheWith('one', { endtime: now() + 100 });
  const other = collection.create('other', 2, 'bob@R');
  for (let second = 0; second < 60; second++) {
    collection.store(other, credential);
    await vi.advanceTimersByTimeAsync(500);
    collection.store(other, credential);
    await vi.advanceTimersByTimeAsync(500);
  }
  expect(tried.map(({ name }) => name)).toEqual(['one']);
});
