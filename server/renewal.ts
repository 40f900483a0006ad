import type { Log } from '../etc/host/log.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import type { CredentialV5 } from '../proto/credential.ts';
import { splitRealm } from '../proto/principal.ts';
import { isStaging } from '../proto/staging.ts';
import type { Cancellable, Client } from './model/cancellation.ts';
import type { CCache } from './model/ccache.ts';
import type { Clock } from './model/change-time.ts';
import type { Collection } from './model/collection.ts';

/** The ticket flag RENEWABLE (RFC 4120 5.3). */
const RENEWABLE = 0x00800000;

/** How soon after a change it is looked what is to be renewed now, in milliseconds: kinit makes several in a row. */
const SETTLED = 1000;

/** The first pause after a renewal that failed, and the longest, in seconds. Each is twice the one before. */
const PAUSES = { first: 60, longest: 3600 };

/** The longest timer, in milliseconds: timers stand still while the machine is suspended, and tickets go by the wall clock. */
const LONGEST_TIMER = 60_000;

/** A renewal that failed: when it is tried again, in seconds since 1970, and after what pause. */
interface Failure {
  /** The end of the ticket that could not be renewed: another ticket is another matter. */
  endtime: number;
  pause: number;
  again: number;
}

/** Has ticket-granting tickets renewed at half their life: `renew = yes`. */
export class Renewal implements Client {
  readonly cancellables = new Set<Cancellable>();
  readonly #collection: Collection;
  readonly #renew: (ccache: CCache, signal: AbortSignal) => Promise<void>;
  readonly #now: Clock;
  readonly #log: Log;
  readonly #failures = new WeakMap<CCache, Failure>();
  #timer: NodeJS.Timeout | undefined;
  #lookAt = 0;
  #running: AbortController | undefined;
  #isOn = false;
  #next: number | undefined;

  /** `renew` renews the ticket-granting ticket of a ccache, or rejects with the reason. */
  constructor(
    collection: Collection,
    renew: (ccache: CCache, signal: AbortSignal) => Promise<void>,
    now: Clock,
    log: Log,
  ) {
    this.#collection = collection;
    this.#renew = renew;
    this.#now = now;
    this.#log = log;
  }

  /** When the next ticket is to be renewed, in seconds since 1970; undefined while there is none, or nothing is renewed. */
  get next(): number | undefined {
    return this.#next;
  }

  /** Begins, or goes on. */
  start(): void {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#watchChanges();
    this.#lookIn(0);
  }

  /** Renews nothing from here on, and breaks off what is being renewed. */
  stop(): void {
    this.#isOn = false;
    for (const cancellable of [...this.cancellables]) cancellable.cancel();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#next = undefined;
    this.#running?.abort();
  }

  async #watchChanges(): Promise<void> {
    while (this.#isOn) {
      try {
        await this.#collection.waiters.add(this);
      } catch {
        // The collection is gone.
        this.stop();
        return;
      }
      if (this.#isOn) this.#lookIn(SETTLED);
    }
  }

  /** Not later than it is looked anyway: changes that do not end must not put it off. */
  #lookIn(milliseconds: number): void {
    const wait = Math.min(milliseconds, LONGEST_TIMER);
    const at = monotonic() + wait;
    if (this.#timer && at >= this.#lookAt) return;
    clearTimeout(this.#timer);
    this.#lookAt = at;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, wait);
  }

  /** One after the other: kinit is a program of its own, and no client waits for it. */
  async #look(): Promise<void> {
    if (this.#running) return;
    const running = new AbortController();
    this.#running = running;
    for (const ccache of [...this.#collection]) {
      const due = this.#due(ccache);
      if (due !== undefined && due <= this.#now() && !running.signal.aborted) await this.#try(ccache, running.signal);
    }
    this.#running = undefined;
    if (running.signal.aborted) {
      if (this.#isOn) this.#lookIn(0);
      return;
    }
    this.#next = undefined;
    for (const ccache of this.#collection) {
      const due = this.#due(ccache);
      if (due !== undefined && due < (this.#next ?? Infinity)) this.#next = due;
    }
    if (this.#next !== undefined) this.#lookIn(Math.max(SETTLED, (this.#next - this.#now()) * 1000));
  }

  /** When a ccache's ticket is to be renewed: at half its life, or after the pause of a failure. */
  #due(ccache: CCache): number | undefined {
    const ticket = ccache.removed || isStaging(ccache.name) ? undefined : this.#renewable(ccache);
    if (!ticket) return undefined;
    const from = ticket.starttime || ticket.authtime;
    const due = Math.ceil(from + (ticket.endtime - from) / 2);
    return Math.max(due, this.#failureOf(ccache, ticket)?.again ?? 0);
  }

  #failureOf(ccache: CCache, { endtime }: CredentialV5): Failure | undefined {
    const failure = this.#failures.get(ccache);
    return failure?.endtime === endtime ? failure : undefined;
  }

  /** The ticket-granting ticket, where a renewal makes it last longer. */
  #renewable({ contents: { principal, credentials } }: CCache): CredentialV5 | undefined {
    const { realm } = splitRealm(principal);
    for (const { value } of credentials.forService(`krbtgt/${realm}`)) {
      const { ticketFlags, endtime, renewTill, client, server } = value;
      const isIt = client === principal && server === `krbtgt/${realm}@${realm}`;
      if (isIt && endtime > this.#now() && renewTill > endtime && (ticketFlags & RENEWABLE) !== 0) return value;
    }
    return undefined;
  }

  async #try(ccache: CCache, signal: AbortSignal): Promise<void> {
    const { name, contents } = ccache;
    const before = this.#renewable(ccache) as CredentialV5;
    const what = `the ticket of ${contents.principal} in ${name}`;
    try {
      await this.#renew(ccache, signal);
      if (this.#renewable(ccache)?.endtime === before.endtime) throw new Error('it is the same as before');
      this.#log.info(`${what} is renewed`);
    } catch (error) {
      if (signal.aborted) return;
      const last = this.#failureOf(ccache, before);
      const pause = last ? Math.min(last.pause * 2, PAUSES.longest) : PAUSES.first;
      this.#failures.set(ccache, { endtime: before.endtime, pause, again: this.#now() + pause });
      this.#log.warning(`${what} is not renewed: ${(error as Error).message}; tried again in ${pause} s`);
    }
  }
}
