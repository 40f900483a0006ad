import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { settingsInForce, settingsOf, settingsReport } from '../etc/config/settings.ts';
import { socketPair } from '../etc/host/fd-passing.ts';
import type { Log } from '../etc/host/log.ts';
import { peerCredentials } from '../etc/host/peer-credentials.ts';
import { descriptorOf } from '../etc/host/socket-handle.ts';
import { requestFrame } from '../proto/ccapi-codec.ts';
import { uninitialised } from '../proto/identifier.ts';
import { Connection } from './connection.ts';
import { InputBudget } from './input-budget.ts';
import { InputSocket } from './input-socket.ts';
import { type IdleNote, Service } from './service.ts';

/** A KCM request that does nothing: its length, version 2.0, operation 0 (proto/KCM.md#requests-and-replies). */
const KCM_NOOP = Buffer.from('0000000402000000', 'hex');

const silent: Log = { info: () => {}, warning: () => {}, error: () => {}, refusal: () => {} };
const noted: IdleNote = { touch: () => {}, leavesIn: () => undefined, connections: 0 };

/** How long a rehearsal may take, in milliseconds; it takes some ten. */
const DEADLINE = 200;

/** Does what the next user then does not wait for. What of it fails or hangs costs that user time and nothing else. */
export async function prepareAhead(): Promise<void> {
  try {
    await Promise.race([rehearse(), delay(DEADLINE)]);
    collectAhead();
  } catch {
    // The user's first request is slower.
  }
}

/**
 * Has the engine collect what the start has left, as it does once its room for new objects is full: else that comes in the
 * middle of the user's first request, and takes a seventh of it.
 */
function collectAhead(): void {
  const used = () => process.memoryUsage().heapUsed;
  for (let before = 0, now = used(); now > before; now = used()) {
    before = now;
    new Array(4096).fill(0);
  }
}

/**
 * Serves a request of each protocol, with an empty collection in memory and both ends of the connection in this process: what
 * runs for the first time takes several times as long, and a worker that waits for its user has the time. Nothing is read but
 * what is written here, and nothing is left.
 */
export async function rehearse(): Promise<void> {
  const inForce = settingsInForce({ env: { KRB5_CONFIG: '/dev/null' } });
  const settings = { ...settingsOf(inForce), report: settingsReport(inForce) };
  const service = new Service('/', { ...settings, persist: 'never', renew: false }, noted, silent);
  const budget = new InputBudget(settings.maxFrame, silent);
  for (const request of [requestFrame('contextSync', uninitialised, {}), KCM_NOOP]) {
    const pair = socketPair();
    if (!pair) break;
    const [near, far] = pair.map(InputSocket.ofDescriptor) as [InputSocket, InputSocket];
    peerCredentials(descriptorOf(near));
    const connection = new Connection(near, service.openSession(), settings, budget);
    const replied = new Promise<void>((resolve) => {
      far.deliver = () => resolve();
    });
    far.write(request);
    await replied;
    far.destroy();
    connection.finish();
    await once(near, 'close');
  }
  service.shutDown();
}
