import { type FSWatcher, fstatSync, lstatSync, watch } from 'node:fs';
import { basename, dirname, normalize } from 'node:path';
import { useBeneath } from '../etc/host/beneath.ts';
import type { Log } from '../etc/host/log.ts';
import { readRegularFile } from '../etc/host/read-file.ts';
import { readCCacheFile } from '../proto/ccache-file.ts';
import type { CredentialV5 } from '../proto/credential.ts';
import { CONFIG_REALM, marshalled, toCredentialV5 } from '../proto/krb5-credential.ts';
import { unparsePrincipal } from '../proto/principal.ts';
import type { CCache, Contents } from './model/ccache.ts';
import type { Collection } from './model/collection.ts';
import { shred } from './storage/atomic-file.ts';

/** What the name of a login's ccache begins with; the path of its file follows. */
const PREFIX = 'FILE:';

/** The configuration entry that says that a ccache goes with its file; the ticket's bytes are the server's identity and the path. */
const MARK = 'krb5_ccache_conf_data/login_ccache';

/** The largest file that is read, in bytes. */
const MAX_FILE = 16 << 20;

/** How soon after an event a file is looked at, and how often without one, in milliseconds. */
const [SETTLE, LOOK_AGAIN] = [20, 10_000];

/** A file that is watched, and how it was when it was read. */
interface WatchedFile {
  watcher: FSWatcher | undefined;
  state: string | undefined;
}

/**
 * Tickets that arrive at login. sshd and pam_krb5 write them to a file of the user's, which they remove when the login ends. The
 * ccache `FILE:/path` holds what that file holds: it is made when a program first asks for it, and destroyed with the file, as the
 * file is with it. What the user does to it otherwise, as with kinit, makes it the user's own,
 * which stays.
 *
 * All this is done with the user's rights, by the worker alone: no program has to run at login or logout.
 */
export class LoginCCaches {
  readonly #collection: Collection;
  readonly #uid: number;
  readonly #log: Log;
  readonly #watched = new Map<string, WatchedFile>();
  #settled = 0;
  #soon: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(collection: Collection, uid: number, log: Log) {
    this.#collection = collection;
    this.#uid = uid;
    this.#log = log;
    for (const ccache of collection) {
      const path = this.#pathOf(ccache);
      if (path !== undefined) this.#watch(path);
    }
    this.#look();
  }

  /** Whether there is a ccache that has to go when a login ends. */
  get isHolding(): boolean {
    if (this.#watched.size === 0) return false;
    for (const ccache of this.#collection) if (this.#pathOf(ccache) !== undefined) return true;
    return false;
  }

  /** Makes the ccache of this name from the file that it names; undefined where there is none that this user's login has made. */
  find = (name: string): CCache | undefined => {
    const path = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : '';
    if (!path.startsWith('/') || normalize(path) !== path) return undefined;
    const contents = this.#read(path);
    if (!contents) return undefined;
    const ccache = this.#collection.replace(name, contents);
    this.#watch(path);
    return ccache;
  };

  /** Has a file go with its ccache where a client has destroyed that: it would be taken in again. To be done after each request. */
  settle(): void {
    if (this.#watched.size === 0 || this.#collection.changed === this.#settled) return;
    this.#settled = this.#collection.changed;
    for (const [path, { state }] of [...this.#watched]) {
      if (this.#collection.findByName(PREFIX + path)) continue;
      this.#unwatch(path);
      try {
        if (state !== undefined && stateOf(path) === state) shred(path);
      } catch (error) {
        this.#log.warning(`cannot remove ${path}: ${(error as Error).message}`);
      }
    }
  }

  /** Does what makes a ccache's contents anew and is not the user's doing, as a renewal: it goes with its file as before. */
  async keepMark(ccache: CCache, act: () => Promise<void>): Promise<void> {
    const path = this.#pathOf(ccache);
    try {
      await act();
    } finally {
      if (path !== undefined && !ccache.removed && this.#pathOf(ccache) === undefined) {
        this.#collection.store(ccache, markFor(ccache.contents.principal, this.#markOf(path)));
        // It may have gone meanwhile.
        this.#watch(path);
      }
    }
  }

  /** The path of the file that a ccache goes with; undefined for one that goes with none, as a copy from elsewhere does. */
  #pathOf({ name, contents }: CCache): string | undefined {
    const path = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined;
    if (path === undefined) return undefined;
    for (const { value } of contents.credentials.forService(MARK)) {
      if (value.ticket.data.toString() === this.#markOf(path)) return path;
    }
    return undefined;
  }

  /** No other program can write it, so that no ccache which a user imports leads to a file that is removed with it. */
  #markOf(path: string): string {
    return `${this.#collection.identifier.server} ${path}`;
  }

  close(): void {
    for (const path of this.#watched.keys()) this.#unwatch(path);
    clearTimeout(this.#soon);
    clearInterval(this.#poll);
  }

  #read(path: string): Contents | undefined {
    try {
      const bytes = this.#use(path, (at, descriptor) => {
        const { uid, mode, nlink } = fstatSync(descriptor);
        const isOwn = uid === this.#uid && (mode & 0o077) === 0 && nlink === 1;
        return isOwn ? readRegularFile(at, MAX_FILE) : undefined;
      });
      return bytes && this.#contentsOf(path, bytes);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') this.#log.warning(`cannot take in ${path}: ${message}`);
      return undefined;
    }
  }

  #contentsOf(path: string, bytes: Buffer): Contents | undefined {
    const { principal, kdcOffset, credentials } = readCCacheFile(bytes);
    bytes.fill(0);
    if (!principal) return undefined;
    const client = unparsePrincipal(principal);
    const contents = this.#collection.emptyContents(client);
    contents.credentials.append(markFor(client, this.#markOf(path)));
    for (const credential of credentials) {
      contents.credentials.append(toCredentialV5(credential), 0, marshalled(credential));
    }
    return { ...contents, nameType: principal.nameType, kdcOffset: (kdcOffset?.seconds ?? 0) >>> 0 };
  }

  /** No link is followed on the way, and no file system is asked that may not answer. */
  #use<T>(path: string, use: (at: string, descriptor: number) => T): T {
    const way = { user: { uid: this.#uid }, root: dirname(path), relative: basename(path), mounts: 'local' } as const;
    return useBeneath(way, use);
  }

  #watch(path: string): void {
    this.#unwatch(path);
    let watcher: FSWatcher | undefined;
    try {
      watcher = watch(path, { persistent: false }, () => this.#lookSoon());
      watcher.on('error', () => {});
    } catch {
      // It is gone already, or there are too many watches: then it is looked at from time to time.
    }
    const state = stateOf(path);
    this.#watched.set(path, { watcher, state });
    if (state === '') this.#lookSoon();
    this.#poll ??= setInterval(() => this.#look(), LOOK_AGAIN).unref();
  }

  #unwatch(path: string): void {
    this.#watched.get(path)?.watcher?.close();
    this.#watched.delete(path);
  }

  #lookSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#look();
    }, SETTLE).unref();
  }

  #look(): void {
    for (const [path, { state }] of [...this.#watched]) {
      const now = stateOf(path);
      if (now === '') this.#end(path);
      else if (now !== undefined && now !== state) this.#renew(path);
    }
  }

  /** The login has ended. */
  #end(path: string): void {
    this.#unwatch(path);
    for (const ccache of [...this.#collection]) {
      if (this.#pathOf(ccache) !== path) continue;
      try {
        this.#collection.destroy(ccache);
        this.#log.info(`${path} is gone: destroyed ${JSON.stringify(ccache.name)}`);
      } catch (error) {
        this.#log.error(`${path} is gone: cannot destroy ${JSON.stringify(ccache.name)}: ${(error as Error).message}`);
      }
    }
  }

  /** sshd or pam_krb5 has brought newer tickets. */
  #renew(path: string): void {
    const ccache = this.#collection.findByName(PREFIX + path);
    const contents = ccache && this.#pathOf(ccache) === path ? this.#read(path) : undefined;
    this.#watch(path);
    if (contents) this.#collection.replace(PREFIX + path, contents);
  }
}

function markFor(client: string, text: string): CredentialV5 {
  const nothing = { type: 0, data: Buffer.alloc(0) };
  return {
    ...{
      client,
      server: `${MARK}@${CONFIG_REALM}`,
      keyblock: nothing,
      authtime: 0,
      starttime: 0,
      endtime: 0,
      renewTill: 0,
    },
    ...{ isSkey: 0, ticketFlags: 0, addresses: [], authdata: [], secondTicket: nothing },
    ticket: { type: 0, data: Buffer.from(text) },
  };
}

/** What differs once a file was changed; empty where there is none, undefined where that cannot be known. */
function stateOf(path: string): string | undefined {
  try {
    const { ino, size, mtimeNs } = lstatSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } catch (error) {
    return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '') ? '' : undefined;
  }
}
