import type { Socket } from 'node:net';
import { HAND_OVER_NAME } from '../etc/base-directory.ts';
import { canSendDescriptors } from '../etc/fd-passing.ts';
import { descriptorOf, peerCredentials } from '../etc/host.ts';
import type { WorkerKey } from '../proto/rendezvous.ts';
import { LinkRefused, WorkerLink } from './worker-link.ts';

/** How often the same worker has to refuse a link until it makes none: one that is being killed refuses it too. */
const ENOUGH_REFUSALS = 3;

/** What links need of the launcher. */
export interface LinkOptions {
  /** Sees to it that a worker listens. */
  socketOf(key: WorkerKey): Promise<string>;
  /** A connection to one of the sockets of a worker, made with the rights of its uid. */
  connectTo(key: WorkerKey, name: string): Promise<Socket>;
}

/** The links to the workers of all users: each is made once, checked once, and used until it ends. */
export class WorkerLinks {
  readonly #options: LinkOptions;
  readonly #links = new Map<string, WorkerLink>();
  readonly #opening = new Map<string, Promise<WorkerLink | undefined>>();
  /** Workers that have refused a link, by their process id: others may come in their places at any time. */
  readonly #refused = new Map<string, { pid: number; times: number }>();

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
   * Rejects with the system's error where the worker has just left.
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

  /** A connection to a socket of the worker's. Nothing goes there before the kernel says that it is that uid's. */
  async connect(key: WorkerKey, name: string): Promise<{ socket: Socket; pid: number }> {
    const { uid } = key;
    const socket = await this.#options.connectTo(key, name);
    const peer = peerCredentials(descriptorOf(socket));
    if (socket.destroyed)
      throw Object.assign(new Error('ECONNRESET: the worker has just left'), { code: 'ECONNRESET' });
    if (peer?.uid === uid) return { socket, pid: peer.pid };
    socket.destroy();
    throw new Error(`what listens in the directory of uid ${uid} is not a process of that uid`);
  }

  /** Ends all links, as where the settings have changed. What was sent over them is still taken. */
  close(): void {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  async #open(key: WorkerKey, name: string): Promise<WorkerLink | undefined> {
    await this.#options.socketOf(key);
    if (!canSendDescriptors()) return undefined;
    let worker = -1;
    const connect = async () => {
      const { socket, pid } = await this.connect(key, HAND_OVER_NAME);
      worker = pid;
      return socket;
    };
    try {
      const link = await WorkerLink.open(connect);
      this.#links.set(name, link);
      return link;
    } catch (error) {
      if (!(error instanceof LinkRefused)) throw error;
      const before = this.#refused.get(name);
      const times = before?.pid === worker ? before.times + 1 : 1;
      this.#refused.set(name, { pid: worker, times });
      if (times < ENOUGH_REFUSALS) throw error;
      return undefined;
    }
  }
}

function nameOf({ uid, session }: WorkerKey): string {
  return session === undefined ? String(uid) : `${uid}/${session}`;
}
