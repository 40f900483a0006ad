import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import {
  clientDirectories,
  FRONT_DOOR,
  KEPT_PREFIX,
  keptDirectoryIn,
  parseSessionDirectory,
  SOCKET_NAME,
  sessionDirectory,
} from '../etc/config/paths.ts';
import type { ServerURI } from '../etc/config/server-uri.ts';
import { loadSettings } from '../etc/config/settings.ts';
import type { Settings } from '../etc/config/settings-table.ts';
import { ownSession } from '../etc/host/login-session.ts';
import { namesIn } from '../etc/host/read-or-nothing.ts';
import { OVERFLOW_UID, uidOutside } from '../etc/host/user-namespace.ts';
import { CCAPIError } from '../proto/errors.ts';
import { isSessionName, RendezvousError, type WorkerKey } from '../proto/rendezvous.ts';
import { chooseServer } from './choose-server.ts';
import { connectToDoor } from './connect-to-path.ts';
import { connectToURIs, type URIContext } from './connect-to-uris.ts';
import { UntrustedPort } from './launcher-client.ts';
import { type Launcher, launchers, Machine } from './launchers.ts';
import { askForWorker, connectToWorker, summarize, type WorkerConnection, whyNone } from './worker-connection.ts';

/** Where a client looks for its worker, and how far it may go. */
export interface LocateOptions {
  /** What stands in for the process's environment: KRB5_CONFIG, XDG_RUNTIME_DIR, CCAPI_… */
  env?: NodeJS.ProcessEnv;
  /** The launcher program and its arguments before `--inetd`, for autostart; else the one beside this program. */
  launcher?: readonly [string, ...string[]];
  /** Only a server of this host, whatever the setting `server` says. */
  here?: boolean;
  /** The login session to find the server of, where each has its own (`scope = session`); else this process's. */
  session?: string;
  /** The service that this program is, for the rules of `redirect`; else what `CCAPI_SERVICE` says. */
  service?: string;
  /** Told, a line at a time, which way is taken and why. */
  explain?: (line: string) => void;
}

/** Whether a worker may be started: always, never, or only to show ccaches that an earlier one has left. */
type Launch = boolean | 'forCCaches';

/**
 * Finds the worker of the calling uid: in the directory below root's base, else through root's launcher, and only where
 * the machine has neither in a directory of the user's own, through the launcher on port 7789, or through one that is
 * started (`autostart`). A place that is unsafe or silent is passed over; the error names each and why. Nothing that a
 * launcher says is trusted: its path is resolved, the result is checked (proto/RENDEZVOUS.md#checking-the-path), and that
 * result is used.
 */
export class Locator {
  readonly #env: NodeJS.ProcessEnv;
  readonly #here: boolean;
  readonly #named: string | undefined;
  readonly #launcher: readonly [string, ...string[]];
  readonly #uid = process.geteuid?.() as number;
  readonly #service: string | undefined;
  readonly #explain: (line: string) => void;
  #settings: Settings | undefined;
  #chosen: { uris: readonly ServerURI[] | undefined } | undefined;
  #passedOver: CCAPIError[] = [];
  #machineSeen: Machine | undefined;

  constructor({ env = process.env, launcher, here = false, session, service, explain }: LocateOptions = {}) {
    this.#env = env;
    this.#service = service ?? env.CCAPI_SERVICE;
    this.#explain = explain ?? (() => {});
    this.#named = session;
    this.#here = here;
    this.#launcher = launcher ?? [process.execPath, join(__dirname, 'ccapi-launcher.js')];
  }

  /**
   * Connects to the worker; undefined where none runs and `launch` allows to start none: `false`, or `'forCCaches'` where
   * an earlier worker has left no ccaches. Throws 202 (`ccErrBadParam`) where the settings are wrong, 223
   * (`ccErrServerUnavailable`) with what each way came to, 224 (`ccErrServerInsecure`) where one of them is not safe.
   */
  find(options: { launch: true }): Promise<WorkerConnection>;
  find(options: { launch: Launch }): Promise<WorkerConnection | undefined>;
  async find({ launch }: { launch: Launch }): Promise<WorkerConnection | undefined> {
    const running = await this.#findRunning();
    if (running || !launch || (launch === 'forCCaches' && !this.#mayHaveCCaches())) return running;
    return this.#launch();
  }

  /** A connection to a worker that runs; undefined where none does, or where the URIs of the settings decide. */
  async #findRunning(): Promise<WorkerConnection | undefined> {
    if (this.#uris) return undefined;
    this.#passedOver = [];
    this.#machineSeen = undefined;
    if (this.#isBehindDoor) return this.#byDoor();
    for (const directory of this.#directories()) {
      const path = `${directory}/${SOCKET_NAME}`;
      try {
        const found = await connectToWorker(path, this.#uid);
        this.#explain(`${path}: ${found ? 'a server listens' : 'no server listens'}`);
        if (found) return found;
      } catch (error) {
        // Where the settings name the place, there is no other.
        if (!(error instanceof CCAPIError) || this.#isConfigured) throw error;
        this.#explain(error.message);
        this.#passedOver.push(error);
      }
    }
    return undefined;
  }

  /**
   * Whether only the front door leads to the user's worker: in a user namespace, where root's directories and port belong to
   * no known uid. Its launcher starts the worker at the first request.
   */
  get #isBehindDoor(): boolean {
    if (this.#isConfigured || uidOutside() === undefined) return false;
    return lstatSync(FRONT_DOOR, { throwIfNoEntry: false })?.uid === OVERFLOW_UID;
  }

  async #byDoor(): Promise<WorkerConnection | undefined> {
    try {
      const found = await connectToDoor(FRONT_DOOR, this.#uid);
      this.#explain(`${FRONT_DOOR}: the front door, since this is a user namespace`);
      return found;
    } catch (error) {
      this.#explain(`${FRONT_DOOR}: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** Whether a worker that is started now may have ccaches: one before it has left some, or only root's launcher can tell. */
  #mayHaveCCaches(): boolean {
    if (this.#uris || this.#machine?.serves() || this.#rootServesConfigured()) return true;
    return [...this.#directories()].some((directory) =>
      namesIn(keptDirectoryIn(directory)).some((name) => name.startsWith(KEPT_PREFIX)),
    );
  }

  /** The login session of the server, where each has its own. Throws 202 where the settings or its name are wrong. */
  get session(): string | undefined {
    if (this.settings.scope === 'user') return undefined;
    if (this.#named === undefined || isSessionName(this.#named)) return this.#named ?? ownSession(this.#env);
    throw new CCAPIError('ccErrBadParam', `${JSON.stringify(this.#named)} is no name of a login session`);
  }

  /** The login sessions for which a worker runs, or has left something. */
  sessions(): string[] {
    const names = [...this.#userDirectories()].flatMap(namesIn);
    return [...new Set(names.flatMap((name) => parseSessionDirectory(name) ?? []))].sort();
  }

  *#directories(): Generator<string> {
    for (const directory of this.#userDirectories()) yield sessionDirectory(directory, this.session);
  }

  /** The next one is looked for only where the one before has led to no worker. */
  *#userDirectories(): Generator<string> {
    const { first, own } = clientDirectories(this.settings, this.#uid, this.#env);
    yield first;
    if (own !== undefined && !this.#machine?.serves()) yield own;
  }

  get #isConfigured(): boolean {
    return this.settings.directory !== undefined || this.settings.pathTemplate !== undefined;
  }

  /** What root has set up; undefined where that is all there is, since the settings name it or this is root. */
  get #machine(): Machine | undefined {
    if (this.#isConfigured || this.#uid === 0) return undefined;
    this.#machineSeen ??= new Machine(clientDirectories(this.settings, this.#uid, this.#env).first, this.settings.port);
    return this.#machineSeen;
  }

  /** Where the settings name the place, root's launcher alone can say whether this user has something there. */
  #rootServesConfigured(): boolean {
    if (!this.#isConfigured || this.#uid === 0) return false;
    const { first } = clientDirectories(this.settings, this.#uid, this.#env);
    return new Machine(first, this.settings.port).rootListens();
  }

  get #key(): WorkerKey {
    return { uid: this.#uid, session: this.session };
  }

  get #context(): URIContext {
    const { settings } = this;
    return { uid: this.#uid, env: this.#env, settings, key: () => this.#key, explain: this.#explain };
  }

  /** A connection to a worker, through a launcher, which starts it where none runs. */
  async #launch(): Promise<WorkerConnection> {
    if (this.#uris) return connectToURIs(this.#uris, this.#context);
    const failures = [...this.#passedOver];
    const machine = this.#machine;
    for (const launcher of launchers(this.settings, this.#key, this.#launcher, this.#env)) {
      const outcome = await this.#outcomeOf(launcher);
      if ('socket' in outcome) return outcome;
      failures.push(outcome.failure);
      this.#explain(outcome.failure.message);
      if (outcome.isFinal) break;
      if (machine?.hasDirectory()) {
        failures.push(new CCAPIError('ccErrServerUnavailable', machine.unanswered));
        break;
      }
    }
    throw summarize(failures);
  }

  /** A connection by way of a launcher, or why there is none, and whether that leaves no other way. */
  async #outcomeOf({
    name,
    decides,
    path: ask,
  }: Launcher): Promise<WorkerConnection | { failure: CCAPIError; isFinal: boolean }> {
    try {
      const { path, found } = await askForWorker(ask, this.#uid);
      if (found) {
        this.#explain(`${name}: answers ${path}`);
        return found;
      }
      const failure = new CCAPIError('ccErrServerUnavailable', `${name}: ${whyNone(path)}`);
      return { failure, isFinal: decides && path !== undefined };
    } catch (error) {
      if (!(error instanceof RendezvousError) && !(error instanceof CCAPIError)) throw error;
      const code = error instanceof CCAPIError ? error.code : 'ccErrServerUnavailable';
      const failure = new CCAPIError(code, `${name}: ${error.message}`);
      return { failure, isFinal: decides && !(error instanceof UntrustedPort) };
    }
  }

  /** How often a lost connection may be made again with no answer in between; each time at a program is a login. */
  get attempts(): number {
    return this.#uris?.some(({ scheme }) => scheme === 'ssh' || scheme === 'exec') ? 1 : 10;
  }

  get #uris(): readonly ServerURI[] | undefined {
    if (this.#here) return undefined;
    const client = { uid: this.#uid, service: this.#service };
    this.#chosen ??= { uris: chooseServer(this.settings, client, this.#explain) };
    return this.#chosen.uris;
  }

  get settings(): Settings {
    this.#settings ??= loadSettings({ env: this.#env });
    return this.#settings;
  }
}
