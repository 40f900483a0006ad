// Locks and waits of the library, and what may be aborted.
import { beforeEach, describe, expect, it } from 'vitest';
import { Context, LockType } from '../../client/index.ts';
import { credentialFor } from '../server/model/model.ts';
import { afterwards, eventually, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { programs } from '../setup/programs.ts';

let base: string;
const code = (name: string) => expect.objectContaining({ name });

beforeEach(() => {
  base = temporaryDirectory();
});

function open(): Context {
  const context = new Context({
    env: { KRB5_CONFIG: '/nonexistent', CCAPI_DIRECTORY: base, CCAPI_PORT: '1' },
    launcher: [process.execPath, programs.launcher, `--directory=${base}`, '--persist=never'],
  });
  afterwards(() => context.close());
  return context;
}

/** Whether a promise is settled by the time that everything sent so far has been answered. */
async function isPending(promise: Promise<unknown>, context: Context): Promise<boolean> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  for (let round = 0; round < 3; round++) await context.getDefaultCCacheName();
  return !settled;
}

describe.each(['the collection', 'a ccache'])('a lock on %s', (what) => {
  async function two() {
    const [one, other] = [open(), open()];
    await one.createCCache('a', 'alice@R');
    const object = (context: Context) => (what === 'a ccache' ? context.openCCache('a') : context);
    return { one, other, mine: await object(one), theirs: await object(other) };
  }
  const locked = what === 'a ccache' ? 'ccErrCCacheLocked' : 'ccErrContextLocked';
  const unlocked = what === 'a ccache' ? 'ccErrCCacheUnlocked' : 'ccErrContextUnlocked';

  it('is waited for, while the other calls of both go on', async () => {
    const { one, other, mine, theirs } = await two();
    await mine.lock(LockType.write);
    await expect(theirs.lock(LockType.read, false)).rejects.toThrow(code(locked));
    const waiting = theirs.lock(LockType.read);
    expect(await isPending(waiting, other)).toBe(true);
    expect(await (await other.openCCache('a')).getPrincipal()).toBe('alice@R');
    expect(await (await one.openCCache('a')).getPrincipal()).toBe('alice@R');
    await mine.unlock();
    await waiting;
    await theirs.unlock();
    await expect(theirs.unlock()).rejects.toThrow(code(unlocked));
  });

  it('is upgraded and downgraded', async () => {
    const { other, mine, theirs } = await two();
    await mine.lock(LockType.read);
    await theirs.lock(LockType.read);
    await expect(mine.lock(LockType.upgrade, false)).rejects.toThrow(code(locked));
    const upgrading = mine.lock(LockType.upgrade);
    expect(await isPending(upgrading, other)).toBe(true);
    await theirs.unlock();
    await upgrading;
    await mine.lock(LockType.downgrade);
    await theirs.lock(LockType.read, false);
    await expect(mine.lock(LockType.read)).rejects.toThrow(code('ccErrBadLockType'));
    await expect(mine.lock(17)).rejects.toThrow(code('ccErrBadLockType'));
    // What was refused has cost nothing: the read lock is still there.
    await mine.unlock();
  });

  it('is not waited for any longer than the signal allows, and was never granted then', async () => {
    const { one, mine, theirs } = await two();
    await mine.lock(LockType.write);
    const aborting = new AbortController();
    const waiting = theirs.lock(LockType.write, true, aborting.signal);
    expect(await isPending(waiting, one)).toBe(true);
    aborting.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(theirs.lock(LockType.read, true, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
    await mine.unlock();
    await mine.lock(LockType.write, false);
  });

  it('is answered in its turn where several requests of one context are on their way', async () => {
    const { mine, theirs } = await two();
    await mine.lock(LockType.write);
    const refused = await Promise.allSettled([1, 2, 3].map(() => theirs.lock(LockType.write, false)));
    expect(refused.map((outcome) => outcome.status === 'rejected' && outcome.reason.name)).toEqual([
      locked,
      locked,
      locked,
    ]);
    await Promise.all([mine.unlock(), mine.lock(LockType.read)]);
    await expect(theirs.lock(LockType.write, false)).rejects.toThrow(code(locked));
    await mine.unlock();
  });

  it('goes with its context', async () => {
    const { one, mine, theirs } = await two();
    await mine.lock(LockType.write);
    const waiting = theirs.lock(LockType.write);
    await one.close();
    await waiting;
  });
});

describe('two contexts of one program', () => {
  it('are two to a lock, and one context is one', async () => {
    const context = open();
    const ccache = await context.createCCache('a', 'alice@R');
    const again = await context.openCCache('a');
    await ccache.lock(LockType.write);
    await expect(again.lock(LockType.read)).rejects.toThrow(code('ccErrBadLockType'));
    await again.unlock();
    await expect(ccache.unlock()).rejects.toThrow(code('ccErrCCacheUnlocked'));
  });
});

describe('waiting for a change', () => {
  it('returns at once the first time, then with each change; other calls go on', async () => {
    const [context, other] = [open(), open()];
    const ccache = await context.createCCache('a', 'alice@R');
    const first = await context.waitForChange();
    const waiting = context.waitForChange();
    expect(await isPending(waiting, context)).toBe(true);
    await (await other.openCCache('a')).storeCredentials(credentialFor('s@R'));
    expect(await waiting).toBeGreaterThan(first);
    expect(await ccache.waitForChange()).toBe(await ccache.getChangeTime());
    const ofCCache = ccache.waitForChange();
    await other.createCCache('b', 'bob@R');
    expect(await isPending(ofCCache, context)).toBe(true);
    await (await other.openCCache('a')).setPrincipal('carol@R');
    expect(await ofCCache).toBe(await ccache.getChangeTime());
  });

  it('ends with the signal, and a later wait has missed nothing', async () => {
    const context = open();
    const ccache = await context.createCCache('a', 'alice@R');
    await context.waitForChange();
    const aborting = new AbortController();
    const waiting = context.waitForChange(aborting.signal);
    expect(await isPending(waiting, context)).toBe(true);
    aborting.abort();
    await expect(waiting).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    await ccache.storeCredentials(credentialFor('s@R'));
    expect(await context.waitForChange()).toBeGreaterThan(0);
  });

  it('ends with 205 for a ccache that is gone', async () => {
    const [context, other] = [open(), open()];
    const ccache = await context.createCCache('a', 'alice@R');
    await ccache.waitForChange();
    await (await other.openCCache('a')).destroy();
    await expect(ccache.waitForChange()).rejects.toThrow(code('ccErrInvalidCCache'));
  });

  it('ends with 204 where the server ends in order, and begins anew with the next one', async () => {
    const context = open();
    await context.createCCache('a', 'alice@R');
    await context.waitForChange();
    const waiting = context.waitForChange();
    await isPending(waiting, context);
    process.kill(workersBelow(base)[0] as number);
    await expect(waiting).rejects.toThrow(code('ccErrInvalidContext'));
    await eventually(() => workersBelow(base).length === 0);
    // The time that was seen last came from a server that is no more, so this does not wait.
    expect(await context.waitForChange()).toBeGreaterThan(0);
  });
});
