// krb5.conf changes behind a server that runs: config and doctor say where launcher and server go by something else.
import { renameSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { eventually, memory, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { ccapi, startLauncher } from '../setup/programs.ts';

let env: NodeJS.ProcessEnv;
let base: string;

const write = (text: string) => {
  writeFileSync(`${env.KRB5_CONFIG}.new`, `[ccapi]\n directory = ${base}\n${text}`);
  renameSync(`${env.KRB5_CONFIG}.new`, env.KRB5_CONFIG as string);
};
const lineOf = async (key: string) =>
  (await ccapi(['config'], { env })).stdout.split('\n').find((line) => line.startsWith(`${key} = `));

beforeAll(async () => {
  const directory = temporaryDirectory(memory);
  base = `${directory}/run`;
  env = { KRB5_CONFIG: `${directory}/krb5.conf` };
  write(' idle_timeout = 5m\n');
  const { port } = await startLauncher(['--launcher-idle=100', `--directory=${base}`], { env });
  env = { ...env, CCAPI_PORT: String(port), CCAPI_AUTOSTART: 'no' };
  expect((await ccapi(['path'], { env })).code).toBe(0);
});

it('config says nothing where all is the same, and names what the launcher has from its command line', async () => {
  expect(await lineOf('idle_timeout')).toMatch(/^idle_timeout = 300 +# \S+krb5\.conf:3$/);
  expect(await lineOf('launcher_idle')).toMatch(/; the launcher has "100", from --launcher-idle/);
});

it('config and doctor say where a server has not read a changed file; after SIGHUP it has', async () => {
  write(' idle_timeout = 7m\n');
  await eventually(async () => !(await lineOf('idle_timeout'))?.includes('the launcher'));
  const said = `the server has "300", from ${env.KRB5_CONFIG}:3`;
  expect(await lineOf('idle_timeout')).toMatch(/^idle_timeout = 420 /);
  expect(await lineOf('idle_timeout')).toContain(said);
  expect((await ccapi(['doctor'], { env })).stdout).toContain('the server that runs has idle_timeout = 300');
  const [server] = workersBelow(base) as [number];
  process.kill(server, 'SIGHUP');
  await eventually(async () => !(await lineOf('idle_timeout'))?.includes('the server'));
  expect((await ccapi(['doctor'], { env })).stdout).not.toContain('the server that runs has');
});

it('config says that a launcher has kept what it had where the file is wrong', async () => {
  write(' no_such_key = 1\n');
  expect((await ccapi(['config'], { env })).stderr).toContain('no_such_key');
  const fine = `${env.KRB5_CONFIG}.fine`;
  writeFileSync(fine, `[ccapi]\n directory = ${base}\n idle_timeout = 8m\n`);
  const { stdout } = await ccapi(['config', '--json'], { env: { ...env, KRB5_CONFIG: fine } });
  const [found] = JSON.parse(stdout).filter(({ key }: { key: string }) => key === 'idle_timeout');
  expect(found.running).toContainEqual({ program: 'launcher', value: '420', where: `${env.KRB5_CONFIG}:3` });
});
