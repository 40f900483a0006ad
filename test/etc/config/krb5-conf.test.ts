import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { krb5ConfPaths, readSection } from '../../../etc/config/krb5-conf.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';

let directory: string;
beforeEach(() => {
  directory = temporaryDirectory();
});

function write(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const values = (...paths: string[]) => readSection(paths, 'ccapi').map(({ key, value }) => `${key}=${value}`);

describe('a krb5.conf', () => {
  it('gives the relations of the section, with where they stand', () => {
    const path = write(
      'a',
      '[libdefaults]\n  port = 1\n[ccapi]\n\n  port = 789\n\tdirectory=/run/ccapi\n[realms]\n port = 2\n',
    );
    expect(readSection([path], 'ccapi')).toEqual([
      { key: 'port', value: '789', file: path, line: 5 },
      { key: 'directory', value: '/run/ccapi', file: path, line: 6 },
    ]);
  });

  it('has comments on lines of their own, and none behind a value', () => {
    expect(values(write('a', '[ccapi]\n# a = 1\n  ; b = 2\nc = 3 # not a comment ; nor this\n'))).toEqual([
      'c=3 # not a comment ; nor this',
    ]);
  });

  it('may say anything before its first section', () => {
    expect(values(write('a', 'whatever this is\nport = 1\n[ccapi]\nport = 2\n'))).toEqual(['port=2']);
  });

  it('has values in quotes, with escapes', () => {
    expect(values(write('a', '[ccapi]\na = "x # y \\" \\t z"  \nb = x"y\n'))).toEqual(['a=x # y " \t z', 'b=x"y']);
  });

  it('may nest sections that are not ours, with the brace on the next line too', () => {
    const text =
      '[realms]\n A = {\n  port = 1\n  x = {\n   y = 1\n  }\n }\n B =\n {\n  kdc = k\n }\n[ccapi]\nport = 2\n';
    expect(values(write('a', text))).toEqual(['port=2']);
  });

  it('may open a section twice', () => {
    expect(values(write('a', '[ccapi]\na = 1\n[x]\n[ccapi]\na = 2\nb = 3\n'))).toEqual(['a=1', 'a=2', 'b=3']);
  });

  it('may come with a byte order mark and with carriage returns', () => {
    expect(values(write('a', '\ufeff[ccapi]\r\na = 1\r\n'))).toEqual(['a=1']);
  });

  it('may name modules, which are none of our business', () => {
    expect(values(write('a', 'module /usr/lib/x.so:y\n[ccapi]\na = 1\n'))).toEqual(['a=1']);
  });

  it.each([
    ['[ccapi\n', 1, 'not of the form [name]'],
    ['[ccapi]\nport 789\n', 2, 'key = value'],
    ['[ccapi]\nmy port = 789\n', 2, 'key = value'],
    ['[ccapi]\n= 789\n', 2, 'key = value'],
    ['[a]\n}\n', 2, '"}" too many'],
    ['[a]\nb = {\n[ccapi]\n', 3, 'inside of braces'],
    ['[a]\nb =\nc = 1\n', 3, '"{" is missing'],
  ])('%j is refused, naming line %i', (text, line, what) => {
    const path = write('bad', text);
    expect(() => values(path)).toThrow(
      expect.objectContaining({ code: 202, message: expect.stringContaining(`${path}:${line}: `) }),
    );
    expect(() => values(path)).toThrow(what);
  });
});

describe('a list of files', () => {
  it('is cut at its colons, and is /etc/krb5.conf where nothing is said', () => {
    expect(krb5ConfPaths({ KRB5_CONFIG: '/a:/b:' })).toEqual(['/a', '/b']);
    expect(krb5ConfPaths({})).toEqual(['/etc/krb5.conf']);
  });

  it('gives what the first says before what the second says', () => {
    const [first, second] = [write('a', '[ccapi]\na = 1\n'), write('b', '[ccapi]\na = 2\nb = 3\n')];
    expect(values(first, second)).toEqual(['a=1', 'a=2', 'b=3']);
  });

  it('passes over a file that is missing', () => {
    expect(values(join(directory, 'missing'), write('a', '[ccapi]\na = 1\n'))).toEqual(['a=1']);
  });

  it('ends for a key at its final star', () => {
    const [first, second] = [write('a', '[ccapi]\na* = 1\n'), write('b', '[ccapi]\na = 2\nb = 3\n')];
    expect(values(first, second)).toEqual(['a=1', 'b=3']);
  });

  it('ends for the section at its final star', () => {
    const [first, second] = [write('a', '[ccapi]*\na = 1\n'), write('b', '[ccapi]\nb = 3\n')];
    expect(values(first, second)).toEqual(['a=1']);
  });

  it('may have a directory in it', () => {
    mkdirSync(join(directory, 'd'));
    write('d/one', '[ccapi]\na = 1\n');
    expect(values(join(directory, 'd'))).toEqual(['a=1']);
  });
});

describe('an include', () => {
  it('stands for the file, and ends its section', () => {
    const included = write('b', '[ccapi]\nb = 2\n');
    expect(values(write('a', `[ccapi]\na = 1\ninclude ${included}\nc = 3\n`))).toEqual(['a=1', 'b=2', 'c=3']);
  });

  it('of a directory stands for the files of it that are named like configuration', () => {
    mkdirSync(join(directory, 'd'));
    for (const name of ['b', 'a.conf', 'c-d_1', 'x.rpmsave', '.hidden.conf', 'e.conf~']) {
      write(`d/${name}`, `[ccapi]\nfrom = ${name}\n`);
    }
    mkdirSync(join(directory, 'd/subdirectory'));
    expect(values(write('a', `includedir ${directory}/d\n`))).toEqual(['from=a.conf', 'from=b', 'from=c-d_1']);
  });

  it('of what is not there is an error that names the line', () => {
    const path = write('a', `[ccapi]\ninclude ${directory}/missing\n`);
    expect(() => values(path)).toThrow(`${path}:2: ${directory}/missing cannot be read`);
    const other = write('b', `includedir ${directory}/missing\n`);
    expect(() => values(other)).toThrow(`${other}:1: ${directory}/missing cannot be read`);
  });

  it('of itself is an error and not the end of the stack', () => {
    expect(() => values(write('a', `include ${directory}/a\n`))).toThrow('include one another');
  });
});
