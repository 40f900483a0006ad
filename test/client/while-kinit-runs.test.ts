// A ccache is begun anew at any moment, as kinit does, and goes at any moment: a reader is not to notice.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { credentialFor } from '../server/model/model.ts';
import { endProgramsBelow, temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, programs } from '../setup/programs.ts';

const directory = temporaryDirectory();
const env = { CCAPI_DIRECTORY: `${directory}/run`, CCAPI_PORT: '1' };
const context = new Context({
  env: cleanEnvironment(env),
  launcher: [process.execPath, programs.launcher, `--directory=${env.CCAPI_DIRECTORY}`],
});
/** How many requests the resetting client makes between two beginnings. */
const USES = 300;

let isOver = false;
let beginning: Promise<void>;

beforeAll(async () => {
  await context.createCCache('steady', 'alice@R');
  beginning = (async () => {
    for (let round = 0; !isOver; round++) {
      const client = round % 2 === 0 ? 'alice@R' : 'bob@R';
      const anew = await context.createCCache('anew', client);
      await Promise.all(Array.from({ length: 20 }, (_, i) => anew.storeCredentials(credentialOf(client, `${i}@R`))));
      const passing = await context.createCCache('passing', client);
      await passing.storeCredentials(credentialOf(client, 's@R'));
      await passing.destroy();
      // What was fetched is used before it is fetched again, else no client could ever read it.
      for (let use = 0; use < USES; use++) await anew.getName();
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
  ['list -A', ['list', '-A', '--json']],
  ['list -l', ['list', '-l']],
  ['export', ['export', '-c', 'anew', `FILE:${directory}/file`]],
  [
    'copy --all',
    ['copy', '--all', '.', `exec:env CCAPI_DIRECTORY=${directory}/other ${process.execPath} ${programs.ccapi} connect`],
  ],
  ['purge', ['purge']],
])('%s', async (_, args) => {
  for (let round = 0; round < 15; round++) {
    const { code, stderr } = await ccapi(args, { env });
    expect([code, stderr]).toEqual([0, '']);
  }
});

it('shows the credentials of one principal with that principal', async () => {
  for (let round = 0; round < 15; round++) {
    const { code, stdout, stderr } = await ccapi(['list', '-c', 'anew', '--json'], { env });
    expect([code, stderr]).toEqual([0, '']);
    const [{ principal, credentials }] = JSON.parse(stdout);
    for (const { client } of credentials) expect(client).toBe(principal);
  }
});

function credentialOf(client: string, server: string) {
  return { ...credentialFor(server), client };
}
