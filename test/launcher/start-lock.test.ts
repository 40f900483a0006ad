// What keeps a storm of launchers cheap.
import { existsSync, mkdirSync, utimesSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { takeStartLock } from '../../launcher/start-lock.ts';
import { temporaryDirectory } from '../setup/cleanup.ts';

const STALE = 10_000;
let path: string;
beforeEach(() => {
  path = `${temporaryDirectory()}/1000.lock`;
});

it('one has it until it is given back', () => {
  const unlock = takeStartLock(path, STALE);
  expect(unlock).toBeDefined();
  expect(takeStartLock(path, STALE)).toBeUndefined();
  unlock?.();
  expect(existsSync(path)).toBe(false);
  expect(takeStartLock(path, STALE)).toBeDefined();
});

it('what a launcher left that was killed is taken over, and stays its new holder’s', () => {
  const late = takeStartLock(path, STALE);
  const past = new Date(Date.now() - STALE - 1000);
  utimesSync(path, past, past);
  const unlock = takeStartLock(path, STALE);
  expect(unlock).toBeDefined();
  expect(takeStartLock(path, STALE)).toBeUndefined();
  unlock?.();
  expect(() => late?.()).not.toThrow();
});

it('where it cannot be made, the system’s error says why', () => {
  expect(() => takeStartLock('/nonexistent/1000.lock', STALE)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

it('what is no lock of ours is left alone', () => {
  mkdirSync(`${path}/in it`, { recursive: true });
  const past = new Date(Date.now() - STALE - 1000);
  utimesSync(path, past, past);
  expect(takeStartLock(path, STALE)).toBeUndefined();
  expect(existsSync(`${path}/in it`)).toBe(true);
});
