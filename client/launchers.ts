import { existsSync } from 'node:fs';
import type { Settings } from '../etc/config/settings-table.ts';
import { listenerUids } from '../etc/host/listener-owner.ts';
import { ROOT_PORT, USER_PORT, type WorkerKey } from '../proto/rendezvous.ts';
import { askChild, askPort } from './launcher-client.ts';

/** How long a launcher may take that can be passed over for one of our own, in milliseconds. */
const PASSABLE_DEADLINE = 1000;

/** A launcher that may be asked. */
export interface Launcher {
  name: string;
  /** Whether its refusal is final. */
  decides: boolean;
  path(): Promise<string | undefined>;
}

/** The launchers in turn. What the machine's own says is final; a port above 1023 may be any user's. */
export function launchers(
  { port: named, autostart }: Pick<Settings, 'port' | 'autostart'>,
  key: WorkerKey,
  program: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
): Launcher[] {
  const ports = named ? [named] : key.uid === 0 ? [ROOT_PORT] : [ROOT_PORT, USER_PORT];
  const listening = ports.map((port): Launcher => {
    const decides = port < 1024 || named !== undefined;
    const deadline = decides || !autostart ? undefined : PASSABLE_DEADLINE;
    return { name: `launcher on port ${port}`, decides, path: () => askPort(port, key, deadline) };
  });
  const own = {
    name: 'launcher of our own',
    decides: true,
    path: () => askChild([...program, '--inetd'], key, env),
  };
  return autostart ? [...listening, own] : listening;
}

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
    return this.hasDirectory() || this.rootListens();
  }

  hasDirectory(): boolean {
    return existsSync(this.#directory);
  }

  /** The error where a directory is there and no launcher answers. */
  get unanswered(): string {
    return `${this.#directory} is there, but no launcher answers on port ${this.#port}; is inetd running?`;
  }

  /** Whether root listens on the launcher's port. Reads the kernel's table once: it may be long. */
  rootListens(): boolean {
    this.#rootListensThere ??= (['127.0.0.1', '::1'] as const).some((host) =>
      listenerUids(host, this.#port)?.includes(0),
    );
    return this.#rootListensThere;
  }
}
