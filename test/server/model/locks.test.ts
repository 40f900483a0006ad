// Locks and waits with real connections, as proto/CCAPI.md has them.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Identifier } from '../../../proto/identifier.ts';
import { uninitialised } from '../../../proto/identifier.ts';
import { afterwards, eventually } from '../../setup/cleanup.ts';
import { startWorker, workerDirectory } from '../../setup/worker.ts';
import { type Asked, RawConnection } from '../raw-connection.ts';
import { credentialFor } from './model.ts';

let path: string;
let worker: Awaited<ReturnType<typeof startWorker>>['worker'];
let a: Identifier;
let b: Identifier;
/** Number 0 observes and makes; 1 to 5 are the scenarios' C1 to C5. */
let connections: RawConnection[];
const observer = () => connections[0] as RawConnection;

beforeEach(async () => {
  ({ path, worker } = await startWorker(workerDirectory()));
  connections = await Promise.all(Array.from({ length: 6 }, () => RawConnection.open(path)));
  afterwards(() => {
    for (const connection of connections) connection.kill();
  });
  const create = async (name: string) =>
    (await observer().get('contextCreateCCache', uninitialised, { name, version: 2, principal: 'p@R' })).ccache;
  [a, b] = [await create('a'), await create('b')];
});

const types = { read: 0, write: 1, upgrade: 2, downgrade: 3, bad: 4 };

/** Carries out `C1 read block on a` and the like; on the collection where nothing is said. */
function act(text: string): Asked<'ccacheLock'> {
  const [, who, what, block, on] = /^C(\d) (\w+)(?: (block|noblock))?(?: on (\w))?$/.exec(text) ?? [];
  const connection = connections[Number(who)] as RawConnection;
  const object = on === 'a' ? a : on === 'b' ? b : uninitialised;
  if (what === 'unlock') return connection.ask(on ? 'ccacheUnlock' : 'contextUnlock', object, {});
  const request = { type: types[what as keyof typeof types], block: block === 'block' ? 1 : 0 };
  return connection.ask(on ? 'ccacheLock' : 'contextLock', object, request);
}

const PENDING = 'pending';

/**
 * Plays a scenario: each step with the code of its own reply, or pending, and with what is answered to earlier steps
 * that were pending, by their connections.
 */
async function play(steps: [step: string, outcome: number | typeof PENDING, answered?: Record<string, number>][]) {
  const waiting = new Map<string, Asked<'ccacheLock'>>();
  for (const [step, outcome, answered = {}] of steps) {
    const [who] = step.split(' ') as [string];
    const asked = step.endsWith('disconnects') ? undefined : act(step);
    if (!asked) {
      connections[Number(who.slice(1))]?.kill();
      waiting.delete(who);
      await eventually(async () => {
        await observer().settled();
        return Object.keys(answered).every((name) => waiting.get(name)?.code !== undefined);
      });
    }
    await observer().settled();
    if (asked) expect([step, asked.code ?? PENDING]).toEqual([step, outcome]);
    if (asked && outcome === PENDING) waiting.set(who, asked);
    const now = [...waiting].filter(([, { code }]) => code !== undefined).map(([name, { code }]) => [name, code]);
    expect([step, Object.fromEntries(now)]).toEqual([step, answered]);
    for (const [name] of now) waiting.delete(name as string);
  }
}

describe('locks', () => {
  it('readers, a writer, an upgrade', () =>
    play([
      ['C1 read noblock', 0],
      ['C2 read noblock', 0],
      ['C3 write noblock', 214],
      ['C3 write block', PENDING],
      ['C4 read noblock', 0],
      ['C1 upgrade noblock', 214],
      ['C1 upgrade block', PENDING],
      ['C2 unlock', 0],
      ['C4 unlock', 0, { C1: 0 }],
      ['C1 downgrade noblock', 0],
      ['C1 unlock', 0, { C3: 0 }],
      ['C3 unlock', 0],
    ]));

  it('a downgrade lets readers in, and the end of a connection lets go', () =>
    play([
      ['C1 write block', 0],
      ['C2 read block', PENDING],
      ['C3 write block', PENDING],
      ['C4 read block', PENDING],
      ['C1 downgrade block', 0, { C2: 0, C4: 0 }],
      ['C1 disconnects', 0],
      ['C2 disconnects', 0],
      ['C4 disconnects', 0, { C3: 0 }],
    ]));

  it.each([
    ['the collection', '', 215],
    ['a ccache', ' on a', 217],
  ])('one connection on %s', (_, on, unlocked) =>
    play([
      [`C1 read noblock${on}`, 0],
      [`C1 read noblock${on}`, 218],
      [`C1 write noblock${on}`, 218],
      [`C1 upgrade noblock${on}`, 0],
      [`C1 upgrade noblock${on}`, 218],
      [`C1 downgrade noblock${on}`, 0],
      [`C1 downgrade noblock${on}`, 218],
      [`C1 bad block${on}`, 218],
      [`C1 unlock${on}`, 0],
      [`C1 unlock${on}`, unlocked],
      [`C1 write block${on}`, 0],
    ]),
  );

  it('an upgrade ahead of another pending entry', () =>
    play([
      ['C1 read block', 0],
      ['C2 read block', 0],
      ['C1 upgrade block', PENDING],
      ['C3 write block', PENDING],
      ['C2 unlock', 0, { C1: 0 }],
      ['C1 unlock', 0, { C3: 0 }],
    ]));

  it('two that wait for each other wait until one of them goes', () =>
    play([
      ['C1 read block', 0],
      ['C2 read block', 0],
      ['C1 upgrade block', PENDING],
      ['C2 upgrade block', PENDING],
      ['C2 disconnects', 0, { C1: 0 }],
    ]));

  it('a ccache is destroyed under its locks', async () => {
    await play([['C1 write block on a', 0]]);
    const blocked = act('C2 read block on a');
    await observer().settled();
    await (connections[3] as RawConnection).get('ccacheDestroy', a, {});
    expect(await blocked.answered).toBe(205);
    await play([['C1 unlock on a', 205]]);
  });

  it('a ccache is moved into another under the locks of both', async () => {
    await play([
      ['C1 write block on b', 0],
      ['C2 write block on a', 0],
    ]);
    const [ofDestination, ofSource] = [act('C3 read block on a'), act('C4 read block on b')];
    await observer().settled();
    await (connections[5] as RawConnection).get('ccacheMove', a, { source: b });
    await observer().settled();
    expect([ofDestination.code, ofSource.code]).toEqual([undefined, 205]);
    await play([['C2 unlock on a', 0]]);
    expect(await ofDestination.answered).toBe(0);
    await play([['C1 unlock on a', 217]]);
  });

  it('of the collection and of each ccache are apart', () =>
    play([
      ['C1 write noblock', 0],
      ['C2 write noblock on a', 0],
      ['C3 write noblock on b', 0],
      ['C4 read noblock', 214],
      ['C4 read noblock on a', 216],
    ]));

  it('stop no client from anything but locking', async () => {
    await play([['C1 write block on a', 0]]);
    await observer().get('ccacheStoreCredentials', a, { credentials: credentialFor('s@R') });
    await observer().get('ccacheSetPrincipal', a, { version: 2, principal: 'q@R' });
  });
});

describe('waits', () => {
  const wait = async (number: number, on?: Identifier) => {
    const object = on ?? uninitialised;
    const now = on
      ? await observer().get('ccacheGetChangeTime', on, {})
      : await observer().get('contextGetChangeTime', uninitialised, {});
    const connection = connections[number] as RawConnection;
    const asked = connection.ask(on ? 'ccacheWaitForChange' : 'contextWaitForChange', object, { last: now.time });
    await observer().settled();
    return { asked, before: now.time };
  };

  it('all who wait are answered by the next change, with its time', async () => {
    const waits = await Promise.all([wait(1), wait(2), wait(3)]);
    expect(waits.map(({ asked }) => asked.code)).toEqual([undefined, undefined, undefined]);
    await observer().get('ccacheStoreCredentials', a, { credentials: credentialFor('s@R') });
    expect(await Promise.all(waits.map(({ asked }) => asked.answered))).toEqual([0, 0, 0]);
    for (const { asked, before } of waits) expect(asked.reply?.time).toBeGreaterThan(before);
  });

  it('on a ccache are answered by its changes and not by those of another, and by its end', async () => {
    const [first, second] = [await wait(1, a), await wait(2, a)];
    await observer().get('ccacheStoreCredentials', b, { credentials: credentialFor('s@R') });
    await observer().settled();
    expect([first.asked.code, second.asked.code]).toEqual([undefined, undefined]);
    await observer().get('ccacheDestroy', a, {});
    expect(await Promise.all([first.asked.answered, second.asked.answered])).toEqual([0, 0]);
  });

  it('are answered at once where something has changed since', async () => {
    const asked = (connections[1] as RawConnection).ask('contextWaitForChange', uninitialised, { last: 0 });
    expect(await asked.answered).toBe(0);
  });

  it('are not answered by what changes nothing', async () => {
    const { asked } = await wait(1);
    await observer().get('ccacheSetDefault', a, {});
    await observer().get('ccacheGetName', a, {});
    await play([
      ['C2 write noblock on a', 0],
      ['C2 unlock on a', 0],
    ]);
    expect(asked.code).toBeUndefined();
  });

  it('go with their connection, and the next change wakes who is left', async () => {
    const [gone, left] = [await wait(1), await wait(2)];
    connections[1]?.kill();
    await observer().settled();
    await observer().get('ccacheStoreCredentials', a, { credentials: credentialFor('s@R') });
    expect(await left.asked.answered).toBe(0);
    expect(gone.asked.code).toBeUndefined();
  });

  it('hold up the later requests of their connection, and no other; these are served in order', async () => {
    const { asked } = await wait(1);
    const connection = connections[1] as RawConnection;
    const behind = [1, 2, 3].map(() => connection.ask('ccacheGetName', a, {}));
    await observer().settled();
    expect(behind.map(({ code }) => code)).toEqual([undefined, undefined, undefined]);
    await observer().get('ccacheStoreCredentials', a, { credentials: credentialFor('s@R') });
    expect(await Promise.all([asked, ...behind].map(({ answered }) => answered))).toEqual([0, 0, 0, 0]);
  });

  it('cut off a peer that sends more behind them than a megabyte', async () => {
    await wait(1);
    const connection = connections[1] as RawConnection;
    const name = 'x'.repeat(100_000);
    for (let i = 0; i < 12; i++) connection.ask('contextOpenCCache', uninitialised, { name });
    await connection.closed;
    await observer().settled();
  });

  it('are answered when the server ends in order: 204 and 205', async () => {
    const [collection, ccache] = [await wait(1), await wait(2, a)];
    await play([
      ['C3 write noblock', 0],
      ['C3 write noblock on a', 0],
    ]);
    const [lock, ccacheLock] = [act('C4 write block'), act('C5 write block on a')];
    await observer().settled();
    worker.kill('SIGTERM');
    const answered = [lock, ccacheLock, ccache.asked, collection.asked].map((asked) => asked.answered);
    expect(await Promise.all(answered)).toEqual([204, 205, 205, 204]);
  });
});
