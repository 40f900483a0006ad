import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { decideAccess } from '../etc/access-rules.ts';
import { MAX_SOCKET_PATH, SOCKET_NAME, socketPath, userDirectory } from '../etc/base-directory.ts';
import type { User } from '../etc/passwd.ts';
import { type Settings, type SettingTexts, settingArguments } from '../etc/settings.ts';
import { RendezvousError } from '../proto/rendezvous.ts';
import { prepareBaseDirectory, prepareUserDirectory } from './directories.ts';

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
  readonly #starting = new Map<number, Promise<void>>();

  /** `given` are the settings that this launcher was given on its command line; a worker gets them too. */
  constructor(base: string, settings: Settings, given: SettingTexts, launcherUid: number) {
    this.#base = base;
    this.#settings = settings;
    this.#handedOn = { ...given, directory: base };
    this.#launcherUid = launcherUid;
  }

  /** The path of the socket of the uid's worker, which listens. Throws a {@link RendezvousError}. */
  async socketOf(uid: number): Promise<string> {
    if (this.#launcherUid !== 0 && uid !== this.#launcherUid) {
      throw new RendezvousError(
        'cannot-become-uid',
        `this launcher runs as uid ${this.#launcherUid} and cannot serve uid ${uid}; only one started by root can`,
      );
    }
    await this.#checkAccess(uid);
    const path = socketPath(this.#base, uid);
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
      throw new RendezvousError('config', `${path} is longer than a socket's path may be: choose another directory`);
    }
    if (await this.#isServing(uid)) return path;
    let starting = this.#starting.get(uid);
    if (!starting) {
      starting = this.#start(uid).finally(() => this.#starting.delete(uid));
      this.#starting.set(uid, starting);
    }
    await starting;
    return path;
  }

  /** Before anything is made for a uid. The databases are read only where there are rules. */
  async #checkAccess(uid: number): Promise<void> {
    const { allow, deny } = this.#settings;
    if (allow.length + deny.length === 0) return;
    const { nameService } = await import('../etc/passwd.ts');
    const { allowed, rule } = decideAccess({ allow, deny }, uid, nameService);
    if (!allowed) throw new RendezvousError('denied', `uid ${uid} is not served: ${rule ?? 'no allow line names it'}`);
  }

  /** Connects to a socket of the uid's worker. Rejects with the system's error where none listens. */
  connectTo = (uid: number, name: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = this.#connect(uid, name);
      socket.once('connect', () => resolve(socket.off('error', reject)));
      socket.once('error', reject);
    });

  /** Whether any worker serves below the base directory. */
  async anyServes(): Promise<boolean> {
    for (const name of readdirSync(this.#base)) {
      if (/^[0-9]+$/.test(name) && (await this.#isServing(Number(name)))) return true;
    }
    return false;
  }

  async #isServing(uid: number): Promise<boolean> {
    try {
      (await this.connectTo(uid, SOCKET_NAME)).destroy();
      return true;
    } catch {
      return false;
    }
  }

  /** A user's directory is the user's to play with, so root goes into it with no more rights than the user has. */
  #connect(uid: number, name: string): Socket {
    const become = this.#launcherUid === 0 && uid !== 0;
    if (become) process.seteuid?.(uid);
    try {
      return connect({ path: `${userDirectory(this.#base, uid)}/${name}`, allowHalfOpen: true });
    } finally {
      if (become) process.seteuid?.(0);
    }
  }

  async #start(uid: number): Promise<void> {
    const user = await this.#user(uid);
    prepareBaseDirectory(this.#base, this.#launcherUid);
    prepareUserDirectory(this.#base, user, this.#launcherUid);
    const deadline = performance.now() + START_DEADLINE;
    for (;;) {
      const unlock = await this.#lock(uid);
      if (unlock) {
        try {
          if (!(await this.#isServing(uid))) await this.#spawn(user);
          return;
        } finally {
          unlock();
        }
      }
      if (await this.#isServing(uid)) return;
      if (performance.now() > deadline) throw new RendezvousError('timeout', `no worker came up for uid ${uid}`);
      await delay(LOOK_AGAIN);
    }
  }

  async #user(uid: number): Promise<User> {
    if (uid === this.#launcherUid) return { uid, gid: process.getgid?.() ?? uid };
    const { userWithUid } = await import('../etc/passwd.ts');
    const user = userWithUid(uid);
    if (user) return user;
    if (this.#settings.unknownUids === 'allow') return { uid, gid: NO_GROUP };
    throw new RendezvousError('unknown-uid', `the passwd database has no uid ${uid}; see unknown_uids in krb5.conf`);
  }

  /** What only a start needs is loaded only for it: most askers find their worker running. */
  async #spawn(user: User): Promise<void> {
    const { spawnWorker } = await import('./spawn-worker.ts');
    const identity = this.#launcherUid === 0 && user.uid !== 0 ? user : undefined;
    await spawnWorker(user.uid, identity, settingArguments(this.#handedOn), START_DEADLINE);
  }

  /**
   * Keeps a storm of launchers from starting a storm of workers; undefined while another launcher is at it. It works
   * synchronously, as all of the launcher's file calls do: one in Node's thread pool could meet {@link #isServing} there,
   * since the effective uid is the whole process's.
   */
  async #lock(uid: number): Promise<(() => void) | undefined> {
    const { lockSync } = await import('proper-lockfile');
    try {
      return lockSync(userDirectory(this.#base, uid), {
        lockfilePath: `${userDirectory(this.#base, uid)}.lock`,
        realpath: false,
        stale: START_DEADLINE / 2,
        onCompromised: () => {},
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ELOCKED') return undefined;
      throw error;
    }
  }
}
