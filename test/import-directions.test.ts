// The rooms import one another in one direction only, and the lint rule that says so catches what breaks it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { temporaryDirectory } from './setup/cleanup.ts';

/** What the files of each room may import beside one another. */
const allowed: Record<string, string[]> = {
  proto: [],
  'etc/host': ['proto'],
  'etc/config': ['proto', 'etc/host'],
  server: ['proto', 'etc/host', 'etc/config', 'server/model', 'server/storage', 'server/protocols'],
  'server/model': ['proto'],
  'server/storage': ['proto', 'etc/host', 'etc/config', 'server/model'],
  'server/protocols': ['proto', 'etc/host', 'etc/config', 'server/model'],
  launcher: ['proto', 'etc/host', 'etc/config', 'launcher/setup'],
  'launcher/setup': ['proto', 'etc/host', 'etc/config', 'launcher'],
  client: ['proto', 'etc/host', 'etc/config'],
  'client/cli': ['proto', 'etc/host', 'etc/config', 'client'],
};
const rooms = Object.keys(allowed);

const probes = [
  ...rooms.flatMap((from) =>
    rooms
      .filter((to) => to !== from && to !== 'client/cli')
      .map((to) => ({
        file: `${from}/${to.replace('/', '-')}.ts`,
        module: join(relative(from, to), 'thing.ts'),
        may: allowed[from]?.includes(to),
      })),
  ),
  { file: 'proto/node.ts', module: 'node:fs', may: false },
  ...rooms.map((room) => ({ file: `${room}/neighbour.ts`, module: './thing.ts', may: true })),
].map((probe) => ({
  ...probe,
  module: /^(\.|node:)/.test(probe.module) ? probe.module : `./${probe.module}`,
  verdict: probe.may ? 'may' : 'may not',
}));

let complaints: string;

beforeAll(() => {
  const directory = temporaryDirectory();
  const configuration = JSON.parse(readFileSync('biome.json', 'utf8'));
  writeFileSync(
    join(directory, 'biome.json'),
    JSON.stringify({ ...configuration, vcs: undefined, $schema: undefined }),
  );
  const write = (file: string, module: string) => {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), `import { thing } from '${module}';\nthing();\n`);
  };
  for (const { file, module } of probes) write(file, module);
  // Two types that need each other are a circle too.
  writeFileSync(join(directory, 'proto/one.ts'), "import type { Two } from './two.ts';\nexport type One = Two;\n");
  writeFileSync(join(directory, 'proto/two.ts'), "import type { One } from './one.ts';\nexport type Two = One;\n");
  const biome = join(process.cwd(), 'node_modules/.bin/biome');
  const rules = ['--only=style/noRestrictedImports', '--only=suspicious/noImportCycles'];
  const args = ['lint', ...rules, '--reporter=github', '--max-diagnostics=none', '.'];
  complaints = spawnSync(biome, args, { cwd: directory, encoding: 'utf8' }).stdout;
});

it.each(probes)('$file $verdict import $module', ({ file, may }) => {
  expect(complaints.includes(`/${file},line=1,`)).toBe(!may);
});

it('finds a circle, of types too', () => {
  expect(complaints).toContain('/proto/one.ts,line=1,');
});
