import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { FRONT_DOOR } from '../../etc/config/paths.ts';
import { monotonic } from '../../etc/host/monotonic.ts';
import { ConfigError } from '../../proto/errors.ts';

/** How long a launcher may take for its answer, and to be reached at all, in milliseconds: it may have to start a worker. */
const ANSWER_DEADLINE = 25_000;
const REACH_DEADLINE = 20_000;
const LOOK_AGAIN = 50;

/** An address at which a launcher is to answer. */
export type Address = { path: string } | { host: string; port: number };

export const frontDoor: Address = { path: FRONT_DOOR };

/** What is at an address: nothing; a launcher of ours, with its answer to root; or another program. */
export type Found = { kind: 'nothing' } | { kind: 'ours'; answer: string } | { kind: 'other' };

/** Asks for root's own worker there. Source: proto/RENDEZVOUS.md. */
export function ask(address: Address): Promise<Found> {
  return new Promise((resolve) => {
    let said = '';
    const settle = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(said.startsWith('CCAPI/1 ') ? { kind: 'ours', answer: said.trimEnd() } : { kind: 'other' });
    };
    const timer = setTimeout(settle, ANSWER_DEADLINE);
    const socket = connect(address, () => socket.write('CCAPI/1 uid=0\n'));
    socket.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('\n')) settle();
    });
    socket.once('end', settle);
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED') return settle();
      clearTimeout(timer);
      resolve({ kind: 'nothing' });
    });
  });
}

/** Whether root is served there, or would be if the admin's own rules let root in. */
export function isServing(found: Found): boolean {
  return found.kind === 'ours' && /^CCAPI\/1 (ok|error code=denied) /.test(found.answer);
}

/** Waits until a launcher serves there. Throws 202 (`ccErrBadParam`) with what it answers instead. */
export async function waitUntilServing(address: Address): Promise<void> {
  const deadline = monotonic() + REACH_DEADLINE;
  for (;;) {
    const found = await ask(address);
    if (isServing(found)) return;
    if (monotonic() > deadline || found.kind === 'ours') {
      const says = found.kind === 'ours' ? found.answer : found.kind === 'other' ? 'another program' : 'no program';
      throw new ConfigError(`${describeAddress(address)}: ${says} answers; see the system log`);
    }
    await delay(LOOK_AGAIN);
  }
}

export function describeAddress(address: Address): string {
  return 'path' in address ? address.path : `${address.host}:${address.port}`;
}
