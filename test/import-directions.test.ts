// The rooms import one another in one direction only, and the lint rule that says so does catch who does not.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { temporaryDirectory } from './setup/cleanup.ts';

const allowed: Record<string, string[]> = {
  proto: [],
  etc: ['proto'],
  server: ['proto', 'etc'],
  launcher: ['proto', 'etc'],
  client: ['proto', 'etc'],
};
const rooms = Object.keys(allowed);

const probes = [
  ...rooms.flatMap((from) =>
    rooms
      .filter((to) => to !== from)
      .map((to) => ({ file: `${from}/${to}.ts`, module: `../${to}/thing.ts`, may: allowed[from]?.includes(to) })),
  ),
  { file: 'client/cli/server.ts', module: '../../server/thing.ts', may: false },
  { file: 'client/cli/proto.ts', module: '../../proto/thing.ts', may: true },
  { file: 'server/storage/proto.ts', module: '../../proto/thing.ts', may: true },
  { file: 'server/storage/etc.ts', module: '../../etc/thing.ts', may: true },
  { file: 'server/storage/model.ts', module: '../collection.ts', may: true },
  { file: 'server/storage/protocol.ts', module: '../ccapi-session.ts', may: false },
  { file: 'server/storage/launcher.ts', module: '../../launcher/thing.ts', may: false },
  { file: 'proto/host.ts', module: 'node:fs', may: false },
  ...rooms.map((room) => ({ file: `${room}/neighbour.ts`, module: './thing.ts', may: true })),
].map((probe) => ({ ...probe, verdict: probe.may ? 'may' : 'may not' }));

let complaints: string;

beforeAll(() => {
  const directory = temporaryDirectory();
  const configuration = JSON.parse(readFileSync('biome.json', 'utf8'));
  writeFileSync(
    join(directory, 'biome.json'),
    JSON.stringify({ ...configuration, vcs: undefined, $schema: undefined }),
  );
  for (const { file, module } of probes) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), `import { thing } from '${module}';\nthing();\n`);
  }
  const biome = join(process.cwd(), 'node_modules/.bin/biome');
  const args = ['lint', '--only=style/noRestrictedImports', '--reporter=github', '--max-diagnostics=none', '.'];
  complaints = spawnSync(biome, args, { cwd: directory, encoding: 'utf8' }).stdout;
});

it.each(probes)('$file $verdict import $module', ({ file, may }) => {
  expect(complaints.includes(`/${file},line=1,`)).toBe(!may);
});
