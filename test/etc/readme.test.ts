// The README's table of settings is the code's.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, it } from 'vitest';
import { settingsTable } from '../../etc/config/settings.ts';
import { operations } from '../../proto/kcm.ts';
import { version } from '../../proto/status.ts';

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

it('nothing that an admin installs is for PAM, which runs a program as root in an environment that the user sets', () => {
  const root = join(import.meta.dirname, '../..');
  const offered = ['etc/share/man', 'etc/share/samples'].flatMap((directory) =>
    readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name))),
  );
  for (const name of ['README.md', ...offered]) {
    expect(readFileSync(join(root, name), 'utf8'), name).not.toMatch(/pam_exec|PAM_USER|pam\.d/);
  }
});

it('the version is that of the package', () => {
  expect(version).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version);
});
