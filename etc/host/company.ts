import { readdirSync, readFileSync } from 'node:fs';

/** The program whose processes are no company: the workers of a user's login sessions would keep each other. */
const SERVER = '/ccapi-server.js';

/**
 * Tells whether a user has other processes than our servers. It looks where userdel(8) and usermod(8) look, which refuse a
 * user with any process: the real, effective and saved uid in /proc/<pid>/status. Source: shadow's user_busy.c.
 */
export class Company {
  readonly #uid: number;
  /** A process that was there at the last look: while it is, the others need not be looked at. */
  #known: number | undefined;

  constructor(uid: number) {
    this.#uid = uid;
  }

  /** Whether no other process is there. False where that cannot be known. */
  isAlone(): boolean {
    if (this.#known !== undefined && this.#isOfUser(this.#known)) return false;
    try {
      this.#known = processes().find((pid) => this.#isOfUser(pid) && !isServer(pid));
    } catch {
      return false;
    }
    return this.#known === undefined;
  }

  /** The pids of the user's servers but this one. */
  otherServers(): number[] {
    return processes().filter((pid) => pid !== process.pid && this.#isOfUser(pid) && isServer(pid));
  }

  #isOfUser(pid: number): boolean {
    const ids = /^Uid:\t(\d+)\t(\d+)\t(\d+)\t/m.exec(read(`/proc/${pid}/status`))?.slice(1) ?? [];
    return ids.includes(String(this.#uid));
  }
}

function processes(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number);
}

function isServer(pid: number): boolean {
  return read(`/proc/${pid}/cmdline`)
    .split('\0')
    .some((word) => word.endsWith(SERVER));
}

/** A file of a process; empty once that has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
