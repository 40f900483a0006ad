// Rules in krb5.conf send a client elsewhere, and path --explain says which did.
import { writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, freePort, startLauncher } from '../setup/programs.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';

const uid = process.getuid?.() as number;
let here: string;
let there: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  const [usual, other] = [workerDirectory(), workerDirectory()];
  [{ path: here }, { path: there }] = await Promise.all([startWorker(usual), startWorker(other)]);
  const krb5Conf = `${temporaryDirectory()}/krb5.conf`;
  const rules = [`redirect = ${uid + 1} unix:///nowhere`, `redirect = service:imap unix:///gone,unix://${there}`];
  writeFileSync(krb5Conf, ['[ccapi]', `directory = ${usual}`, ...rules, ''].join('\n'));
  env = { KRB5_CONFIG: krb5Conf, CCAPI_AUTOSTART: 'no', CCAPI_PORT: String(await freePort()) };
});

it('a client that no rule matches goes the usual way', async () => {
  expect((await ccapi(['path'], { env })).stdout).toBe(`${here}\n`);
  expect((await ccapi(['path', '--explain'], { env })).stdout.split('\n')).toEqual([
    `redirect = ${uid + 1} unix:///nowhere: does not mean uid ${uid}`,
    `redirect = service:imap unix:///gone,unix://${there}: does not mean uid ${uid}`,
    `${here}: a server listens`,
    here,
    '',
  ]);
});

it('a program says which service it is', async () => {
  await using context = new Context({ env, service: 'imap' });
  expect(await context.getServerPath()).toBe(there);
  const { stdout } = await ccapi(['path', '--explain'], { env: { ...env, CCAPI_SERVICE: 'imap' } });
  expect(stdout.split('\n')).toEqual([
    `redirect = ${uid + 1} unix:///nowhere: does not mean uid ${uid}, service imap`,
    `redirect = service:imap unix:///gone,unix://${there}: means uid ${uid}, service imap`,
    'unix:///gone: /gone: ENOENT',
    `unix://${there}: a server answers`,
    there,
    '',
  ]);
});

it('what the environment says of the server goes before the rules, and the first rule before the others', async () => {
  const both = { ...env, CCAPI_SERVICE: 'imap', CCAPI_SERVER: `unix://${here}` };
  expect((await ccapi(['path', '--explain'], { env: both })).stdout).toContain(`server = unix://${here}\n`);
  const rules = `* ., service:imap unix://${there}`;
  const first = { ...env, CCAPI_SERVICE: 'imap', CCAPI_REDIRECT: '* .' };
  expect((await ccapi(['path'], { env: first })).stdout).toBe(`${here}\n`);
  expect((await ccapi(['path'], { env: { ...env, CCAPI_REDIRECT: rules } })).stderr).toContain('CCAPI_REDIRECT: "* .,');
});

it('says what launchers answer, and by which rule one refuses', async () => {
  const base = `${temporaryDirectory()}/run`;
  const { port } = await startLauncher([`--directory=${base}`]);
  const alone = { KRB5_CONFIG: '/nonexistent', CCAPI_AUTOSTART: 'no', CCAPI_DIRECTORY: base, CCAPI_PORT: String(port) };
  expect((await ccapi(['path', '--explain'], { env: alone })).stdout.split('\n')).toEqual([
    `${base}/${uid}/S.ccapi: no server listens`,
    `launcher on port ${port}: answers ${base}/${uid}/S.ccapi`,
    `${base}/${uid}/S.ccapi`,
    '',
  ]);
  const refusing = await startLauncher([`--directory=${base}/other`, `--deny=${uid}`]);
  const refused = { ...alone, CCAPI_DIRECTORY: `${base}/other`, CCAPI_PORT: String(refusing.port) };
  expect((await ccapi(['path', '--explain'], { env: refused })).stdout.split('\n')).toEqual([
    `${base}/other/${uid}/S.ccapi: no server listens`,
    `launcher on port ${refusing.port}: uid ${uid} is not served: deny = ${uid}`,
    '',
  ]);
});
