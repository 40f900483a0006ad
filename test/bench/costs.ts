// What a machine pays for a worker that is there: memory, and time while it is idle.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '../../client/index.ts';
import { eventually, memory } from '../setup/cleanup.ts';
import { cleanEnvironment } from '../setup/programs.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';
import { credential } from './round-trip.ts';

/** The lines of a table. */
export async function costs(quick: boolean): Promise<string> {
  const bare = await bareNode();
  const rows: [string, string][] = [['a bare Node process', megabytes(bare)]];
  for (const count of quick ? [0, 100] : [0, 1000, 100_000]) {
    const several = Array.from({ length: quick || count > 1000 ? 1 : 3 }, () => filled(count));
    const pids = await Promise.all(several);
    // For some seconds the engine is still busy with what there was to do; what it costs to have it is what it costs at rest.
    await delay(quick ? 0 : 40_000);
    const more = pids.map((pid) => megabytes(privateMemory(pid) - bare)).map((size) => `+${size}`);
    const budget = count === 1000 ? ' (budget: +6 MB)' : '';
    rows.push([`a worker with ${count.toLocaleString('en')} credentials${budget}`, more.join(', ')]);
    if (count === 1000 || quick) rows.push(['its time on a processor in an idle minute', await idle(pids[0], quick)]);
  }
  const lines = rows.map(([what, value]) => `| ${what} | ${value} |`);
  return ['| | private memory, and what is more at rest |', '| --- | ---: |', ...lines].join('\n');
}

/** Starts a worker and has it hold so many credentials; no client is connected to it afterwards. */
async function filled(count: number): Promise<number | undefined> {
  const base = workerDirectory(memory);
  const { worker } = await startWorker(base);
  await using context = new Context({ env: cleanEnvironment({ CCAPI_DIRECTORY: base }) });
  const ccache = await context.createNewCCache('bench@EXAMPLE');
  for (let at = 0; at < count; at += 1000) {
    await Promise.all(Array.from({ length: Math.min(1000, count - at) }, () => ccache.storeCredentials(credential)));
  }
  return worker.pid;
}

/** A Node process that does nothing but stay. */
async function bareNode(): Promise<number> {
  const child = spawn(process.execPath, ['-e', "process.stdout.write('x'); setInterval(() => {}, 1e6)"], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await eventually(() => privateMemory(child.pid) > 0);
    return privateMemory(child.pid);
  } finally {
    child.kill();
  }
}

/** Kilobytes that are a process's own, and no file's. */
function privateMemory(pid: number | undefined): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

async function idle(pid: number | undefined, quick: boolean): Promise<string> {
  const seconds = quick ? 1 : 60;
  const before = ticks(pid);
  await delay(seconds * 1000);
  return `${(((ticks(pid) - before) * 10 * 60) / seconds).toFixed(0)} ms`;
}

/** Time on a processor in hundredths of a second, user and system. */
function ticks(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function megabytes(kilobytes: number): string {
  return `${(kilobytes / 1024).toFixed(1)} MB`;
}
