import { existsSync, readdirSync } from 'node:fs';
import { makeDirectoryStep, readText, removeDirectoryStep, type Step, writeStep } from '../../etc/config/setup-step.ts';
import { ConfigError } from '../../proto/errors.ts';

/** A directory of setup's own: what is in the package is gone with it. */
export const OWN_DIRECTORY = '/etc/ccapi';

const FILE = `${OWN_DIRECTORY}/setup.json`;

/** A unit that had the front door, and whether systemd started it at each boot. */
export interface Displaced {
  unit: string;
  wasEnabled: boolean;
}

/** What cannot be seen of a machine any more once it is set up, and is needed to undo that. */
export interface SetupRecord {
  /** The directories that were not there. */
  directories: string[];
  /** The units that systemd did not start by itself. */
  enabled: string[];
  displaced: Displaced[];
}

/** That of a machine of which nothing is known. */
const nothing: SetupRecord = { directories: [], enabled: [], displaced: [] };

/** The record of an earlier run; undefined where there is none. Throws 202 (`ccErrBadParam`) for one that cannot be read. */
export function readRecord(): SetupRecord | undefined {
  const text = readText(FILE);
  if (text === undefined) return undefined;
  try {
    const { directories, enabled, displaced } = JSON.parse(text);
    return { directories: [...directories], enabled: [...enabled], displaced: [...displaced] };
  } catch (error) {
    throw new ConfigError(`${FILE} is not what setup has written`, { cause: error });
  }
}

/**
 * The first steps, told what is going to be there, enabled and displaced. What an earlier record says is kept, since that is how the
 * machine was before.
 */
export function recordSteps({ directories, enabled, displaced }: SetupRecord): Step[] {
  const earlier = readRecord() ?? nothing;
  const added = (known: string[], paths: string[]) => [
    ...known,
    ...paths.filter((path) => !known.includes(path) && !existsSync(path)),
  ];
  const known = earlier.displaced.map(({ unit }) => unit);
  const record: SetupRecord = {
    directories: added(earlier.directories, directories),
    enabled: [...new Set([...earlier.enabled, ...enabled])],
    displaced: [...earlier.displaced, ...displaced.filter(({ unit }) => !known.includes(unit))],
  };
  const directory = existsSync(OWN_DIRECTORY) ? [] : [makeDirectoryStep(OWN_DIRECTORY)];
  return [...directory, ...writeStep(FILE, `${JSON.stringify(record, null, 2)}\n`)];
}

/** The last steps: the record goes last but for its directory, so that what is killed before can be done again. */
export function forgetSteps(record: SetupRecord | undefined): Step[] {
  const others = [...(record?.directories ?? [])].reverse();
  return [
    ...others.filter((path) => existsSync(path)).map(removeDirectoryStep),
    ...writeStep(FILE, undefined),
    ...(isOurs(OWN_DIRECTORY) ? [removeDirectoryStep(OWN_DIRECTORY)] : []),
  ];
}

/** Whether nothing is in it but what setup has put there. */
function isOurs(directory: string): boolean {
  return existsSync(directory) && readdirSync(directory).every((name) => /^(?:setup\.json|launcher)\b/.test(name));
}
