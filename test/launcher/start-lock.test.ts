// What keeps a storm of launchers cheap.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { acquireStartLock } from '../../launcher/start-lock.ts';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

let path: string;
beforeEach(() => {
  path = `${temporaryDirectory()}/1000.lock`;
});

it('one process has it until it is given back', () => {
  const unlock = acquireStartLock(path);
  expect(unlock).toBeDefined();
  expect(acquireStartLock(path)).toBeUndefined();
  unlock?.();
  expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  expect(acquireStartLock(path)).toBeDefined();
});

it('that of a process that was killed is taken at once, and stays its new holder’s', () => {
  const { pid } = spawnSync('true');
  symlinkSync(`${pid}.1`, path);
  const unlock = acquireStartLock(path);
  expect(unlock).toBeDefined();
  expect(acquireStartLock(path)).toBeUndefined();
});

it('that of a process is taken too when another has its pid by now', () => {
  symlinkSync(`${process.pid}.1`, path);
  expect(acquireStartLock(path)).toBeDefined();
});

describeWith(['Linux'], 'its holder', () => {
  it('is named by pid and start time, also where the name of the program looks like those of /proc', () => {
    const title = process.title;
    process.title = 'a) R 1 2';
    try {
      acquireStartLock(path);
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
  const late = acquireStartLock(path);
  const held = readlinkSync(path);
  spawnSync('ln', ['-sfn', '1.1', path]);
  late?.();
  expect(readlinkSync(path)).not.toBe(held);
});

it('where it cannot be made, the system’s error says why', () => {
  expect(() => acquireStartLock('/nonexistent/1000.lock')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

it('the directory that an earlier version left as its lock is taken over; what is no lock of ours is left alone', () => {
  mkdirSync(path);
  const unlock = acquireStartLock(path);
  expect(unlock).toBeDefined();
  unlock?.();
  mkdirSync(`${path}/in it`, { recursive: true });
  expect(acquireStartLock(path)).toBeUndefined();
  expect(existsSync(`${path}/in it`)).toBe(true);
});
