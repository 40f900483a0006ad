// The README's table of settings is the code's.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { settingsTable } from '../../etc/settings.ts';
import { version } from '../../etc/version.ts';
import { operations } from '../../proto/kcm.ts';

it('names every setting once, and no other', () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const table = /\| key \| default \| meaning \|\n\| --- \| --- \| --- \|\n((?:\|.*\n)+)/.exec(readme)?.[1] as string;
  const listed = table.split('\n').flatMap((row) => row.split('|')[1]?.match(/\w+/g) ?? []);
  const inFile = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  expect(listed.sort()).toEqual(Object.keys(settingsTable).map(inFile).sort());
});

it('names every opcode of KCM that is served', () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const rows = [...readme.matchAll(/^\| (\d+) ?(?:to|,) (\d+): (.*) \| yes \|$/gm)];
  const numbers = rows.flatMap(([, from, to]) =>
    Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i),
  );
  expect(numbers).toEqual(Object.values(operations).map(({ number }) => number));
  const named = rows.flatMap(([, , , names]) => names?.match(/[A-Z]+(?:_[A-Z]+)*(?=,|$| and)/g) ?? []);
  expect(named).toHaveLength(numbers.length);
});

it('the version is that of the package', () => {
  expect(version).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version);
});
