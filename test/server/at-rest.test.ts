// A worker that is asked nothing: when it leaves, and what it gives back. The tests wait for most of their time, and do so together.
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { credential } from '../bench/round-trip.ts';
import { eventually, memory } from '../setup/cleanup.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';
import { credentialFor } from './model/model.ts';

const uid = process.getuid?.() as number;

/** One that forgets what it holds when it ends, and leaves after a second. */
async function startIdle(timeout = 1) {
  const base = workerDirectory();
  const running = await startWorker(base, '--persist=never', `--idle-timeout=${timeout}`);
  return { ...running, directory: `${base}/${uid}`, open: () => openContext(base) };
}

const openContext = (base: string) =>
  new Context({ env: { CCAPI_DIRECTORY: base, CCAPI_AUTOSTART: 'no', CCAPI_PORT: '1', KRB5_CONFIG: '/x' } });
const gone = (worker: ChildProcess) => new Promise((resolve) => worker.once('exit', (code) => resolve(code)));

/** Resolves when a worker that nothing keeps has left, though it may stay twice as long: the time of others is up by then. */
const timeIsUp = async () => gone((await startIdle(2)).worker);

/** Megabytes that are a process's own, and no file's. */
function privateMemory(pid: number | undefined): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

describe.concurrent('a worker', () => {
  it.runIf(process.platform === 'linux')(
    'gives back the memory that a busy while has left, and serves on',
    async () => {
      const base = workerDirectory(memory);
      const { worker } = await startWorker(base);
      await using context = openContext(base);
      const ccache = await context.createNewCCache('alice@EXAMPLE');
      await Promise.all(Array.from({ length: 10_000 }, () => ccache.storeCredentials(credential)));
      const busy = privateMemory(worker.pid);
      await eventually(() => privateMemory(worker.pid) < 0.75 * busy);
      expect(await ccache.getPrincipal()).toBe('alice@EXAMPLE');
    },
  );

  it('leaves when it is idle, and takes its socket with it', async () => {
    const { worker, directory } = await startIdle();
    expect(await gone(worker)).toBe(0);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('stays for as long as it holds an unexpired credential', async () => {
    const { worker, open } = await startIdle();
    await using context = open();
    const ccache = await context.createNewCCache('alice@R');
    const soon = Math.floor(Date.now() / 1000) + 3;
    await ccache.storeCredentials(credentialFor('s@R', soon));
    await context.close();
    expect(await gone(worker)).toBe(0);
    expect(Date.now() / 1000).toBeGreaterThan(soon);
  });

  it('stays for a credential that has no end, and not for a note of libkrb5', async () => {
    const { worker, open } = await startIdle();
    await using context = open();
    const ccache = await context.createNewCCache('alice@R');
    await ccache.storeCredentials(credentialFor('krb5_ccache_conf_data/pa_type@X-CACHECONF:', 0));
    await ccache.storeCredentials(credentialFor('s@R', 0));
    await context.close();
    await timeIsUp();
    expect(worker.exitCode).toBeNull();
    await using again = open();
    for await (const credential of (await again.openDefaultCCache()).credentials({ all: true })) {
      if (credential.data.server === 's@R') await (await again.openDefaultCCache()).removeCredentials(credential);
    }
    await again.close();
    expect(await gone(worker)).toBe(0);
  });

  it('stays for as long as a client is connected', async () => {
    const { worker, path } = await startIdle();
    const socket = connect(path);
    await new Promise((resolve) => socket.once('connect', resolve));
    const exit = gone(worker);
    await timeIsUp();
    expect(worker.exitCode).toBeNull();
    socket.destroy();
    expect(await exit).toBe(0);
  });
});
