// A ccache is begun anew at any moment, as kinit does, and goes at any moment: whoever only reads is not to notice.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { credentialFor } from '../server/model.ts';
import { endProgramsBelow, temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, programs } from '../setup/programs.ts';

const directory = temporaryDirectory();
const env = { CCAPI_DIRECTORY: `${directory}/run`, CCAPI_PORT: '1' };
const context = new Context({
  env: cleanEnvironment(env),
  launcher: [process.execPath, programs.launcher, `--directory=${env.CCAPI_DIRECTORY}`],
});
let isOver = false;
let beginning: Promise<void>;

beforeAll(async () => {
  await context.createCCache('steady', 'alice@R');
  beginning = (async () => {
    while (!isOver) {
      const anew = await context.createCCache('anew', 'alice@R');
      await Promise.all(Array.from({ length: 20 }, (_, i) => anew.storeCredentials(credentialFor(`${i}@R`))));
      const passing = await context.createCCache('passing', 'bob@R');
      await passing.storeCredentials(credentialFor('s@R'));
      await passing.destroy();
    }
  })();
});
afterAll(async () => {
  isOver = true;
  await beginning;
  await context.close();
  await endProgramsBelow(directory);
});

it.each([
  ['list', ['list', '-c', 'anew', '--json']],
  ['list -A', ['list', '-A', '--json']],
  ['list -l', ['list', '-l']],
  ['export', ['export', '-c', 'anew', `FILE:${directory}/file`]],
  [
    'copy --all',
    ['copy', '--all', '.', `exec:env CCAPI_DIRECTORY=${directory}/other ${process.execPath} ${programs.ccapi} connect`],
  ],
  ['purge', ['purge']],
  ['status', ['status', '--json']],
])('%s', async (_, args) => {
  for (let round = 0; round < 15; round++) {
    const { code, stderr } = await ccapi(args, { env });
    expect([code, stderr]).toEqual([0, '']);
  }
});
