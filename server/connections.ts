import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Settings } from '../etc/config/settings-table.ts';
import type { Log } from '../etc/host/log.ts';
import { Connection } from './connection.ts';
import { InputBudget } from './input-budget.ts';
import type { InputSocket } from './input-socket.ts';
import type { Session } from './protocols/session.ts';

/** How many of the longest frames all connections together may have half sent, or sent and not answered. */
const FRAMES_HELD = 4;

/** What bounds the connections of a worker. */
export type ConnectionSettings = Pick<Settings, 'maxConnections' | 'maxFrame' | 'maxOutput'>;

/** The connections of a worker, each served by itself, and bounded in all. */
export class Connections {
  #settings: ConnectionSettings;
  readonly #log: Log;
  readonly #budget: InputBudget;
  readonly #open = new Map<InputSocket, Connection>();
  #isFull = false;

  constructor(settings: ConnectionSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#budget = new InputBudget(FRAMES_HELD * settings.maxFrame, log);
  }

  /** Applies other settings to what is opened from here on, and to what all hold together. */
  configure(settings: ConnectionSettings): void {
    this.#settings = settings;
    this.#budget.most = FRAMES_HELD * settings.maxFrame;
  }

  /** How many there are. */
  get size(): number {
    return this.#open.size;
  }

  /** Whether one more may be opened; says so in the log once it may not. */
  hasRoom(): boolean {
    const { maxConnections } = this.#settings;
    const full = this.#open.size >= maxConnections;
    if (full && !this.#isFull)
      this.#log.warning(`max_connections = ${maxConnections} is reached; further ones are closed`);
    this.#isFull = full;
    return !full;
  }

  /** Serves a connection by a session of its own; `read` is what has been read of it before. */
  open(socket: InputSocket, session: Session, read: Buffer | undefined, onClosed: () => void): void {
    const connection = new Connection(socket, session, this.#settings, this.#budget);
    this.#open.set(socket, connection);
    if (read) connection.receive(read);
    socket.on('close', () => {
      this.#open.delete(socket);
      onClosed();
    });
  }

  /** Ends each once the requests that the kernel has of it are answered; they arrive in the next turns. */
  async finishSoon(): Promise<void> {
    const those = [...this.#open.values()];
    await nextTurns();
    for (const connection of those) connection.finish();
  }

  /** Ends all of them now. */
  destroyAll(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }
}

/** Resolves once what is on its way within the kernel has arrived. */
export async function nextTurns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await nextTurn();
}
