// What a user waits for: programs that start, and the first reply, cold and warm.
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { askChild, askPort } from '../../client/launcher-client.ts';
import { requestFrame } from '../../proto/ccapi-codec.ts';
import { uninitialised } from '../../proto/identifier.ts';
import { end, endProgramsBelow, endWorkersBelow, start, temporaryDirectory } from '../setup/cleanup.ts';
import { isInstalled } from '../setup/debian-packages.ts';
import { startInetdFor } from '../setup/inetd.ts';
import { cleanEnvironment, programs, startLauncher } from '../setup/programs.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';
import { startEcho } from './echo.ts';
import { NOOP, sssdOnDemand } from './peers.ts';
import { interleaved, type Row } from './table.ts';

const uid = process.getuid?.() as number;

export async function startUp(rounds: number): Promise<Row[]> {
  const directory = temporaryDirectory();
  const [byChild, byLauncher] = [`${directory}/a`, `${directory}/b`];
  const { port } = await startLauncher([`--directory=${byLauncher}`]);
  const { path } = await startWorker(workerDirectory());
  const hasInetd = isInstalled('openbsd-inetd') && uid === 0;
  const inetds = hasInetd && { wait: await inetd('wait'), nowait: await inetd('nowait') };
  const behind = async (how: 'wait' | 'nowait') => {
    if (!inetds) return Number.NaN;
    const { base, port } = inetds[how];
    await endProgramsBelow(base);
    awake();
    return timed(async () => firstReply((await askPort(port, { uid })) as string));
  };
  const echo = await startEcho(`${directory}/echo`);
  const runNode = (...args: string[]) => spawnSync(process.execPath, args, { env: cleanEnvironment(), cwd: '/' });
  // A processor that has been idle takes twice as long at first: none of what is compared is to be the first.
  const awake = () => runNode('-e', '0');
  const node = (...args: string[]) => {
    awake();
    return timed(() => runNode(...args));
  };
  const child = async () =>
    firstReply(
      await askChild(
        [process.execPath, programs.launcher, `--directory=${byChild}`, '--inetd'],
        { uid },
        cleanEnvironment(),
      ),
    );
  const launcher = async () => firstReply((await askPort(port, { uid: uid })) as string);
  const bare = bareLauncher(directory);
  const samples = await interleaved(rounds, {
    empty: () => node('-e', '0'),
    emptyTwice: () => {
      awake();
      return timed(() => {
        runNode('-e', '0');
        runNode('-e', '0');
      });
    },
    launcher: () => node(programs.launcher, '--help'),
    worker: () => node(programs.server, '--help'),
    cold: async () => {
      await endProgramsBelow(byChild);
      awake();
      return timed(child);
    },
    warmChild: () => {
      awake();
      return timed(child);
    },
    coldRunningLauncher: async () => {
      await endWorkersBelow(byLauncher);
      awake();
      return timed(launcher);
    },
    warmRunningLauncher: () => timed(launcher),
    direct: () => {
      awake();
      return timed(() => firstReply(path));
    },
    echo: () => {
      awake();
      return timed(() => firstReply(echo));
    },
    wait: () => behind('wait'),
    nowait: () => behind('nowait'),
    sssd: async () => {
      const sssd = await sssdOnDemand();
      if (!sssd) return Number.NaN;
      awake();
      const time = await timed(() => firstReply(sssd.socket, NOOP));
      process.kill(sssd.pid);
      return time;
    },
    // Last: they start a worker more behind their answer, beside which nothing is to be timed.
    bareCold: () => {
      awake();
      return timed(async () => {
        const launcher = bareLauncher(directory);
        await firstReply(await launcher.ask());
        await end(launcher.child);
      });
    },
    bareRunningLauncher: () => {
      awake();
      return timed(async () => firstReply(await bare.ask()));
    },
  });
  const twice = { against: 'node -e 0, twice', baseline: samples.emptyTwice, unit: 'ms' } as const;
  const empty = { against: 'node -e 0', baseline: samples.empty, unit: 'ms' } as const;
  const ofBare = { against: 'connect and echo, bare Node', baseline: samples.echo, unit: 'ms' } as const;
  return [
    { what: 'start of the launcher', samples: samples.launcher, ...empty },
    { what: 'start of the worker', samples: samples.worker, ...empty },
    {
      what: 'cold: launcher and worker start, rendezvous, first reply',
      samples: samples.cold,
      ...twice,
      budget: 1.2,
    },
    { what: 'a launcher and a worker of ten lines', samples: samples.bareCold, ...twice },
    ...(hasInetd ? (['wait', 'nowait'] as const) : []).map((how) => ({
      what: `the same under inetd, ${how}`,
      samples: samples[how],
      ...twice,
    })),
    ...(samples.sssd.some(Number.isNaN)
      ? []
      : [{ what: 'sssd-kcm, started by its socket: first reply', samples: samples.sssd, ...empty }]),
    {
      what: 'cold, launcher runs: worker start, rendezvous, first reply',
      samples: samples.coldRunningLauncher,
      ...empty,
      budget: 0.6,
    },
    { what: 'a worker of ten lines, its launcher runs', samples: samples.bareRunningLauncher, ...empty },
    { what: 'worker runs: launcher start, rendezvous, first reply', samples: samples.warmChild, ...empty },
    { what: 'worker and launcher run: rendezvous, first reply', samples: samples.warmRunningLauncher, ...ofBare },
    { what: 'warm: connect and first reply', samples: samples.direct, ...ofBare, budget: 1.5 },
  ];
}

/** What {@link file://./bare-launch.cjs} does: nothing else is in a first request. */
function bareLauncher(directory: string): { child: ChildProcess; ask(): Promise<string> } {
  const child = start(process.execPath, [`${import.meta.dirname}/bare-launch.cjs`, 'launcher'], {
    env: cleanEnvironment(),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const { stdin, stdout } = child as { stdin: Writable; stdout: Readable };
  let asked = 0;
  const ask = async () => {
    stdin.write(`${directory}/${child.pid}.${asked++}\n`);
    const [line] = await once(stdout, 'data');
    return String(line).trim();
  };
  return { child, ask };
}

/** The real inetd, in one of the ways that it starts a launcher. */
function inetd(how: 'wait' | 'nowait') {
  return startInetdFor({ address: '127.0.0.1', wait: how === 'wait' });
}

async function timed(what: () => unknown): Promise<number> {
  const began = performance.now();
  await what();
  return performance.now() - began;
}

/** Connects, sends the smallest request there is, and waits for the reply. */
function firstReply(path: string, request = requestFrame('contextSync', uninitialised, {})): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(request));
    socket.once('error', reject);
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
  });
}
