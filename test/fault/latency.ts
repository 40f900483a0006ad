import { readFileSync } from 'node:fs';
import { expect } from 'vitest';

/** The bound for a victim of an attack: each request of another user is answered within a second, in milliseconds. */
const WITHIN = 1000;

/** Times requests of a victim of an attack on a program. */
export class Victim {
  readonly #processes: readonly number[];
  readonly #times: number[] = [];
  #bound = WITHIN;

  /** `attacked` is the pid of the program that is to answer. */
  constructor(attacked: number) {
    this.#processes = [attacked, process.pid];
  }

  /**
   * Times a request until it is answered, or takes what it says itself that it took, by {@link watch}. Time for which the
   * program or this process was ready to run and had no processor is left out: an attack may use its share of the
   * processors, as other tests do, and a busy machine is no fault of the program. With `uid`, the user's server that is
   * started for the request is a part of the program: as the others wait for it, the longer of both waits counts.
   */
  async time(request: () => Promise<unknown>, uid?: number): Promise<void> {
    const [waited, children] = [waitedFor(this.#processes), this.#waitsOfChildren()];
    const begun = performance.now();
    const said = await request();
    const taken = performance.now() - begun;
    const servers = [...this.#waitsOfChildren()].filter(([pid]) => uid !== undefined && uidOf(pid) === uid);
    const waits = servers.map(([pid, wait]) => wait - (children.get(pid) ?? 0));
    this.#times.push(typeof said === 'number' ? said : taken - Math.max(waitedFor(this.#processes) - waited, ...waits));
  }

  /** For how long each child of the program that still runs has waited, by its pid. */
  #waitsOfChildren(): ReadonlyMap<number, number> {
    const [pid] = this.#processes;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').match(/\d+/g) ?? [];
    return new Map(children.map((child) => [Number(child), waitOrNone(Number(child))]));
  }

  /** For a request that a program of its own makes: lines that define `taken()`, the milliseconds since they ran. */
  get watch(): string {
    const waited = `(${waitedFor})([${this.#processes[0]}, process.pid])`;
    return `const begun = performance.now() - ${waited}; const taken = () => performance.now() - ${waited} - begun;`;
  }

  /** Ends the times without an attack: one may take twice the longest of them where that is more than a second. */
  begin(): void {
    this.#bound = Math.max(WITHIN, 2 * Math.max(...this.#times));
    this.#times.length = 0;
  }

  /** Fails unless each request since {@link begin} was answered in time. */
  expectServed(): void {
    expect(this.#times.length).toBeGreaterThan(0);
    expect(Math.max(...this.#times), `the longest of ${this.#times.length} requests`).toBeLessThan(this.#bound);
  }
}

/** The real uid of a process; none where it has ended. */
export function uidOf(pid: number): number | undefined {
  try {
    return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}

function waitOrNone(pid: number): number {
  try {
    return waitedFor([pid]);
  } catch {
    // It has ended.
    return 0;
  }
}

/** Milliseconds for which processes waited for a processor. Source: Documentation/scheduler/sched-stats.rst. */
function waitedFor(pids: readonly number[]): number {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  const nanoseconds = pids.map((pid) => Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[1]));
  return nanoseconds.reduce((sum, one) => sum + one) / 1e6;
}
