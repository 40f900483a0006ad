import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

/** What is to be typed or written that stands below a heading: the lines of each paragraph of it. */
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
