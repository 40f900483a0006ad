import type { Log } from '../etc/host/log.ts';
import type { Peer } from './peer.ts';

/** How many lines a key gets in a period, and how long that is, in milliseconds. */
const MOST_LINES = 10;
const PERIOD = 60_000;

/** How many keys are told apart; refusals of further ones count together. */
const MOST_KEYS = 100;

/** What the refusals of a peer count together with: all uids that the passwd database lacks are one. */
export function refusalKey({ uid }: Pick<Peer, 'uid'>, isKnown: (uid: number) => boolean): string {
  return uid === undefined ? 'unknown peers' : isKnown(uid) ? `uid ${uid}` : 'unknown uids';
}

interface Period {
  lines: number;
  omitted: number;
}

/**
 * Logs refusals at a bounded rate: a peer that asks in a loop fills no log. The first lines of a key are written as they
 * are; how many more there were follows when the minute is over.
 */
export class Refusals {
  readonly #log: Pick<Log, 'refusal'>;
  readonly #periods = new Map<string, Period>();

  constructor(log: Pick<Log, 'refusal'>) {
    this.#log = log;
  }

  /** `key` is who is refused, such as `uid 1000`; `message` is called only where a line is written. */
  add(key: string, message: () => string): void {
    const counted = this.#periods.has(key) || this.#periods.size < MOST_KEYS ? key : 'others';
    let period = this.#periods.get(counted);
    if (!period) {
      period = { lines: 0, omitted: 0 };
      this.#periods.set(counted, period);
      setTimeout(() => this.#end(counted), PERIOD).unref();
    }
    if (period.lines++ < MOST_LINES) this.#log.refusal(message());
    else period.omitted++;
  }

  /** Writes the counts that are due; before the process ends. */
  flush(): void {
    for (const key of [...this.#periods.keys()]) this.#end(key);
  }

  #end(key: string): void {
    const omitted = this.#periods.get(key)?.omitted ?? 0;
    this.#periods.delete(key);
    if (omitted > 0) this.#log.refusal(`${key}: ${omitted} more refusals within ${PERIOD / 1000} s`);
  }
}
