// A file is replaced whole: it keeps its mode and the link to it, and leaves nothing beside it.
import { chmodSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { findUnfinished, removeFile, replaceFile } from '../../../etc/host/replace-file.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = temporaryDirectory();
  file = `${directory}/file`;
});
const mode = () => statSync(file).mode & 0o7777;

it('has the bytes and the mode that are asked for, or the mode that it had', () => {
  replaceFile(file, 'a\xff', 0o640);
  expect([readFileSync(file), mode()]).toEqual([Buffer.from([0x61, 0xff]), 0o640]);
  chmodSync(file, 0o604);
  const { ino } = statSync(file);
  replaceFile(file, 'b');
  expect([readFileSync(file, 'latin1'), mode()]).toEqual(['b', 0o604]);
  expect(statSync(file).ino).not.toBe(ino);
  expect(readdirSync(directory)).toEqual(['file']);
});

it('a link to it stays', () => {
  writeFileSync(file, 'a');
  symlinkSync('file', `${directory}/link`);
  replaceFile(`${directory}/link`, 'b');
  expect([readlinkSync(`${directory}/link`), readFileSync(file, 'utf8')]).toEqual(['file', 'b']);
});

it('what a caller that was killed has left is found, and is no obstacle', () => {
  writeFileSync(file, 'a');
  expect(findUnfinished(file)).toBeUndefined();
  writeFileSync(`${file}.ccapi-new`, 'half');
  expect(findUnfinished(file)).toBe(`${file}.ccapi-new`);
  replaceFile(file, 'b');
  expect(readdirSync(directory)).toEqual(['file']);
  removeFile(file);
  removeFile(file);
  expect(readdirSync(directory)).toEqual([]);
});

it('is gone where a file is in the place of its directory', () => {
  writeFileSync(file, 'a');
  expect(() => removeFile(`${file}/below`)).not.toThrow();
  expect(readdirSync(directory)).toEqual(['file']);
});

it('nothing is written where another user could put a link in the way', () => {
  chmodSync(directory, 0o777);
  expect(() => replaceFile(file, 'a')).toThrow(/mode 777: others can replace what is in it/);
  expect(readdirSync(directory)).toEqual([]);
});
