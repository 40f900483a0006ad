import { type BigIntStats, statSync } from 'node:fs';
import type { SettingsReport } from '../../proto/status.ts';
import { type SettingTexts, settingsInForce, settingsOf, settingsReport } from './settings.ts';
import type { Settings } from './settings-table.ts';

/** How old a file has to be for a further change to show in its time of change: the kernel's clock for it is coarse. */
const YOUNG = 50;

/**
 * The settings of a program that runs for long, as krb5.conf has them now: its files, with all that they include, are
 * looked at, and read anew only where one of them has changed.
 */
export class CurrentSettings {
  readonly #commandLine: SettingTexts;
  readonly #env: NodeJS.ProcessEnv;
  /** What the files that were read, and those that were missing, looked like before. */
  #looks = new Map<string, string>();
  /** Whether one of them was so young that it may have changed again since, unseen. */
  #isYoung = false;
  #report: SettingsReport = {};

  constructor(commandLine: SettingTexts, env: NodeJS.ProcessEnv = process.env) {
    this.#commandLine = commandLine;
    this.#env = env;
  }

  /** Reads them. Throws 202 (`ccErrBadParam`) as `loadSettings` does. */
  read(): Settings {
    this.#looks = new Map();
    this.#isYoung = false;
    // Before each file is read, so that what changes meanwhile is seen later.
    const looked = (path: string) => this.#looks.set(path, this.#lookAt(path));
    const inForce = settingsInForce({ commandLine: this.#commandLine, env: this.#env, looked });
    this.#report = settingsReport(inForce);
    return settingsOf(inForce);
  }

  /** The settings that were last read without a fault, as a report. */
  get report(): SettingsReport {
    return this.#report;
  }

  /** Whether a file has changed, come or gone since {@link read}. */
  hasChanged(): boolean {
    if (this.#isYoung) return true;
    for (const [path, look] of this.#looks) if (this.#lookAt(path) !== look) return true;
    return false;
  }

  #lookAt(path: string): string {
    let found: BigIntStats | undefined;
    try {
      found = statSync(path, { bigint: true, throwIfNoEntry: false });
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? '';
    }
    if (!found) return 'missing';
    if (Date.now() - Number(found.ctimeMs) < YOUNG) this.#isYoung = true;
    return `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
  }
}
