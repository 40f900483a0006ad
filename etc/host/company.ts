import { readdirSync, readFileSync } from 'node:fs';
import { auditSession } from './login-session.ts';

/** The program of our servers, which are no company: the workers of a user's login sessions would keep each other. */
const SERVER = '/ccapi-server.js';

/**
 * Tells whether a user has other processes than our servers. It looks where userdel(8) and usermod(8) look, which refuse a
 * user with any process: the real, effective and saved uid in /proc/<pid>/status. Source: shadow's user_busy.c.
 */
export class Company {
  readonly #uid: number;
  readonly #session: string | undefined;
  /** Whether the session ever had a process: a client may name one that is none of the kernel's. */
  #hadProcess = false;
  /** A process that was there at the last look: while it is, the others need not be looked at. */
  #known: number | undefined;

  /** With `session`, the kernel's audit session, only its processes count once it has been seen to have any. */
  constructor(uid: number, session?: string) {
    this.#uid = uid;
    this.#session = session;
  }

  /** Whether no other process is there. False where that cannot be known. */
  isAlone(): boolean {
    if (this.#known !== undefined && this.#counts(this.#known)) return false;
    try {
      const company = processes().filter((pid) => this.#isOfUser(pid) && !isServer(pid));
      const inSession = company.find((pid) => this.#isInSession(pid));
      this.#hadProcess ||= inSession !== undefined;
      this.#known = this.#hadProcess ? inSession : company[0];
    } catch {
      return false;
    }
    return this.#known === undefined;
  }

  /** Whether the session had processes and has none any more. */
  get hasEnded(): boolean {
    return this.isAlone() && this.#hadProcess;
  }

  #counts(pid: number): boolean {
    return this.#isOfUser(pid) && (!this.#hadProcess || this.#isInSession(pid));
  }

  #isInSession(pid: number): boolean {
    return this.#session !== undefined && auditSession(pid) === this.#session;
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
