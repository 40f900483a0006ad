import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { socketPath, userDirectory } from '../etc/base-directory.ts';
import { type User, userWithUid } from '../etc/passwd.ts';
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
  readonly #starting = new Map<number, Promise<string>>();

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
    const path = socketPath(this.#base, uid);
    if (await this.#isServing(uid)) return path;
    let starting = this.#starting.get(uid);
    if (!starting) {
      starting = this.#start(uid).finally(() => this.#starting.delete(uid));
      this.#starting.set(uid, starting);
    }
    await starting;
    return path;
  }

  /** A user's directory is the user's to play with, so root looks into it with no more rights than the user has. */
  #isServing(uid: number): Promise<boolean> {
    const become = this.#launcherUid === 0 && uid !== 0;
    let probe: Socket;
    if (become) process.seteuid?.(uid);
    try {
      probe = connect(socketPath(this.#base, uid));
    } finally {
      if (become) process.seteuid?.(0);
    }
    return new Promise((resolve) => {
      probe.once('connect', () => {
        probe.destroy();
        resolve(true);
      });
      probe.once('error', () => resolve(false));
    });
  }

  async #start(uid: number): Promise<string> {
    const user = this.#user(uid);
    prepareBaseDirectory(this.#base, this.#launcherUid);
    prepareUserDirectory(this.#base, user, this.#launcherUid);
    const deadline = performance.now() + START_DEADLINE;
    for (;;) {
      const unlock = await this.#lock(uid);
      if (unlock) {
        try {
          return (await this.#isServing(uid)) ? 'ok' : await this.#spawn(user);
        } finally {
          await unlock();
        }
      }
      if (await this.#isServing(uid)) return 'ok';
      if (performance.now() > deadline) throw new RendezvousError('timeout', `no worker came up for uid ${uid}`);
      await delay(LOOK_AGAIN);
    }
  }

  #user(uid: number): User {
    const user = uid === this.#launcherUid ? { name: '', uid, gid: process.getgid?.() ?? uid } : userWithUid(uid);
    if (user) return user;
    if (this.#settings.unknownUids === 'allow') return { name: '', uid, gid: NO_GROUP };
    throw new RendezvousError('unknown-uid', `the passwd database has no uid ${uid}; see unknown_uids in krb5.conf`);
  }

  /** Keeps a storm of launchers from starting a storm of workers; undefined while another launcher is at it. */
  async #lock(uid: number): Promise<(() => Promise<void>) | undefined> {
    const { lock } = await import('proper-lockfile');
    try {
      return await lock(userDirectory(this.#base, uid), {
        lockfilePath: `${userDirectory(this.#base, uid)}.lock`,
        realpath: false,
        stale: 2 * START_DEADLINE,
        onCompromised: () => {},
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ELOCKED') return undefined;
      throw error;
    }
  }

  /** Starts a worker as the user and waits for its one line: that it, or another one, listens, or why not. */
  #spawn({ uid, gid }: User): Promise<string> {
    const identity = this.#launcherUid === 0 && uid !== 0 ? { uid, gid } : {};
    const child = spawn(process.execPath, [join(__dirname, 'ccapi-server.js'), ...settingArguments(this.#handedOn)], {
      ...identity,
      cwd: '/',
      detached: true,
      env: scrubbedEnvironment(process.env),
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const reported = new Promise<string>((resolve, reject) => {
      let said = '';
      const deadline = setTimeout(() => reject(failed(uid, 'it did not say that it listens')), START_DEADLINE);
      child.once('error', (error) => reject(failed(uid, error.message)));
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        said += chunk;
      });
      child.stdout.once('close', () => {
        clearTimeout(deadline);
        if (said === 'ok\n') resolve('ok');
        else reject(failed(uid, said.replace(/^error |\n/g, '') || 'it ended at once'));
      });
    });
    child.unref();
    return reported.finally(() => child.stdout.destroy());
  }
}

/** What a program of ours needs of the environment, and nothing that could change how Node runs it. */
export function scrubbedEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => name === 'KRB5_CONFIG' || name.startsWith('CCAPI_'));
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...Object.fromEntries(kept) };
}

function failed(uid: number, why: string): RendezvousError {
  return new RendezvousError('worker', `the worker of uid ${uid} could not be started: ${why}`);
}
