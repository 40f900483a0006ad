import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { credential } from '../bench/round-trip.ts';
import { eventually, memory } from '../setup/cleanup.ts';
import { cleanEnvironment } from '../setup/programs.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';

/** Megabytes that are a process's own, and no file's. */
function privateMemory(pid: number | undefined): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

describe.runIf(process.platform === 'linux')('a worker at rest', () => {
  it('gives back the memory that a busy while has left, and serves on', async () => {
    const base = workerDirectory(memory);
    const { worker } = await startWorker(base);
    await using context = new Context({ env: cleanEnvironment({ CCAPI_DIRECTORY: base }) });
    const ccache = await context.createNewCCache('alice@EXAMPLE');
    await Promise.all(Array.from({ length: 10_000 }, () => ccache.storeCredentials(credential)));
    const busy = privateMemory(worker.pid);
    await eventually(() => privateMemory(worker.pid) < 0.75 * busy);
    expect(await ccache.getPrincipal()).toBe('alice@EXAMPLE');
  });
});
