// The README's figures are the measured ones, its links lead somewhere, and it is short.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, it } from 'vitest';
import { version } from '../../proto/status.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The cells of the rows of a page's tables, by the first cell of each. */
function rowsOf(text: string): Map<string, string[]> {
  const rows = [...text.matchAll(/^\| (.*) \|$/gm)].map(([, row]) => (row as string).split(' | '));
  return new Map(rows.map(([first = '', ...others]) => [first, others]));
}

/** A number as a table has it: `1,039` or `282, stopped at 437`. */
function figure(cell = ''): number {
  return Number(/^[\d,.]+\d|^\d/.exec(cell)?.[0].replaceAll(',', '') ?? Number.NaN);
}

it('is short enough to be read', () => {
  expect(read('README.md').split('\n').length).toBeLessThan(150);
});

it('has the figures of the last measurement, to three digits', () => {
  const results = read('test/bench/RESULTS.md');
  // What is measured freely scheduled has rows of the same names.
  const [onOneCore = ''] = results.split('Freely scheduled:');
  const programs = rowsOf(results.slice(results.indexOf('Whole programs')));
  const places = ['ccapi', 'sssd-kcm', "Heimdal's kcm", 'FILE', 'DIR', 'KEYRING'];
  const ofRow = (row: string[] | undefined) => Object.fromEntries(places.map((place, i) => [place, row?.[i]]));
  const ofTable = (title: string) => {
    const [, table = ''] = results.split(`| ${title}, all on one core |`);
    const rows = rowsOf(table.split('\n\n')[0] as string);
    return Object.fromEntries(places.map((place) => [place, rows.get(place)?.[0]]));
  };
  const measured: Record<string, Record<string, string | undefined>> = {
    'store among 1,000 tickets, a second': ofRow(rowsOf(onOneCore).get('store, 1,000 credentials')),
    'look up among 1,000 tickets, a second': ofRow(rowsOf(onOneCore).get('look up, 1,000 credentials')),
    'a new connection with its first reply': ofTable('new connection and first reply'),
    '`gss_init_sec_context`, the ticket there': ofTable('gss_init_sec_context with the ticket there'),
    '`curl --negotiate`, the whole program': ofTable('curl --negotiate, the whole program'),
    '`ssh` with GSSAPI, the whole program': ofTable('ssh with GSSAPI, the whole program'),
    '`klist` of 1,000 tickets': ofRow(programs.get('klist of 1,000 tickets')),
  };
  const said = rowsOf(read('README.md'));
  for (const [name, expected] of Object.entries(measured)) {
    const cells = said.get(name) ?? [];
    for (const [i, place] of ['FILE', 'KEYRING', 'sssd-kcm', "Heimdal's kcm", 'ccapi'].entries()) {
      const rounded = Number(figure(expected[place]).toPrecision(3));
      expect([name, place, cells[i] === '–' ? Number.NaN : figure(cells[i])]).toEqual([name, place, rounded]);
    }
  }
  const coldStart = rowsOf(results).get('the same under inetd, wait')?.[0];
  expect(read('README.md')).toContain(`and ${Math.round(figure(coldStart))} ms at a first \`kinit\``);
});

it.each(['README.md', 'CONTRIBUTING.md', 'ARCHITECTURE.md', 'SECURITY.md', 'client/LIBRARY.md'])(
  '%s has links to what is there',
  (page) => {
    const links = [...read(page).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)|<img src="([^"]+)"/g)].map(
      ([, link, image]) => link ?? (image as string),
    );
    expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([]);
  },
);

it('nothing that an admin installs is for PAM, which runs a program as root in an environment that the user sets', () => {
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
