import { readFileSync, statSync } from 'node:fs';
import { monotonic } from './monotonic.ts';
import {
  databases,
  type Group,
  type Membership,
  type NameService as Names,
  type UidPattern,
  type User,
} from './passwd.ts';

/** How long `getent` may take, in milliseconds. */
const DEADLINE = 5000;

/** How many run at once; further look-ups wait for their turn. */
const MOST_RUNNING = 32;

/** How long an answer holds, and how long after that it still stands in while it is asked for again, in milliseconds. */
const FOUND = 60_000;
const NOT_FOUND = 10_000;
const STAND_IN = 600_000;

/** How often the files are looked at for a change, at the most, in milliseconds. */
const LOOK_AGAIN = 1000;

/** How many answers are kept. */
const MOST_KEPT = 10_000;

/** getent(1): one or more of the keys could not be found. */
const NO_SUCH_KEY = 2;

interface Answer {
  entry: User | Group | undefined;
  at: number;
}

/** The name service did not answer; nothing is known of the key then, also not that it does not exist. */
export class NameServiceError extends Error {}

/**
 * Users and groups for a process that serves all of them from one thread: the files are read at once, and again when they
 * have changed; everything else is asked of `getent`, for which only the caller waits. Answers are kept for a minute,
 * "no such entry" for ten seconds.
 */
export class NameService implements Names<Promise<Membership>> {
  readonly #users = new LocalFile(databases.passwd, ({ uid, name }) => [String(uid), `name ${name}`]);
  readonly #groups = new LocalFile(databases.group, ({ name }) => [`name ${name}`]);
  readonly #answers = new Map<string, Answer>();
  readonly #asking = new Map<string, Promise<User | Group | undefined>>();
  readonly #turns: (() => void)[] = [];
  readonly #getent: string;
  #running = 0;

  /** `getent` is the path of the program, or of one that answers as it does. */
  constructor(getent = '/usr/bin/getent') {
    this.#getent = getent;
  }

  /** Whether a uid is in the passwd database, as far as this can be said without asking for it. */
  isKnown(uid: number): boolean {
    return this.#users.find(String(uid)) !== undefined || this.#answers.get(`passwd ${uid}`)?.entry !== undefined;
  }

  /** The user of a uid. Rejects with a {@link NameServiceError} where that cannot be known now. */
  async user(uid: number): Promise<User | undefined> {
    return this.#users.find(String(uid)) ?? ((await this.#ask('passwd', String(uid))) as User | undefined);
  }

  async isUser(uid: number, name: string): Promise<boolean> {
    const local = this.#users.find(`name ${name}`);
    return local ? local.uid === uid : (await this.user(uid))?.name === name;
  }

  async isInGroup(uid: number, name: string): Promise<Membership> {
    const user = await this.user(uid);
    const group = await this.#group(name);
    if (!group) return undefined;
    return user !== undefined && (user.gid === group.gid || group.members.includes(user.name));
  }

  /** The names in rules that no database has, as they are written; what cannot be asked for now is taken to be there. */
  async missingNames(rules: readonly { pattern: UidPattern }[]): Promise<string[]> {
    const missing: string[] = [];
    for (const { pattern } of rules) {
      if ('user' in pattern && !(await this.#has(() => this.#userNamed(pattern.user)))) missing.push(pattern.user);
      if ('group' in pattern && !(await this.#has(() => this.#group(pattern.group)))) missing.push(`@${pattern.group}`);
    }
    return missing;
  }

  async #userNamed(name: string): Promise<User | Group | undefined> {
    return this.#users.find(`name ${name}`) ?? this.#ask('passwd', name);
  }

  async #group(name: string): Promise<Group | undefined> {
    return this.#groups.find(`name ${name}`) ?? ((await this.#ask('group', name)) as Group | undefined);
  }

  async #has(ask: () => Promise<User | Group | undefined>): Promise<boolean> {
    try {
      return (await ask()) !== undefined;
    } catch {
      return true;
    }
  }

  async #ask(database: keyof typeof databases, key: string): Promise<User | Group | undefined> {
    const name = `${database} ${key}`;
    const known = this.#answers.get(name);
    const age = known ? monotonic() - known.at : Number.POSITIVE_INFINITY;
    if (known && age < (known.entry ? FOUND : NOT_FOUND)) return known.entry;
    let asking = this.#asking.get(name);
    if (!asking) {
      asking = this.#askNow(database, key).finally(() => this.#asking.delete(name));
      this.#asking.set(name, asking);
    }
    if (known?.entry === undefined || age > FOUND + STAND_IN) return asking;
    // A slow name service is waited for once, not each minute again.
    asking.catch(() => {});
    return known.entry;
  }

  async #askNow(database: keyof typeof databases, key: string): Promise<User | Group | undefined> {
    await this.#turn();
    try {
      const entry = await getent(this.#getent, database, key);
      this.#keep(`${database} ${key}`, entry);
      return entry;
    } finally {
      this.#running--;
      this.#turns.shift()?.();
    }
  }

  async #turn(): Promise<void> {
    if (this.#running >= MOST_RUNNING) await new Promise<void>((resolve) => this.#turns.push(resolve));
    this.#running++;
  }

  #keep(name: string, entry: User | Group | undefined): void {
    this.#answers.delete(name);
    this.#answers.set(name, { entry, at: monotonic() });
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > MOST_KEPT) this.#answers.delete(oldest as string);
  }
}

/** A database's file by keys, read again when it has changed. */
class LocalFile<Entry> {
  readonly #database: { path: string; parse(line: string): Entry | undefined };
  readonly #keysOf: (entry: Entry) => string[];
  #entries = new Map<string, Entry>();
  #version = '';
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(database: { path: string; parse(line: string): Entry | undefined }, keysOf: (entry: Entry) => string[]) {
    this.#database = database;
    this.#keysOf = keysOf;
  }

  find(key: string): Entry | undefined {
    const now = monotonic();
    if (now - this.#lookedAt >= LOOK_AGAIN) {
      this.#lookedAt = now;
      try {
        this.#read();
      } catch {
        // What was read before stands in, as where no descriptor is left; the next look is in a second.
        this.#version = '';
      }
    }
    return this.#entries.get(key);
  }

  #read(): void {
    const { path, parse } = this.#database;
    const found = statSync(path, { throwIfNoEntry: false });
    const version = found ? `${found.ino} ${found.size} ${found.mtimeMs}` : '';
    if (version === this.#version) return;
    const entries = new Map<string, Entry>();
    for (const line of found ? readFileSync(path, 'utf8').split('\n') : []) {
      const entry = parse(line);
      // Of two entries of one key the first counts, as for getpwuid(3).
      for (const key of entry ? this.#keysOf(entry) : []) if (!entries.has(key)) entries.set(key, entry as Entry);
    }
    this.#entries = entries;
    this.#version = version;
  }
}

function getent(program: string, database: keyof typeof databases, key: string): Promise<User | Group | undefined> {
  // Loaded late: a launcher that finds a running worker needs no child.
  const { execFile } = process.getBuiltinModule('node:child_process');
  const options = { env: {}, encoding: 'utf8', timeout: DEADLINE, killSignal: 'SIGKILL', maxBuffer: 1 << 20 } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(program, [database, '--', key], options, (error, stdout) => {
      if (!error) resolve(databases[database].parse(stdout.split('\n')[0] as string));
      // A system without getent has no more than its files.
      else if (error.code === NO_SUCH_KEY || (error.code as unknown) === 'ENOENT') resolve(undefined);
      else reject(new NameServiceError(`the name service does not answer for ${database} ${key}; try again later`));
    });
    child.stdin?.destroy();
  });
}
