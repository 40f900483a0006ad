// Who owns a directory: with the kernel's lock whatever becomes of the names, without it by the tokens.
import { EventEmitter } from 'node:events';
import { mkdirSync, readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { DirectoryWatch } from '../../server/directory-watch.ts';
import { Election } from '../../server/election.ts';
import { afterwards, eventually, temporaryDirectory } from '../setup/cleanup.ts';

const host = vi.hoisted(() => ({ hasLocks: true }));

vi.mock('../../etc/host/libc.ts', async (original) => {
  const real = await original<typeof import('../../etc/host/libc.ts')>();
  return {
    ...real,
    lockExclusively: (descriptor: number) => (host.hasLocks ? real.lockExclusively(descriptor) : undefined),
  };
});

let directory: string;

beforeEach(() => {
  directory = `${temporaryDirectory()}/1000`;
  mkdirSync(directory, { mode: 0o700 });
});

/** A candidate that listens as a worker does. */
async function candidate(id: string): Promise<{ ownership: Election; server: Server }> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(`${directory}/S.${id}`, resolve));
  afterwards(() => void server.close());
  return { ownership: new Election(directory, id), server };
}

describe.each([[true], [false]])('with locks: %s, a directory', (hasLocks) => {
  beforeEach(() => {
    host.hasLocks = hasLocks;
  });

  it('comes to one of many candidates, however often they try, and to the next one once that is gone', async () => {
    const candidates = await Promise.all(['d', 'b', 'c', 'a', 'e'].map(candidate));
    const owners = new Set<(typeof candidates)[0]>();
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        candidates.map(async (one) => {
          if (!owners.has(one) && (await one.ownership.acquire())) owners.add(one);
        }),
      );
    }
    expect(owners.size).toBe(1);
    const [owner] = owners;
    expect(owner?.ownership.retain()).toBe(true);
    if (hasLocks) return;
    // A process that is gone listens no more; its token stays.
    owner?.server.close();
    const left = candidates.filter((one) => one !== owner);
    await eventually(async () => (await Promise.all(left.map(({ ownership }) => ownership.acquire()))).includes(true));
  });

  it('that is replaced is no longer owned, and what is kept is still reached', async () => {
    const { ownership } = await candidate('a');
    expect(await ownership.acquire()).toBe(true);
    writeFileSync(`${directory}/kept`, '');
    renameSync(directory, `${directory}.former`);
    mkdirSync(directory);
    expect([ownership.isInPlace, ownership.retain()]).toEqual([false, false]);
    expect(readdirSync(ownership.path)).toContain('kept');
    ownership.release();
    expect(readdirSync(`${directory}.former`)).toContain('W.a');
  });
});

describe('an owner without a name left', () => {
  it('keeps the directory where there are locks', async () => {
    host.hasLocks = true;
    const [owner, other] = [await candidate('b'), await candidate('a')];
    expect(await owner.ownership.acquire()).toBe(true);
    for (const name of readdirSync(directory)) rmSync(`${directory}/${name}`);
    expect(await other.ownership.acquire()).toBe(false);
    expect(owner.ownership.retain()).toBe(true);
    expect(readdirSync(directory)).toEqual(['W.b']);
  });

  it('gives it up where there are none: another may have come', async () => {
    host.hasLocks = false;
    const owner = await candidate('b');
    expect(await owner.ownership.acquire()).toBe(true);
    rmSync(`${directory}/W.b`);
    expect(owner.ownership.retain()).toBe(false);
  });
});

it('what killed workers left is swept away, and what lives or is none of ours stays', async () => {
  const [owner] = [await candidate('b'), await candidate('waiting')];
  const ours = ['S.dead', 'H.dead', 'S.dead.p', 'W', 'W.free', 'B.dead'];
  const others = ['S.ccapi', 'H.ccapi', 'notes', 'caches'];
  const young = ['S.starting', 'H.starting'];
  for (const name of [...ours, ...others, ...young]) writeFileSync(`${directory}/${name}`, '');
  for (const name of ours) utimesSync(`${directory}/${name}`, 1, 1);
  await owner.ownership.sweep();
  expect(readdirSync(directory).sort()).toEqual([...others, ...young, 'S.b', 'S.waiting'].sort());
});

describe('a watch', () => {
  it('checks at once, and again at each event, once for many', async () => {
    let checks = 0;
    const watch = new DirectoryWatch(directory, async () => void checks++);
    await eventually(() => checks === 1);
    for (let i = 0; i < 50; i++) writeFileSync(`${directory}/${i}`, '');
    await eventually(() => checks === 2);
    watch.close();
  });

  it('looks again from time to time where the kernel tells of nothing, at first or later on', async () => {
    const broken = new EventEmitter() as never as { close(): void } & EventEmitter;
    broken.close = () => {};
    broken.on('error', () => {});
    const unavailable = () => {
      throw new Error('ENOSPC');
    };
    for (const how of [unavailable, () => broken]) {
      vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
      let checks = 0;
      const watch = new DirectoryWatch(directory, async () => void checks++, how as never);
      broken.emit('error', new Error('gone'));
      await vi.advanceTimersByTimeAsync(60_000);
      expect(checks).toBeGreaterThan(10);
      watch.close();
      const before = checks;
      await vi.advanceTimersByTimeAsync(60_000);
      expect(checks).toBe(before);
      vi.useRealTimers();
    }
  });
});
