// Which file systems are memory, and which are a disk.
import { expect, it } from 'vitest';
import { checkLocal, isPersistent } from '../../server/worker-directory.ts';
import { memory, temporaryDirectory } from '../setup/cleanup.ts';

it('a directory of this host is taken, and keeps by itself only in memory', () => {
  const directory = temporaryDirectory(memory);
  expect(() => checkLocal(directory)).not.toThrow();
  expect([isPersistent(directory, 'auto'), isPersistent(directory, 'never'), isPersistent('/proc', 'always')]).toEqual([
    true,
    false,
    true,
  ]);
});
