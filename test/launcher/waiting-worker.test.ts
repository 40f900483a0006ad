// A started worker that waits for its user: what it is told, what it may answer, and that it ends where it is of no use.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { WaitingWorker } from '../../launcher/waiting-worker.ts';
import { MAX_ANSWER } from '../../proto/assignment.ts';
import { start as startProgram } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

const user = { uid: process.getuid?.() as number, gid: process.getgid?.() as number, name: 'alice' };

/** What stays until a signal ends it. */
const STAY = 'exec sleep 1000';

afterEach(() => void vi.useRealTimers());

/** A shell's script in a worker's place, with `tellsPid` as one of systemd's: it tells its process id itself. */
function start(script: string, { tellsPid = false, told = {} } = {}): { worker: WaitingWorker; child: ChildProcess } {
  const child = startProgram('/bin/sh', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] });
  const exited = once(child, 'exit').then(() => {});
  const { stdin: input, stdout: output } = child as ChildProcess & { stdin: NodeJS.WritableStream };
  const pid = tellsPid ? undefined : child.pid;
  const worker = new WaitingWorker({ input: input as never, output: output as never, pid, exited }, [], told);
  return { worker, child };
}

it('is told its user and what else it is to know, in one line', async () => {
  const { worker } = start('read -r line; printf "error %s|%s\\n" "$line" "$(cat)"', {
    told: { args: ['--persist=no'] },
  });
  const line = JSON.stringify({ ...user, args: ['--persist=no'] });
  await expect(worker.assign(user, 60_000)).rejects.toThrow(
    `the worker of uid ${user.uid} could not be started: ${line}|`,
  );
});

it.each([
  ['at once', 'echo ok'],
  ['in pieces', 'printf o; sleep 0; printf "k\\n"'],
  ['before it is told', 'echo ok; read -r line'],
  ['behind its process id', 'echo "pid $$"; read -r line; echo ok'],
  ['with more behind it', 'printf "ok\\n%1000s" x'],
])('becomes its user’s where it answers ok %s, stays, and is no other’s', async (_, script) => {
  const { worker, child } = start(`${script}; ${STAY}`, { tellsPid: script.includes('pid') });
  await worker.assign(user, 60_000);
  await expect(worker.assign({ ...user, uid: 5 }, 60_000)).rejects.toThrow(`that of uid ${user.uid}`);
  expect(child.exitCode).toBeNull();
  expect(child.signalCode).toBeNull();
  worker.end();
  await worker.exited;
});

it.each([
  ['says why it does not serve', `echo "error no room"; ${STAY}`, 'no room'],
  ['says something else', `echo okay; ${STAY}`, 'okay'],
  ['says nothing and ends', 'exit 0', 'it ended at once'],
  ['ends in the middle of its answer', 'printf ok', 'it ended at once'],
  ['says too much', `printf "%${MAX_ANSWER}s" x; ${STAY}`, `its answer is longer than ${MAX_ANSWER} bytes`],
])('is ended where it %s', async (_, script, why) => {
  const { worker } = start(script);
  await expect(worker.assign(user, 60_000)).rejects.toMatchObject({
    code: 'worker',
    message: `the worker of uid ${user.uid} could not be started: ${why}`,
  });
  await worker.exited;
});

it('is not told its user in vain where it has ended before', async () => {
  const { worker, child } = start('exit 0');
  await once(child, 'close');
  await expect(worker.assign(user, 60_000)).rejects.toThrow('it ended at once');
});

it('has nothing waited for once it has answered', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { worker } = start(`echo ok; ${STAY}`);
  await worker.assign(user, 60_000);
  expect(vi.getTimerCount()).toBe(0);
  worker.end();
  await worker.exited;
});

it('tells no other process id than the one it was started with', async () => {
  const other = startProgram('/bin/sh', ['-c', STAY]);
  const { worker, child } = start(`echo "pid ${other.pid}"; echo ok; ${STAY}`);
  await expect(worker.assign(user, 60_000)).rejects.toThrow(`: pid ${other.pid}`);
  await worker.exited;
  expect(child.signalCode).toBe('SIGKILL');
  expect(other.kill(0)).toBe(true);
});

it('is ended where it does not answer in time', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { worker } = start(STAY);
  const assigned = worker.assign(user, 20_000);
  const refused = expect(assigned).rejects.toThrow('it did not answer within 20 s');
  vi.advanceTimersByTime(20_000);
  await refused;
  await worker.exited;
});

it('may answer as much as the limit, but for its process id', async () => {
  const { worker } = start(`echo "pid $$"; read -r line; printf "%${MAX_ANSWER - 1}s\\n" x; ${STAY}`, {
    tellsPid: true,
  });
  await expect(worker.assign(user, 60_000)).rejects.toThrow(/: {511}x$/);
});

it('may say no more than that before it is told its user either', async () => {
  const output = new PassThrough();
  const worker = new WaitingWorker(
    { input: new PassThrough(), output, pid: undefined, exited: once(output, 'close').then(() => {}) },
    [],
  );
  for (const piece of ['x'.repeat(MAX_ANSWER), '\n']) {
    output.write(piece);
    await nextTurn();
  }
  await expect(worker.assign(user, 60_000)).rejects.toThrow(`its answer is longer than ${MAX_ANSWER} bytes`);
  output.destroy();
});

it('leaves by the end of its input while it waits, and by the process id that it has told', async () => {
  const waiting = start('cat', { tellsPid: true });
  waiting.worker.end();
  await waiting.worker.exited;
  const told = start(`echo "pid $$"; read -r line; echo ok; ${STAY}`, { tellsPid: true });
  await told.worker.assign(user, 60_000);
  told.worker.end();
  await told.worker.exited;
  expect(told.child.signalCode).toBe('SIGKILL');
});

it('is not ended once it has ended: its process id may be another program’s', async () => {
  const other = startProgram('/bin/sh', ['-c', STAY]);
  const output = new PassThrough();
  const worker = new WaitingWorker({ input: new PassThrough(), output, pid: other.pid, exited: Promise.resolve() }, []);
  await worker.exited;
  worker.end();
  other.kill('SIGTERM');
  expect(await once(other, 'exit')).toEqual([null, 'SIGTERM']);
});

describeWith(['root'], 'the worker of another user', () => {
  it('is ended also where it has not become that user’s yet', async () => {
    const { worker, child } = start(`read -r line; echo ok; ${STAY}`);
    await worker.assign({ ...user, uid: 50_001 }, 60_000);
    worker.end();
    await worker.exited;
    expect(child.signalCode).toBe('SIGKILL');
  });

  it('is not ended where a third user’s process has its id by now', async () => {
    const other = startProgram('/bin/sh', ['-c', STAY], { uid: 50_002, gid: 50_002 });
    const { worker } = start(`echo "pid ${other.pid}"; read -r line; echo ok; ${STAY}`, { tellsPid: true });
    await worker.assign({ ...user, uid: 50_001 }, 60_000);
    worker.end();
    other.kill('SIGTERM');
    expect(await once(other, 'exit')).toEqual([null, 'SIGTERM']);
  });
});
