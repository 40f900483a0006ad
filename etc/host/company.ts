import { auditSession } from './login-session.ts';
import { commandLineOf, isServerCommand, processIds, uidsOf } from './processes.ts';

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
    const visible = processIds();
    const isCompany = (pid: number) => this.#isOfUser(pid) && !isServer(pid);
    const inSession = visible.find((pid) => this.#isInSession(pid) && isCompany(pid));
    this.#hadProcess ||= inSession !== undefined;
    this.#known = this.#hadProcess ? inSession : visible.find(isCompany);
    // Where not even this process is to be seen, there is no /proc.
    return this.#known === undefined && visible.length > 0;
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
    return processIds().filter((pid) => pid !== process.pid && this.#isOfUser(pid) && isServer(pid));
  }

  #isOfUser(pid: number): boolean {
    return uidsOf(pid).slice(0, 3).includes(this.#uid);
  }
}

/** Servers are no company: the workers of a user's login sessions would keep each other. */
function isServer(pid: number): boolean {
  return isServerCommand(commandLineOf(pid));
}
