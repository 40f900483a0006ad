// How many workers a user may have, where each login session has its own.
import { expect, it } from 'vitest';
import { memory, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { sendBytes, startLauncher } from '../setup/programs.ts';

it('are max_sessions at the most, and those that are there are found on', async () => {
  const base = `${temporaryDirectory(memory)}/run`;
  const { port } = await startLauncher([`--directory=${base}`, '--scope=session', '--max-sessions=2']);
  const ask = (session: string) =>
    sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${process.getuid?.()} session=${session}\n`);
  for (const session of ['a', 'b']) expect(await ask(session)).toContain(`/s.${session}/S.ccapi`);
  expect(await ask('c')).toMatch(/error code=session message=uid \d+ has 2 sessions with a worker: max_sessions/);
  expect(await ask('a')).toContain('/s.a/S.ccapi');
  expect(workersBelow(base)).toHaveLength(2);
});
