import { trimMemory } from '../etc/host/libc.ts';
import { monotonic } from '../etc/host/monotonic.ts';

/** Idle time before a forced garbage collection, in milliseconds. */
const AT_REST = 6000;

/** How much more memory than after the last time is worth it, in bytes. */
const WORTH_IT = 1 * 1024 * 1024;

/** The engine gives up the room for new objects only where few were made in the five seconds before. */
const PASSES = 2;

/**
 * Gives the memory back that a busy while has left. There is a worker for every user, and the engine by itself keeps tens
 * of megabytes for the next time; to forbid it that room would make storing a third slower.
 */
export class IdleGC {
  #held = held();
  #lastRequest = 0;
  #timer: NodeJS.Timeout | undefined;
  #passesLeft = 0;

  /** There was a request, at this time of `performance`; it costs no more than taking note of that. */
  touch(now: number): void {
    this.#lastRequest = now;
    if (!this.#timer) this.#lookAgainIn(AT_REST);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lookAgainIn(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#look(), Math.ceil(milliseconds)).unref();
  }

  #look(): void {
    const left = this.#lastRequest + AT_REST - monotonic();
    if (left > 0) {
      this.#lookAgainIn(left);
      return;
    }
    this.#timer = undefined;
    if (this.#passesLeft === 0 && held() > this.#held + WORTH_IT) this.#passesLeft = PASSES;
    if (this.#passesLeft === 0) return;
    this.#passesLeft--;
    collectGarbage();
    trimMemory();
    this.#held = held();
    if (this.#passesLeft > 0) this.#lookAgainIn(AT_REST);
  }
}

/** Bytes that the engine has from the system. */
function held(): number {
  const { heapTotal, external } = process.memoryUsage();
  return heapTotal + external;
}

function collectGarbage(): void {
  // Loaded here, since a start does not need them.
  process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
  const collect = process.getBuiltinModule('node:vm').runInNewContext('gc') as (how?: object) => void;
  // The engine of Node 20 takes any argument for the wish to look at new objects alone; later ones give back all that they can.
  collect();
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
