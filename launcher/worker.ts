import { existsSync, readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { decideAccess } from '../etc/access-rules.ts';
import { MAX_SOCKET_PATH, SOCKET_NAME, sessionDirectory, sessionNamed, userDirectory } from '../etc/base-directory.ts';
import type { User } from '../etc/passwd.ts';
import { withRightsOf } from '../etc/rights.ts';
import { NO_SESSION } from '../etc/session.ts';
import { type Settings, type SettingTexts, settingArguments } from '../etc/settings.ts';
import { RendezvousError, type Whose } from '../proto/rendezvous.ts';
import { isRootsPlace, prepareBaseDirectory, prepareUserDirectory } from './directories.ts';
import { takeStartLock } from './start-lock.ts';

/** How long a worker may take until it listens, in milliseconds. */
const START_DEADLINE = 20_000;

/** How often it is looked whether another launcher's worker has come up, in milliseconds. */
const LOOK_AGAIN = 25;

/** The gid of a user whom the passwd database does not know; Debian's and most systems' `nogroup`. */
const NO_GROUP = 65534;

/** Finds a uid's worker, or starts it. */
export class Workers {
  readonly #base: string;
  readonly #settings: Settings;
  readonly #handedOn: SettingTexts;
  readonly #launcherUid: number;
  readonly #starting = new Map<string, Promise<void>>();
  readonly #directories = new Map<number, string>();

  /** `given` are the settings that this launcher was given on its command line; a worker gets them too. */
  constructor(base: string, settings: Settings, given: SettingTexts, launcherUid: number) {
    this.#base = base;
    this.#settings = settings;
    this.#handedOn = { ...given, directory: base };
    this.#launcherUid = launcherUid;
  }

  /** The path of the socket of the worker, which listens. Throws a {@link RendezvousError}. */
  async socketOf(whose: Whose): Promise<string> {
    const { uid } = whose;
    if (this.#launcherUid !== 0 && uid !== this.#launcherUid) {
      throw new RendezvousError(
        'cannot-become-uid',
        `this launcher runs as uid ${this.#launcherUid} and cannot serve uid ${uid}; only one started by root can`,
      );
    }
    await this.#checkAccess(uid);
    const path = `${this.#directory(whose)}/${SOCKET_NAME}`;
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
      throw new RendezvousError('config', `${path} is longer than a socket's path may be: choose another directory`);
    }
    if (await this.#isServing(whose)) return path;
    let starting = this.#starting.get(path);
    if (!starting) {
      starting = this.#start(whose).finally(() => this.#starting.delete(path));
      this.#starting.set(path, starting);
    }
    await starting;
    return path;
  }

  #directory({ uid, session }: Whose): string {
    return sessionDirectory(this.#userDirectory(uid), this.#sessionFor(session));
  }

  /** A template may have to be looked up in the passwd database; once is enough. */
  #userDirectory(uid: number): string {
    const known = this.#directories.get(uid);
    if (known !== undefined) return known;
    try {
      const directory = userDirectory(this.#settings.pathTemplate, this.#base, uid);
      this.#directories.set(uid, directory);
      return directory;
    } catch (error) {
      throw new RendezvousError('config', (error as Error).message, { cause: error });
    }
  }

  /** Where all sessions of a user share their ccaches, it does not matter which one it is. */
  #sessionFor(session: string | undefined): string | undefined {
    return this.#settings.scope === 'session' ? (session ?? NO_SESSION) : undefined;
  }

  /** Before anything is made for a uid. The databases are read only where there are rules. */
  async #checkAccess(uid: number): Promise<void> {
    const { allow, deny } = this.#settings;
    if (allow.length + deny.length === 0) return;
    const { nameService } = await import('../etc/passwd.ts');
    const { allowed, rule } = decideAccess({ allow, deny }, uid, nameService);
    if (!allowed) throw new RendezvousError('denied', `uid ${uid} is not served: ${rule ?? 'no allow line names it'}`);
  }

  /** Connects to a socket of the worker. Rejects with the system's error where none listens. */
  connectTo = (whose: Whose, name: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const path = `${this.#directory(whose)}/${name}`;
      // A user's directory is the user's to play with, so root goes into it with no more rights than the user has.
      const socket = withRightsOf({ uid: whose.uid }, () => connect({ path, allowHalfOpen: true }));
      socket.once('connect', () => resolve(socket.off('error', reject)));
      socket.once('error', reject);
    });

  /** Whether any worker serves below the base directory. */
  async anyServes(): Promise<boolean> {
    for (const name of readdirSync(this.#base)) {
      if (!/^[0-9]+$/.test(name)) continue;
      for (const session of this.#sessionsOf(`${this.#base}/${name}`)) {
        if (await this.#isServing({ uid: Number(name), session })) return true;
      }
    }
    return false;
  }

  #sessionsOf(directory: string): (string | undefined)[] {
    if (this.#settings.scope === 'user') return [undefined];
    return readdirSync(directory).flatMap((name) => sessionNamed(name) ?? []);
  }

  async #isServing(whose: Whose): Promise<boolean> {
    const path = `${this.#directory(whose)}/${SOCKET_NAME}`;
    // Before a first start there is nothing to connect to, and this is the quicker way to know.
    if (!withRightsOf({ uid: whose.uid }, () => existsSync(path))) return false;
    try {
      (await this.connectTo(whose, SOCKET_NAME)).destroy();
      return true;
    } catch {
      return false;
    }
  }

  async #start(whose: Whose): Promise<void> {
    const { uid } = whose;
    const user = await this.#user(uid);
    const directory = this.#userDirectory(uid);
    if (this.#settings.pathTemplate === undefined) prepareBaseDirectory(this.#base, this.#launcherUid);
    prepareUserDirectory(directory, user, this.#launcherUid);
    const deadline = performance.now() + START_DEADLINE;
    for (;;) {
      const unlock = this.#lock(directory);
      if (unlock) {
        try {
          if (!(await this.#isServing(whose))) await this.#spawn(user, whose);
          return;
        } finally {
          unlock();
        }
      }
      if (await this.#isServing(whose)) return;
      if (performance.now() > deadline) throw new RendezvousError('timeout', `no worker came up for uid ${uid}`);
      await delay(LOOK_AGAIN);
    }
  }

  async #user(uid: number): Promise<Pick<User, 'uid' | 'gid'>> {
    if (uid === this.#launcherUid) return { uid, gid: process.getgid?.() ?? uid };
    const { userWithUid } = await import('../etc/passwd.ts');
    const user = userWithUid(uid);
    if (user) return user;
    if (this.#settings.unknownUids === 'allow') return { uid, gid: NO_GROUP };
    throw new RendezvousError('unknown-uid', `the passwd database has no uid ${uid}; see unknown_uids in krb5.conf`);
  }

  /** What only a start needs is loaded only for it: most askers find their worker running. */
  async #spawn(user: Pick<User, 'uid' | 'gid'>, { session: named }: Whose): Promise<void> {
    const { spawnWorker } = await import('./spawn-worker.ts');
    const identity = this.#launcherUid === 0 && user.uid !== 0 ? user : undefined;
    const session = this.#sessionFor(named);
    const args = [...settingArguments(this.#handedOn), ...(session === undefined ? [] : [`--session=${session}`])];
    await spawnWorker(user.uid, identity, args, START_DEADLINE);
  }

  /** Where others can put things, root makes no lock. */
  #lock(directory: string): (() => void) | undefined {
    if (this.#launcherUid === 0 && !isRootsPlace(directory)) return () => {};
    return takeStartLock(`${directory}.lock`, START_DEADLINE / 2);
  }
}
