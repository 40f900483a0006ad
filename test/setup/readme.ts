import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

/** What is to be typed that stands below a heading of the README: the lines of each paragraph of it. */
export function linesBelow(heading: string): string[][] {
  const [, text = ''] = readme.split(`\n## ${heading}\n`);
  const [section = ''] = text.split('\n## ');
  return [...section.matchAll(/(?:^ {4}\S.*\n)+/gm)].map(([block]) =>
    block
      .trimEnd()
      .split('\n')
      .map((line) => line.trim()),
  );
}

/** The transcript in the README: what is typed in it, and all that is to be seen after the first of that. */
export function transcript(): { typed: string[]; shown: string } {
  const [, text = ''] = /^```console\n(.*?)^```/ms.exec(readme) ?? [];
  const typed = [...text.matchAll(/^\$ (.*)$/gm)].map(([, line]) => line as string);
  return { typed, shown: text.replace(/^\$ .*\n/gm, '') };
}

/** What is to be typed or written in a section of a manual page: the lines of each display of it. */
export function displaysOf(page: string, section: string): string[][] {
  const text = readFileSync(join(root, 'etc/share/man', page), 'utf8');
  const [, rest = ''] = text.split(`\n.Sh ${section}\n`);
  const [own = ''] = rest.split('\n.Sh ');
  return [...own.matchAll(/^\.Bd -literal\n(.*?)^\.Ed$/gms)].map(([, lines]) =>
    (lines as string).trimEnd().split('\n'),
  );
}
