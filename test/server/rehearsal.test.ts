// A worker that waits for its user rehearses a first request: it ends, has served both protocols, and leaves nothing open.
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CCAPISession } from '../../server/protocols/ccapi-session.ts';
import { KCMSession } from '../../server/protocols/kcm-session.ts';
import { rehearse } from '../../server/rehearsal.ts';
import { start, temporaryDirectory } from '../setup/cleanup.ts';
import { cleanEnvironment, programs } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { workerDirectory } from '../setup/worker.ts';

/** What is open, what the event loop waits for, and how many timers are set. */
const left = () => ({
  descriptors: readdirSync('/proc/self/fd').length,
  resources: process.getActiveResourcesInfo(),
  timers: vi.getTimerCount(),
});

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

describeWith(['Linux'], 'a rehearsal', () => {
  it('serves a request of each protocol, and leaves nothing behind', async () => {
    // What is loaded once, such as the calls of the C library, stays.
    await rehearse();
    const answered = [CCAPISession, KCMSession].map(({ prototype }) => vi.spyOn(prototype, 'answer'));
    const before = left();
    await rehearse();
    expect(left()).toEqual(before);
    expect(before.timers).toBe(0);
    for (const calls of answered) expect(calls).toHaveBeenCalledOnce();
  });
});

/** Has nothing that is sent arrive, and says so on descriptor 1 each time. */
const MUTE = `require('node:net').Socket.prototype.write = () => require('node:fs').writeSync(1, 'hangs\\n') === 0;`;

describeWith(['Linux'], 'a worker of which the rehearsal hangs', () => {
  const hanging = async () => {
    const mute = `${temporaryDirectory()}/mute.cjs`;
    writeFileSync(mute, MUTE);
    const args = ['--require', mute, programs.server, '--assigned', `--directory=${workerDirectory()}`];
    const worker = start(process.execPath, args, { env: cleanEnvironment(), stdio: ['pipe', 'pipe', 'ignore'] });
    const { stdin, stdout } = worker as { stdin: Writable; stdout: Readable };
    expect(String(await once(stdout, 'data'))).toBe('hangs\n');
    return { worker, stdin, stdout };
  };

  it('serves its user', async () => {
    const { stdin, stdout } = await hanging();
    stdin.end(`${JSON.stringify({ uid: process.getuid?.(), gid: process.getgid?.() })}\n`);
    expect(String(await once(stdout, 'data'))).toBe('ok\n');
  });

  it('ends with a launcher that names none', async () => {
    const { worker, stdin } = await hanging();
    stdin.end();
    expect(await once(worker, 'exit')).toEqual([0, null]);
  });
});
