// What a launcher tells systemd, so that one that stands still is started again.
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startWatchdog } from '../../launcher/watchdog.ts';
import { eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

describeWith(['Linux', 'socat'], 'the watchdog', () => {
  /** A socket as systemd has it, and what it was told so far. */
  const listenAsSystemd = async () => {
    const path = `${temporaryDirectory()}/notify`;
    const told: string[] = [];
    const receiver = start('/usr/bin/socat', ['-u', `UNIX-RECV:${path}`, 'STDOUT'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    receiver.stdout?.on('data', (chunk: Buffer) => told.push(...(String(chunk).match(/[A-Z]+=[^A-Z]+/g) ?? [])));
    await eventually(() => existsSync(path));
    return { path, told };
  };

  it('is told again and again, and no child is asked to', async () => {
    const { path, told } = await listenAsSystemd();
    const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '100000', WATCHDOG_PID: String(process.pid), PATH: '/bin' };
    startWatchdog(env);
    expect(env).toEqual({ PATH: '/bin' });
    await eventually(() => told.length > 5);
    expect(new Set(told)).toEqual(new Set(['WATCHDOG=1']));
  });

  it('is told nothing where another process is asked to, or none', async () => {
    const other = await listenAsSystemd();
    const none = await listenAsSystemd();
    const own = await listenAsSystemd();
    startWatchdog({ NOTIFY_SOCKET: other.path, WATCHDOG_USEC: '100000', WATCHDOG_PID: '1' });
    startWatchdog({ NOTIFY_SOCKET: none.path });
    startWatchdog({ NOTIFY_SOCKET: own.path, WATCHDOG_USEC: '100000' });
    await eventually(() => own.told.length > 5);
    expect([other.told, none.told]).toEqual([[], []]);
  });
});
