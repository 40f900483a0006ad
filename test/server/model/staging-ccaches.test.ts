// A ccache that is being filled goes with the connection that fills it.
import { expect, it } from 'vitest';
import { Context } from '../../../client/index.ts';
import { stagingName } from '../../../proto/staging.ts';
import { end, eventually, memory } from '../../setup/cleanup.ts';
import { startWorker, workerDirectory } from '../../setup/worker.ts';
import { credentialFor } from './model.ts';

const contextAt = (base: string) =>
  new Context({ env: { CCAPI_DIRECTORY: base, CCAPI_PORT: '1', CCAPI_AUTOSTART: 'no', KRB5_CONFIG: '/nonexistent' } });

async function names(context: Context): Promise<string[]> {
  const found: string[] = [];
  for await (const ccache of context.ccaches()) found.push(await ccache.getName());
  return found;
}

it('and not with others, nor when it has become another', async () => {
  const base = workerDirectory(memory);
  await startWorker(base);
  await using other = contextAt(base);
  await using one = contextAt(base);
  const filled = await one.createCCache(stagingName(), 'a@R');
  await filled.storeCredentials(credentialFor('s@R'));
  const finished = await one.createNewCCache('a@R');
  // It has the name of the first, as if the unfinished one were not there.
  expect(await finished.getName()).toBe('Initial default ccache');
  await filled.move(finished);
  const unfinished = stagingName();
  await one.createCCache(unfinished, 'b@R');
  await (await other.openCCache(unfinished)).storeCredentials(credentialFor('s@R'));
  expect(await names(other)).toEqual(['Initial default ccache', unfinished]);
  await one.close();
  await eventually(async () => (await names(other)).length === 1);
  expect(await names(other)).toEqual(['Initial default ccache']);
});

it('and with a server that is killed', async () => {
  const base = workerDirectory(memory);
  const { worker } = await startWorker(base);
  await using context = contextAt(base);
  await context.createCCache('kept', 'a@R');
  await context.createCCache(stagingName(), 'b@R');
  await end(worker, 'SIGKILL');
  await startWorker(base);
  await using after = contextAt(base);
  expect(await names(after)).toEqual(['kept']);
});
