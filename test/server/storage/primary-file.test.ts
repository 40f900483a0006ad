// The file that tells libkrb5 which ccache is the default: it is written where it says something else.
import { readFileSync, statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { PrimaryFile } from '../../../server/storage/primary-file.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';

it.each([true, false])('is written for another name, and anew where it may be gone, sync = %s', (sync) => {
  const directory = temporaryDirectory(memory);
  const path = `${directory}/primary`;
  const file = new PrimaryFile(directory, sync);
  expect(file.read()).toBeUndefined();
  /** Whether the name was written; each time it is another file. */
  const write = (name: string, by = file) => {
    const before = statSync(path, { throwIfNoEntry: false })?.ino;
    by.write(name);
    expect(readFileSync(path, 'utf8')).toBe(`${name}\n`);
    return statSync(path).ino !== before;
  };
  expect([write('tkt1'), write('tkt1'), write('tkt2'), write('tkt2')]).toEqual([true, false, true, false]);
  file.forget();
  expect([write('tkt2'), write('tkt2')]).toEqual([true, false]);
  const later = new PrimaryFile(directory, sync);
  expect(later.read()).toBe('tkt2');
  expect([write('tkt2', later), write('tkt3', later)]).toEqual([false, true]);
});

it('keeps no name that could not be written', () => {
  const directory = temporaryDirectory(memory);
  const file = new PrimaryFile(`${directory}/missing`, false);
  for (let time = 0; time < 2; time++) expect(() => file.write('tkt1')).toThrow('ENOENT');
});
