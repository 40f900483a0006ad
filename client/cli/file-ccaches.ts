import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readRegularFile } from '../../etc/host/read-file.ts';
import { type ReadCCacheFile, readCCacheFile } from '../../proto/ccache-file.ts';
import { CCAPIError } from '../index.ts';
import { UsageError } from './command.ts';

/** The one argument of a command that takes a residual; `expected` names it where it is missing. */
export function onlyResidual([residual, ...more]: string[], expected: string): string {
  if (residual === undefined || more.length > 0) throw new UsageError(`expected one ${expected}`);
  return residual;
}

/** The path in `FILE:/path`, or in a bare path, which the Kerberos programs read as a FILE too. */
export function filePath(residual: string): string {
  // What stands before the first colon is a type, also where it is empty, or where nothing follows.
  const [, type, path = ''] = /^(?:([A-Za-z]*):)?(.*)$/s.exec(residual) ?? [];
  if (path === '' || (type !== undefined && type.toUpperCase() !== 'FILE')) {
    throw new UsageError(`expected FILE:PATH and not ${JSON.stringify(residual)}`);
  }
  return path;
}

/** The FILE ccaches that `FILE:/path` or `DIR:/path` stands for; of a DIR, its primary first. */
export function ccacheFiles(residual: string): string[] {
  const directory = /^DIR:(?!:)(.+)$/i.exec(residual)?.[1];
  if (directory !== undefined) return filesIn(directory);
  return [filePath(residual.replace(/^DIR::/i, 'FILE:'))];
}

/** Bytes of the largest FILE ccache that is read. */
const MAX_CCACHE = 64 * 2 ** 20;

/** Bytes of the largest `primary` file of a DIR that is read: it holds one name. */
const MAX_PRIMARY = 2 ** 20;

/** Reads a FILE ccache; its errors name the file. Devices, FIFOs and what is too large are refused. */
export function readFileCCache(path: string): ReadCCacheFile {
  const bytes = readRegularFile(path, MAX_CCACHE, (head) => checkVersion(head, path));
  try {
    return readCCacheFile(bytes);
  } catch (error) {
    if (!(error instanceof CCAPIError)) throw error;
    throw new CCAPIError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}

/** Refuses a file that does not begin as a FILE ccache of any version does, before the rest is read. */
function checkVersion(head: Buffer, path: string): void {
  const [first, version = 0] = head;
  if (first !== 5 || version < 1 || version > 4) throw new CCAPIError('malformed', `${path}: not a FILE ccache`);
}

function filesIn(directory: string): string[] {
  const names = readdirSync(directory)
    .filter((name) => name.startsWith('tkt'))
    .sort();
  const primary = primaryOf(directory);
  names.sort((a, b) => Number(b === primary) - Number(a === primary));
  return names.map((name) => join(directory, name));
}

function primaryOf(directory: string): string | undefined {
  try {
    return readRegularFile(join(directory, 'primary'), MAX_PRIMARY).toString().split('\n')[0];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
