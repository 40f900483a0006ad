import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { ConfigError } from '../../proto/errors.ts';
import { findUnfinished, removeFile, replaceFile } from '../host/replace-file.ts';
import { callSystemctl } from '../host/systemctl.ts';
import { unifiedDiff } from './text-diff.ts';

/** One step of a set-up. */
export interface Step {
  /** A line that is printed when it is done. */
  says: string;
  /** What is printed where it is not to be done: that line, or how a file would change. */
  preview: string[];
  run(): void | Promise<void>;
}

/** A step that changes no file of its own. */
export function step(says: string, run: Step['run']): Step {
  return { says, preview: [says], run };
}

/** A step of systemd's. Throws 202 (`ccErrBadParam`) with what systemctl(1) says where it fails. */
export function systemctlStep(...args: string[]): Step {
  const line = `systemctl ${args.join(' ')}`;
  return step(line, () => {
    const wrong = callSystemctl(...args);
    if (wrong !== undefined) throw new ConfigError(`${line}: ${wrong}`);
  });
}

/** The bytes of a file, as latin1; undefined where there is none. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Has a file this text, or none be there, and nothing beside it that was left unfinished; no step where that is so already. */
export function writeStep(path: string, after: string | undefined, mode?: number): Step[] {
  const unfinished = findUnfinished(path);
  if (unfinished) return [step(`remove ${unfinished}`, () => removeFile(unfinished)), ...changeStep(path, after, mode)];
  return changeStep(path, after, mode);
}

function changeStep(path: string, after: string | undefined, mode: number | undefined): Step[] {
  const before = readText(path);
  if (before === after) return [];
  const preview = unifiedDiff(path, before ?? '', after ?? '');
  if (after === undefined) return [{ says: `remove ${path}`, preview, run: () => removeFile(path) }];
  return [{ says: `write ${path}`, preview, run: () => replaceFile(path, after, mode) }];
}

/** A text of ours, in the form in which files are read here: the paths in it may have any characters. */
export function asBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

export function makeDirectoryStep(path: string): Step {
  return step(`mkdir ${path}`, () => void mkdirSync(path, { recursive: true, mode: 0o755 }));
}

/** Removes a directory that was made by setup, unless something is in it by now. */
export function removeDirectoryStep(path: string): Step {
  return step(`rmdir ${path}, if it is empty`, () => {
    try {
      rmdirSync(path);
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  });
}
