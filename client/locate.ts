import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  clientDirectories,
  KEPT_PREFIX,
  keptDirectoryIn,
  MAX_SOCKET_PATH,
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
import { askAddress, askChild, askPort } from './ask-launcher.ts';
import type { ByteStream } from './child-stream.ts';
import { connected, connectToPath } from './connect-to-path.ts';
import { destination } from './destination.ts';

/** How often a launcher is asked whose answer leads to nobody, in case that had just left. */
const ATTEMPTS = 5;

/** How long is waited before the second time, and how much longer each time, in milliseconds. */
const PAUSE = 20;

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

/**
 * Finds the worker of the calling uid: in the directories where it may be, else through the launcher on the loopback
 * ports, else through a launcher of one's own (`autostart`). Nothing that a launcher says is trusted: the directory is
 * held against DESIGN's rules before it is used.
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
   * (`ccErrServerInsecure`) where its directory is not safe, 202 where the settings are wrong.
   */
  async running(): Promise<Found | undefined> {
    if (this.#uris) return undefined;
    for (const directory of this.#directories) {
      const path = `${directory}/${SOCKET_NAME}`;
      const found = await this.#connected(path);
      this.#explain(`${path}: ${found ? 'a server listens' : 'nobody listens'}`);
      if (found) return found;
    }
    return undefined;
  }

  /** Whether a worker that does not run any more has left ccaches for the next one. */
  hasKept(): boolean {
    if (this.#uris) return true;
    return this.#directories.some((directory) =>
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
    const names = clientDirectories(this.settings, this.#uid, this.#env).flatMap(namesIn);
    return [...new Set(names.flatMap((name) => sessionNamed(name) ?? []))].sort();
  }

  get #directories(): string[] {
    const directories = clientDirectories(this.settings, this.#uid, this.#env);
    return directories.map((directory) => sessionDirectory(directory, this.session));
  }

  get #whose(): Whose {
    return { uid: this.#uid, session: this.session };
  }

  /**
   * A connection to a worker, through a launcher, which starts it where none runs. Throws 223 (`ccErrServerUnavailable`)
   * saying what each way came to.
   */
  async launched(): Promise<Found> {
    if (this.#uris) return this.#byURIs(this.#uris);
    const tried: string[] = [];
    for (const ask of this.#launchers()) {
      try {
        const { path, found } = await this.#asked(ask.path);
        if (found) {
          this.#explain(`${ask.name}: answers ${path}`);
          return found;
        }
        tried.push(`${ask.name}: ${path === undefined ? 'nothing listens there' : `nobody listens at ${path}`}`);
        this.#explain(tried.at(-1) as string);
      } catch (error) {
        if (!(error instanceof RendezvousError)) throw error;
        tried.push(`${ask.name}: ${error.message}`);
        this.#explain(tried.at(-1) as string);
        if (ask.decides) break;
      }
    }
    throw new CCAPIError(
      'ccErrServerUnavailable',
      `no credential-cache server: ${tried.join('; ') || 'nowhere to ask'}`,
    );
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
    if (uri.scheme === 'unix') return { socket: await connectToPath(uri.path, this.#uid), path: uri.path };
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

  /** The launchers in turn. What the machine's own says is final; a port above 1023 may be anybody's. */
  #launchers(): { name: string; decides: boolean; path(): Promise<string | undefined> }[] {
    const ports = this.settings.port ? [this.settings.port] : this.#uid === 0 ? [789] : [789, 7789];
    const launchers = ports.map((port) => ({
      name: `launcher on port ${port}`,
      decides: port < 1024 || this.settings.port !== undefined,
      path: (): Promise<string | undefined> => askPort(port, this.#whose),
    }));
    const own = {
      name: 'launcher of our own',
      decides: true,
      path: () => askChild([...this.#launcher, '--inetd'], this.#whose, this.#env),
    };
    return this.settings.autostart ? [...launchers, own] : launchers;
  }

  /** Connecting is the proof of who we are, and the directory is the proof of who they are. */
  async #connected(path: string): Promise<Found | undefined> {
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
      throw new CCAPIError('ccErrServerUnavailable', `${path} is longer than a socket's path may be: 107 bytes`);
    }
    try {
      checkPrivateDirectory(dirname(path), this.#uid);
      return { socket: await connected(path), path };
    } catch (error) {
      if (saysNobodyListens(error)) return undefined;
      if (error instanceof CCAPIError) throw error;
      throw new CCAPIError('ccErrServerUnavailable', `${path}: ${(error as Error).message}`, { cause: error });
    }
  }
}

/** What a directory has; nothing where there is none, or none of ours. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
