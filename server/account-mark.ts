import { readdirSync, statSync } from 'node:fs';
import { keptDirectoryIn, VIEW_NAME } from '../etc/config/paths.ts';
import { type Account, accountOf, dynamicMark, isDynamic } from '../etc/host/account.ts';
import type { Log } from '../etc/host/log.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import { databases } from '../etc/host/passwd.ts';
import { readRegularFile } from '../etc/host/read-file.ts';
import { replaceFile, shredTree } from './storage/atomic-file.ts';
import { COLLECTION_FILE } from './storage/collection-file.ts';
import { PRIMARY_FILE } from './storage/load.ts';
import { fromSummedJSON, toSummedJSON } from './storage/summed-json.ts';

/** The name of the file, beside the ccaches that are kept. */
export const ACCOUNT_FILE = 'account';

/** The longest such file, in bytes. */
const MAX_FILE = 1 << 20;

/** How often /etc/passwd is looked at for a change, at the most, in milliseconds. */
const LOOK_AGAIN = 1000;

/**
 * Tells whether a worker's directory is still that of the account it was made for. A uid may be given to another account,
 * which must not find the tickets of the former one.
 */
export class AccountMark {
  readonly #kept: string;
  readonly #directory: string;
  readonly #uid: number;
  readonly #told: string | undefined;
  readonly #log: Log;
  #account: Account | undefined;
  #passwd = passwdState();
  #lookedAt = monotonic();

  /** `path` leads to the directory, also after it was renamed; `told` is the user's name where /etc/passwd lacks it. */
  constructor(path: string, uid: number, told: string | undefined, log: Log) {
    this.#kept = keptDirectoryIn(path);
    this.#directory = path;
    this.#uid = uid;
    this.#told = told;
    this.#log = log;
  }

  /** Destroys what another account has left. Throws the system's error where that fails. */
  settle(): void {
    const marked = this.#read();
    // Where nothing was kept, the first answer does not wait for what is known of the account.
    if (!marked) return;
    const now = accountOf(this.#uid, this.#told);
    if (!now) return;
    if (isOther(marked, now)) {
      this.#logChange(marked, now);
      shredTree(this.#kept);
      for (const name of readdirSync(this.#directory)) {
        if (name.startsWith(VIEW_NAME)) shredTree(`${this.#directory}/${name}`);
      }
    }
    this.#account = { ...now, made: now.made || marked.made };
  }

  /** Whether the uid has become another account's since. */
  hasChanged(): boolean {
    try {
      if (!this.#account || !this.#mayHaveChanged()) return false;
      const now = accountOf(this.#uid, this.#told);
      return now !== undefined && isOther(this.#account, now);
    } catch {
      // While /etc/passwd is replaced, nothing is known.
      return false;
    }
  }

  /** Goes on with the account that the uid has now, once `clear` has destroyed what the former one had. Throws the system's error. */
  change(clear: () => void): void {
    const now = accountOf(this.#uid, this.#told);
    if (this.#account && now) this.#logChange(this.#account, now);
    clear();
    // What was set aside may hold tickets too.
    for (const name of isThere(this.#kept) ? readdirSync(this.#kept) : []) {
      if (![COLLECTION_FILE, PRIMARY_FILE].includes(name)) shredTree(`${this.#kept}/${name}`);
    }
    this.#account = now;
    this.restore();
  }

  /** Writes the mark where it is missing, and ccaches are kept. */
  restore(): void {
    this.#account ??= accountOf(this.#uid, this.#told);
    const text = this.#account && `${toSummedJSON(this.#account)}\n`;
    const path = `${this.#kept}/${ACCOUNT_FILE}`;
    try {
      if (text !== undefined && isThere(this.#kept) && readOrNothing(path) !== text)
        replaceFile(path, Buffer.from(text), false);
    } catch (error) {
      this.#log.warning(`cannot write ${path}: ${(error as Error).message}`);
    }
  }

  #logChange(before: Account, now: Account): void {
    this.#log.warning(`uid ${this.#uid} was ${describe(before)} and is ${describe(now)}: removing the tickets`);
  }

  #read(): Account | undefined {
    const [line = ''] = readOrNothing(`${this.#kept}/${ACCOUNT_FILE}`).split('\n');
    return fromSummedJSON(line, { name: '', made: '' }, () => true);
  }

  /** One call of the system for a connection, or none: services with `DynamicUser` may follow each other within a moment. */
  #mayHaveChanged(): boolean {
    if (isDynamic(this.#uid)) return this.#account?.made !== (dynamicMark(this.#uid) ?? '');
    const now = monotonic();
    if (now - this.#lookedAt < LOOK_AGAIN) return false;
    this.#lookedAt = now;
    const state = passwdState();
    if (state === this.#passwd) return false;
    this.#passwd = state;
    return true;
  }
}

/** A renamed account is another one too: nothing tells who has the name now. */
function isOther(before: Account, now: Account): boolean {
  // Where no service has the name now, it may be one that is away.
  const isRenamed = before.name !== now.name && now.name !== '';
  return isRenamed || (before.made !== '' && now.made !== '' && before.made !== now.made);
}

function describe({ name, made }: Account): string {
  return `${name === '' ? 'no account' : name}${made === '' ? '' : ` (${made})`}`;
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** What changes with the file. */
function passwdState(): string {
  const found = statSync(databases.passwd.path, { throwIfNoEntry: false });
  return `${found?.ino} ${found?.mtimeMs}`;
}

/** The text of a file; empty for what is none, or cannot be read. */
function readOrNothing(path: string): string {
  try {
    return readRegularFile(path, MAX_FILE).toString();
  } catch {
    return '';
  }
}
