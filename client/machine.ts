import { existsSync } from 'node:fs';
import { listenerUids } from '../etc/host/listener-owner.ts';

/** The port of root's launcher unless the settings say otherwise: no other user can listen below 1024. */
export const ROOT_PORT = 789;

/**
 * What root has set up on this machine for one user. Where there is something, the user's tickets are in the server that
 * root's launcher starts, and a private server beside it would show another, empty collection.
 */
export class Machine {
  readonly #directory: string;
  readonly #port: number;
  #rootListensThere: boolean | undefined;

  /** `directory` is the user's below root's base. */
  constructor(directory: string, port = ROOT_PORT) {
    this.#directory = directory;
    this.#port = port;
  }

  /** Whether root's launcher listened when this was first called, or has made a directory for this user. */
  serves(): boolean {
    return this.hasDirectory() || this.#rootListens();
  }

  hasDirectory(): boolean {
    return existsSync(this.#directory);
  }

  /** The error where a directory is there and no launcher answers. */
  get unanswered(): string {
    return `${this.#directory} is there, but no launcher answers on port ${this.#port}; is inetd running?`;
  }

  /** Reads the kernel's table once: it may be long. */
  #rootListens(): boolean {
    this.#rootListensThere ??= (['127.0.0.1', '::1'] as const).some((host) =>
      listenerUids(host, this.#port)?.includes(0),
    );
    return this.#rootListensThere;
  }
}
