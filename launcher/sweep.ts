import { readdirSync, rmdirSync } from 'node:fs';
import { baseDirectory } from '../etc/config/paths.ts';
import { loadSettings, type SettingTexts, settingArguments } from '../etc/config/settings.ts';
import { Company } from '../etc/host/company.ts';
import { NO_GROUP } from '../etc/host/identity.ts';
import { NameService } from '../etc/host/name-service.ts';
import { UsageError } from '../proto/errors.ts';
import { spawnWorker } from './spawn-worker.ts';
import { unmount } from './user-space.ts';

/** How long destroying a user's tickets may take, in milliseconds. */
const DEADLINE = 60_000;

/**
 * Removes the directories of uids that no account has any more, and what is in them. What is below a user's directory is
 * destroyed by a process of that uid, not by root. Throws where a name service does not answer: then nothing is known.
 */
export async function sweep(given: SettingTexts): Promise<void> {
  const settings = loadSettings({ commandLine: given });
  if (process.geteuid?.() !== 0) throw new UsageError('--sweep: only root can remove the directories of users');
  if (settings.unknownUids === 'allow')
    throw new UsageError('--sweep: with unknown_uids = allow a uid needs no account');
  if (settings.pathTemplate !== undefined) return;
  const base = baseDirectory(settings, 0, process.env);
  const names = new NameService();
  for (const uid of uidsIn(base)) {
    if ((await names.user(uid)) || !new Company(uid).isAlone()) continue;
    const args = [...settingArguments({ ...given, directory: base }), '--forget'];
    await spawnWorker(args).assign({ uid, gid: NO_GROUP }, DEADLINE);
    removeEmpty(`${base}/${uid}`);
  }
}

function uidsIn(base: string): number[] {
  try {
    return readdirSync(base)
      .filter((name) => /^[1-9][0-9]*$/.test(name))
      .map(Number);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Removes a directory of the base, and the file system of the user's own that may be mounted there. */
function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
    unmount(path);
    rmdirSync(path);
  }
}
