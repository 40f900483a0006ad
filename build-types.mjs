// Writes the library's type declarations into dist/types, for the package.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const directory = 'dist/types';
rmSync(directory, { recursive: true, force: true });
execFileSync('node_modules/.bin/tsc', ['-p', 'tsconfig.types.json'], { stdio: 'inherit' });
for (const name of readdirSync(directory, { recursive: true })) {
  if (!name.endsWith('.d.ts')) continue;
  const path = join(directory, name);
  // A declaration is found by the name of the program beside it, which ends in .js.
  writeFileSync(path, readFileSync(path, 'utf8').replace(/(from |import\()(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2'));
}
// A program's own configuration need not name what these declarations build on.
const entry = join(directory, 'client/index.d.ts');
writeFileSync(entry, `/// <reference types="node" />\n${readFileSync(entry, 'utf8')}`);
