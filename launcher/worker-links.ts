import type { Socket } from 'node:net';
import { LINK_SOCKET_NAME, SOCKET_NAME } from '../etc/config/paths.ts';
import { canSendDescriptors } from '../etc/host/fd-passing.ts';
import { peerCredentials } from '../etc/host/peer-credentials.ts';
import { descriptorOf } from '../etc/host/socket-handle.ts';
import type { WorkerKey } from '../proto/rendezvous.ts';
import { WaitingConnections } from './waiting-connections.ts';
import { LinkRefused, WorkerLink } from './worker-link.ts';

/** How often the same worker has to refuse a link until it makes none: one that is being killed refuses it too. */
const ENOUGH_REFUSALS = 3;

/**
 * How many links that are over may still be kept open by processes of a uid. What these have not received counts as on its
 * way for the launcher, and the kernel allows that only so often for all of them together.
 */
const MOST_HELD = 4;

/** How many connections of a uid the launcher itself carries to a worker without links: it is meant for an upgrade. */
const MOST_JOINED = 16;

/** What links need of the launcher. */
interface LinkOptions {
  /** Sees to it that a worker listens. */
  socketOf(key: WorkerKey): Promise<string>;
  /** A connection to one of the sockets of a worker, made with the rights of its uid, with a listener for its errors. */
  connectTo(key: WorkerKey, name: string): Promise<Socket>;
}

/** The links to the workers of all users: each is made once, checked once, and used until it ends. */
export class WorkerLinks {
  /** The connections that wait for one. */
  readonly waiting = new WaitingConnections();
  readonly #options: LinkOptions;
  readonly #links = new Map<string, WorkerLink>();
  readonly #opening = new Map<string, Promise<WorkerLink | undefined>>();
  /** Links that are over, by the uid of the worker, of which the other end may still be open. */
  readonly #over = new Map<number, WorkerLink[]>();
  /** Workers that have refused a link, by their process id: others may come in their places at any time. */
  readonly #refused = new Map<string, { pid: number; times: number }>();
  readonly #joined = new Map<number, number>();
  /** Counts {@link close}: what was decided before it does not hold after it. */
  #generation = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** The link to a worker, if there is one. */
  find(key: WorkerKey): WorkerLink | undefined {
    const link = this.#links.get(nameOf(key));
    return link?.isOpen ? link : undefined;
  }

  /**
   * Makes the link, and starts the worker if none runs; undefined where this worker, or this machine, has no links.
   * Rejects with {@link LinkRefused} or the system's error where the worker has just left.
   */
  make(key: WorkerKey): Promise<WorkerLink | undefined> {
    const name = nameOf(key);
    let opening = this.#opening.get(name);
    if (!opening) {
      opening = this.#open(key, name).finally(() => this.#opening.delete(name));
      this.#opening.set(name, opening);
    }
    return opening;
  }

  /** A connection to the worker's socket, for a single one of the front door's. Rejects where the uid has too many. */
  async join({ uid, session }: WorkerKey): Promise<Socket> {
    const count = this.#joined.get(uid) ?? 0;
    if (count >= MOST_JOINED) throw new Error(`its worker makes no link, and ${count} connections are carried to it`);
    this.#joined.set(uid, count + 1);
    const leave = () => this.#joined.set(uid, (this.#joined.get(uid) ?? 1) - 1);
    try {
      const { socket } = await this.#connect({ uid, session }, SOCKET_NAME);
      return socket.once('close', leave);
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Ends all links, as where the settings have changed. What was sent over them may still be taken. */
  close(): void {
    this.#generation++;
    for (const link of this.#links.values()) link.close();
  }

  async #open(key: WorkerKey, name: string): Promise<WorkerLink | undefined> {
    const generation = this.#generation;
    await this.#options.socketOf(key);
    if (!canSendDescriptors()) return undefined;
    this.#retire(key.uid, name);
    let worker = -1;
    const connect = async () => {
      const { socket, pid } = await this.#connect(key, LINK_SOCKET_NAME);
      worker = pid;
      return socket;
    };
    try {
      const link = await WorkerLink.open(connect);
      this.#links.set(name, link);
      if (generation === this.#generation) return link;
      link.close();
    } catch (error) {
      if (!(error instanceof LinkRefused)) throw error;
      const before = this.#refused.get(name);
      const times = before?.pid === worker ? before.times + 1 : 1;
      this.#refused.set(name, { pid: worker, times });
      if (times < ENOUGH_REFUSALS) throw error;
      return undefined;
    }
    throw new LinkRefused('the settings have changed');
  }

  /** Puts the last link aside. Throws where too many that are over are still kept open. */
  #retire(uid: number, name: string): void {
    const last = this.#links.get(name);
    const held = [...(this.#over.get(uid) ?? []), ...(last ? [last] : [])].filter((link) => link.isHeld);
    this.#links.delete(name);
    if (held.length > 0) this.#over.set(uid, held);
    else this.#over.delete(uid);
    if (held.length < MOST_HELD) return;
    throw new Error(`its worker keeps ${held.length} links open that are over, with what it has not taken`);
  }

  /** Nothing goes to a worker before the kernel says that it is that uid's. */
  async #connect(key: WorkerKey, name: string): Promise<{ socket: Socket; pid: number }> {
    const { uid } = key;
    const socket = await this.#options.connectTo(key, name);
    const peer = peerCredentials(descriptorOf(socket));
    if (socket.destroyed)
      throw Object.assign(new Error('ECONNRESET: the worker has just left'), { code: 'ECONNRESET' });
    if (peer?.uid === uid) return { socket, pid: peer.pid };
    socket.destroy();
    throw new Error(`what listens in the directory of uid ${uid} is not a process of that uid`);
  }
}

function nameOf({ uid, session }: WorkerKey): string {
  return session === undefined ? String(uid) : `${uid}/${session}`;
}
