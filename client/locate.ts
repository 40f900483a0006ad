import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  clientDirectories,
  KEPT_PREFIX,
  keptDirectoryIn,
  SOCKET_NAME,
  sessionDirectory,
  sessionNamed,
} from '../etc/base-directory.ts';
import { saysNobodyListens } from '../etc/is-listening.ts';
import { checkPrivateDirectory } from '../etc/private-directory.ts';
import type { ServerURI } from '../etc/server-uri.ts';
import { ownSession } from '../etc/session.ts';
import { loadSettings, type Settings } from '../etc/settings.ts';
import { CCAPIError } from '../proto/error.ts';
import { isSessionName, RendezvousError, type Whose } from '../proto/rendezvous.ts';
import { askAddress, askChild, askPort, UntrustedPort } from './ask-launcher.ts';
import type { ByteStream } from './child-stream.ts';
import { checkLength, connected, connectToPath } from './connect-to-path.ts';
import { destination } from './destination.ts';
import { Machine, ROOT_PORT } from './machine.ts';

/** How often a launcher is asked whose answer leads to nobody, in case that had just left. */
const ATTEMPTS = 5;

/** How long is waited before the second time, and how much longer each time, in milliseconds. */
const PAUSE = 20;

/** The port of a launcher without root. */
const USER_PORT = 7789;

/** How long a launcher may take that can be passed over for one of our own, in milliseconds. */
const PASSABLE_DEADLINE = 1000;

/** Where a client looks for its worker, and how far it may go. */
export interface LocateOptions {
  /** What stands in for the process's environment: KRB5_CONFIG, XDG_RUNTIME_DIR, CCAPI_… */
  env?: NodeJS.ProcessEnv;
  /** The launcher program and its arguments before `--inetd`, for autostart; else the one beside this program. */
  launcher?: readonly [string, ...string[]];
  /** Only a server of this host, whatever the setting `server` says. */
  here?: boolean;
  /** The login session whose server it is to be where each has its own (`scope = session`); else the one we are in. */
  session?: string;
  /** The service that this program is, for the rules of `redirect`; else what `CCAPI_SERVICE` says. */
  service?: string;
  /** Told, a line at a time, which way is taken and why. */
  explain?: (line: string) => void;
}

/** A connection to the user's worker, and the path it was made to. */
export interface Found {
  socket: ByteStream;
  path: string;
}

/** A launcher that may be asked. */
interface Launcher {
  name: string;
  /** Whether its refusal is final. */
  decides: boolean;
  path(): Promise<string | undefined>;
}

/**
 * Finds the worker of the calling uid: in the directory below root's base, else through root's launcher, and only where
 * the machine has neither in a directory of the user's own, through the launcher on port 7789, or through one that is
 * started (`autostart`). A place that is unsafe or silent is passed over; the error names each and why. Nothing that a
 * launcher says is trusted: its path is resolved, the result is checked against DESIGN's rules, and that result is used.
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
  #destination: { uris: readonly ServerURI[] | undefined } | undefined;
  #passedOver: CCAPIError[] = [];

  constructor({ env = process.env, launcher, here = false, session, service, explain }: LocateOptions = {}) {
    this.#env = env;
    this.#service = service ?? env.CCAPI_SERVICE;
    this.#explain = explain ?? (() => {});
    this.#named = session;
    this.#here = here;
    this.#launcher = launcher ?? [process.execPath, join(__dirname, 'ccapi-launcher.js')];
  }

  /**
   * A connection to a worker that runs; undefined where none does, or where it is not for this to say. Throws 224
   * (`ccErrServerInsecure`) where the directory that the settings name is not safe, 202 where the settings are wrong.
   */
  async running(): Promise<Found | undefined> {
    if (this.#uris) return undefined;
    this.#passedOver = [];
    for (const directory of this.#directories()) {
      const path = `${directory}/${SOCKET_NAME}`;
      try {
        const found = await this.#connected(path);
        this.#explain(`${path}: ${found ? 'a server listens' : 'nobody listens'}`);
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

  /** Whether a worker that is started now may have ccaches: one before it has left some, or only root's launcher can tell. */
  mayHaveCCaches(): boolean {
    if (this.#uris || this.#machine?.serves()) return true;
    return [...this.#directories()].some((directory) =>
      namesIn(keptDirectoryIn(directory)).some((name) => name.startsWith(KEPT_PREFIX)),
    );
  }

  /** The login session whose server it is, where each has its own. Throws 202 where the settings or its name are wrong. */
  get session(): string | undefined {
    if (this.settings.scope === 'user') return undefined;
    if (this.#named === undefined || isSessionName(this.#named)) return this.#named ?? ownSession(this.#env);
    throw new CCAPIError('ccErrBadParam', `${JSON.stringify(this.#named)} is no name of a login session`);
  }

  /** The login sessions for which a worker runs, or has left something. */
  sessions(): string[] {
    const names = [...this.#userDirectories()].flatMap(namesIn);
    return [...new Set(names.flatMap((name) => sessionNamed(name) ?? []))].sort();
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
    return new Machine(clientDirectories(this.settings, this.#uid, this.#env).first, this.settings.port);
  }

  get #whose(): Whose {
    return { uid: this.#uid, session: this.session };
  }

  /**
   * A connection to a worker, through a launcher, which starts it where none runs. Throws 223 (`ccErrServerUnavailable`)
   * saying what each way came to, or 224 (`ccErrServerInsecure`) where one of them is not safe.
   */
  async launched(): Promise<Found> {
    if (this.#uris) return this.#byURIs(this.#uris);
    const failures = [...this.#passedOver];
    for (const launcher of this.#launchers()) {
      try {
        const { path, found } = await this.#asked(launcher.path);
        if (found) {
          this.#explain(`${launcher.name}: answers ${path}`);
          return found;
        }
        const why = path === undefined ? 'nothing listens there' : `nobody listens at ${path}`;
        failures.push(new CCAPIError('ccErrServerUnavailable', `${launcher.name}: ${why}`));
      } catch (error) {
        if (!(error instanceof RendezvousError) && !(error instanceof CCAPIError)) throw error;
        const code = error instanceof CCAPIError ? error.code : 'ccErrServerUnavailable';
        failures.push(new CCAPIError(code, `${launcher.name}: ${error.message}`));
        if (launcher.decides && !(error instanceof UntrustedPort)) break;
      } finally {
        const last = failures.at(-1);
        if (last) this.#explain(last.message);
      }
      const machine = this.#machine;
      if (machine?.hasDirectory()) {
        failures.push(new CCAPIError('ccErrServerUnavailable', machine.unanswered));
        break;
      }
    }
    throw summary(failures);
  }

  /** How often a lost connection may be made again with no answer in between; each time at a program is a login. */
  get attempts(): number {
    return this.#uris?.some(({ scheme }) => scheme === 'ssh' || scheme === 'exec') ? 1 : 10;
  }

  get #uris(): readonly ServerURI[] | undefined {
    if (this.#here) return undefined;
    const traveller = { uid: this.#uid, service: this.#service };
    this.#destination ??= { uris: destination(this.settings, traveller, this.#explain) };
    return this.#destination.uris;
  }

  /** The first of them that leads to a server. */
  async #byURIs(uris: readonly ServerURI[]): Promise<Found> {
    const tried: string[] = [];
    for (const uri of uris) {
      try {
        const found = await this.#byURI(uri);
        this.#explain(`${uri.text}: a server answers`);
        return found;
      } catch (error) {
        this.#explain(`${uri.text}: ${(error as Error).message}`);
        if (uris.length === 1 || !(error instanceof Error)) throw error;
        tried.push(error.message);
      }
    }
    throw new CCAPIError('ccErrServerUnavailable', `no credential-cache server: ${tried.join('; ')}`);
  }

  async #byURI(uri: ServerURI): Promise<Found> {
    if (uri.scheme === 'unix') return connectToPath(uri.path, this.#uid);
    const { openCommand, openSSH } = await import('./transports.ts');
    if (uri.scheme === 'exec') return { socket: await openCommand(uri, this.#env), path: uri.text };
    if (uri.scheme === 'ssh') return { socket: await openSSH(uri, this.settings.rsh, this.#env), path: uri.text };
    const { host, port = this.settings.port ?? 789 } = uri;
    const { path, found } = await this.#asked(() => askAddress(host, port, this.#whose));
    if (found) return found;
    const why = path === undefined ? 'nothing listens there' : `nobody listens at ${path}`;
    throw new CCAPIError('ccErrServerUnavailable', `${uri.text}: ${why}`);
  }

  /** A worker may leave between a launcher's answer and our connection; the launcher starts the next one then. */
  async #asked(
    ask: () => Promise<string | undefined>,
  ): Promise<{ path?: string | undefined; found?: Found | undefined }> {
    for (let attempt = 1; ; attempt++) {
      const path = await ask();
      const found = path === undefined ? undefined : await this.#connected(path);
      if (found || path === undefined || attempt === ATTEMPTS) return { path, found };
      await delay(attempt * PAUSE);
    }
  }

  get settings(): Settings {
    this.#settings ??= loadSettings({ env: this.#env });
    return this.#settings;
  }

  /** The launchers in turn. What the machine's own says is final; a port above 1023 may be any user's. */
  #launchers(): Launcher[] {
    const { port: named, autostart } = this.settings;
    const ports = named ? [named] : this.#uid === 0 ? [ROOT_PORT] : [ROOT_PORT, USER_PORT];
    const launchers = ports.map((port): Launcher => {
      const decides = port < 1024 || named !== undefined;
      const deadline = decides || !autostart ? undefined : PASSABLE_DEADLINE;
      return { name: `launcher on port ${port}`, decides, path: () => askPort(port, this.#whose, deadline) };
    });
    const own = {
      name: 'launcher of our own',
      decides: true,
      path: () => askChild([...this.#launcher, '--inetd'], this.#whose, this.#env),
    };
    return autostart ? [...launchers, own] : launchers;
  }

  /**
   * Connecting is the proof of who we are, and the directory is the proof of who they are. The path of what is found is the
   * one that was checked, without links.
   */
  async #connected(given: string): Promise<Found | undefined> {
    checkLength(given);
    try {
      const path = `${checkPrivateDirectory(dirname(given), this.#uid)}/${basename(given)}`;
      checkLength(path);
      return { socket: await connected(path), path };
    } catch (error) {
      if (saysNobodyListens(error)) return undefined;
      if (error instanceof CCAPIError) throw error;
      throw new CCAPIError('ccErrServerUnavailable', `${given}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** One error for all the places that were tried. */
function summary(failures: readonly CCAPIError[]): CCAPIError {
  const isInsecure = failures.some((error) => CCAPIError.is(error, 'ccErrServerInsecure'));
  const why = failures.map(({ message }) => message).join('; ') || 'no place to ask';
  return new CCAPIError(
    isInsecure ? 'ccErrServerInsecure' : 'ccErrServerUnavailable',
    `no credential-cache server: ${why}`,
  );
}

/** What a directory has; nothing where there is none, or none of ours. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
