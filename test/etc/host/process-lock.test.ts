// What keeps a storm of launchers cheap, and one set-up of a machine at a time.
import { spawnSync } from 'node:child_process';
import fs, { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { beforeEach, expect, it, vi } from 'vitest';
import { acquireProcessLock } from '../../../etc/host/process-lock.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';
import { describeWith } from '../../setup/requirements.ts';

let path: string;
beforeEach(() => {
  path = `${temporaryDirectory()}/1000.lock`;
});

it('one process has it until it is given back', () => {
  const unlock = acquireProcessLock(path);
  expect(unlock).toBeDefined();
  expect(acquireProcessLock(path)).toBeUndefined();
  unlock?.();
  expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  expect(acquireProcessLock(path)).toBeDefined();
});

it('that of a process that was killed is taken at once, and stays its new holder’s', () => {
  const { pid } = spawnSync('true');
  symlinkSync(`${pid}.1`, path);
  const unlock = acquireProcessLock(path);
  expect(unlock).toBeDefined();
  expect(acquireProcessLock(path)).toBeUndefined();
});

it('that of a process is taken too when another has its pid by now', () => {
  symlinkSync(`${process.pid}.1`, path);
  expect(acquireProcessLock(path)).toBeDefined();
});

describeWith(['Linux'], 'its holder', () => {
  it('is named by pid and start time, also where the name of the program looks like those of /proc', () => {
    const title = process.title;
    process.title = 'a) R 1 2';
    try {
      acquireProcessLock(path);
    } finally {
      process.title = title;
    }
    // Source: proc_pid_stat(5), field 22; the second field ends with the last parenthesis.
    const fields = readFileSync('/proc/self/stat', 'latin1')
      .replace(/^.*\) /s, '1 2 ')
      .split(' ');
    expect(readlinkSync(path)).toBe(`${process.pid}.${fields[22 - 1]}`);
  });
});

it('a holder that gives it back late leaves the next one’s alone', () => {
  const late = acquireProcessLock(path);
  const held = readlinkSync(path);
  spawnSync('ln', ['-sfn', '1.1', path]);
  late?.();
  expect(readlinkSync(path)).not.toBe(held);
});

it('where it cannot be made, the system’s error says why', () => {
  expect(() => acquireProcessLock('/nonexistent/1000.lock')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

it('the directory that an earlier version left as its lock is taken over; what is no lock of ours is left alone', () => {
  mkdirSync(path);
  const unlock = acquireProcessLock(path);
  expect(unlock).toBeDefined();
  unlock?.();
  mkdirSync(`${path}/in it`, { recursive: true });
  expect(acquireProcessLock(path)).toBeUndefined();
  expect(existsSync(`${path}/in it`)).toBe(true);
});

it('two that have found it stale: the slower one leaves that of the faster alone', () => {
  symlinkSync('1.1', path);
  let faster: (() => void) | undefined;
  const read = vi.spyOn(fs, 'readlinkSync').mockImplementationOnce(() => {
    faster = acquireProcessLock(path);
    return '1.1';
  });
  syncBuiltinESMExports();
  try {
    expect(acquireProcessLock(path)).toBeUndefined();
  } finally {
    read.mockRestore();
    syncBuiltinESMExports();
  }
  expect(faster).toBeDefined();
  expect(readlinkSync(path)).toMatch(`${process.pid}.`);
});
