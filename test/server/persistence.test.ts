// Which file systems are memory, and which are a disk.
import { expect, it } from 'vitest';
import { checkLocal, keepsIn } from '../../server/persistence.ts';
import { memory, temporaryDirectory } from '../setup/cleanup.ts';

it('a directory of this host is taken, and keeps by itself only in memory', () => {
  const directory = temporaryDirectory(memory);
  expect(() => checkLocal(directory)).not.toThrow();
  expect([keepsIn(directory, 'auto'), keepsIn(directory, 'never'), keepsIn('/proc', 'always')]).toEqual([
    true,
    false,
    true,
  ]);
});
