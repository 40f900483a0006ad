import { rmdirSync } from 'node:fs';
import { baseDirectory } from '../etc/config/paths.ts';
import { loadSettings, type SettingTexts, settingArguments } from '../etc/config/settings.ts';
import { Company } from '../etc/host/company.ts';
import { NO_GROUP } from '../etc/host/identity.ts';
import { NameService } from '../etc/host/name-service.ts';
import { namesIn, textOf } from '../etc/host/read-or-nothing.ts';
import { CCAPIError, UsageError } from '../proto/errors.ts';
import { spawnWorker } from './spawn-worker.ts';
import { unmount } from './user-space.ts';

/** How long destroying a user's tickets may take, in milliseconds. */
const DEADLINE = 60_000;

/**
 * Removes the directories of uids that no account has any more, and what is in them. What is below a user's directory is
 * destroyed by a process of that uid, not by root. Where another source of
 * accounts may be away, only those of accounts that were removed from /etc/passwd last go. Throws 223 with what could not be
 * removed.
 */
export async function sweep(given: SettingTexts): Promise<void> {
  const settings = loadSettings({ commandLine: given });
  if (process.geteuid?.() !== 0) throw new UsageError('--sweep: only root can remove the directories of users');
  if (settings.unknownUids === 'allow')
    throw new UsageError('--sweep: with unknown_uids = allow a uid needs no account');
  if (settings.pathTemplate !== undefined) return;
  const local = mayBeAway() ? formerUids() : undefined;
  const base = baseDirectory(settings, 0, process.env);
  const names = new NameService();
  const left: string[] = [];
  for (const uid of uidsIn(base)) {
    if (local && !local.has(uid)) continue;
    if ((await names.user(uid)) || !new Company(uid).isAlone()) continue;
    const args = [...settingArguments({ ...given, directory: base }), '--forget'];
    try {
      await spawnWorker(args).assign({ uid, gid: NO_GROUP }, DEADLINE);
      removeEmpty(`${base}/${uid}`);
    } catch (error) {
      // One directory that cannot be removed keeps none of the others.
      left.push((error as Error).message);
    }
  }
  if (left.length > 0) throw new CCAPIError('ccErrServerUnavailable', left.join('; '));
}

/** The services that know at once and for sure that there is no account of a uid. */
const CERTAIN = ['files', 'compat', 'systemd'];

/**
 * Whether the passwd database has a source that may be away: getent(1) answers then as for a uid that has no account.
 * Source: nsswitch.conf(5).
 */
function mayBeAway(): boolean {
  const line = /^passwd:(.*)$/m.exec(textOf('/etc/nsswitch.conf'))?.[1] ?? '';
  const services = line.replace(/\[[^\]]*\]|#.*/g, ' ').match(/\S+/g) ?? [];
  return services.some((service) => !CERTAIN.includes(service));
}

/** The uids that /etc/passwd had before its last change, of which no other source knows. Source: passwd(5). */
function formerUids(): Set<number> {
  const lines = textOf('/etc/passwd-').split('\n');
  return new Set(lines.flatMap((line) => (/^[^:]+:[^:]*:\d+:/.test(line) ? Number(line.split(':')[2]) : [])));
}

function uidsIn(base: string): number[] {
  return namesIn(base)
    .filter((name) => /^[1-9][0-9]*$/.test(name))
    .map(Number);
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
