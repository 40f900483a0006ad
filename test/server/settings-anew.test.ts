// SIGHUP has a worker read its settings again; what is wrong with them leaves it as it was.
import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { uninitialised } from '../../proto/identifier.ts';
import { eventually, start } from '../setup/cleanup.ts';
import { cleanEnvironment, programs } from '../setup/programs.ts';
import { workerDirectory } from '../setup/worker.ts';
import { RawConnection } from './raw-connection.ts';

it('takes other limits over, and keeps what it has when they are wrong', async () => {
  const base = workerDirectory();
  const conf = `${base}/krb5.conf`;
  const configure = (line: string) => writeFileSync(conf, `[ccapi]\n  ${line}\n`);
  configure('max_caches = 1');
  const worker = start(process.execPath, [programs.server, `--directory=${base}`], {
    env: cleanEnvironment({ KRB5_CONFIG: conf }),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => worker.stdout?.once('close', resolve).resume());
  const connection = await RawConnection.open(`${base}/${process.getuid?.()}/S.ccapi`);
  let made = 0;
  const create = () =>
    connection.ask('contextCreateCCache', uninitialised, { name: `${made++}`, version: 2, principal: 'a@R' }).answered;
  expect([await create(), await create()]).toEqual([0, 203]);
  configure('max_caches = 3');
  worker.kill('SIGHUP');
  await eventually(async () => (await create()) === 0);
  configure('max_caches = many');
  worker.kill('SIGHUP');
  expect(await create()).toBe(0);
  for (let i = 0; i < 20; i++) expect(await create()).toBe(203);
  expect(worker.exitCode).toBeNull();
});
