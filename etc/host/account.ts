import { type BigIntStats, fstatSync, lstatSync, statfsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { pathOf, useBeneath } from './beneath.ts';
import { localUser } from './passwd.ts';

/** What tells an account from a later one of the same uid. */
export interface Account {
  /** The user's name; empty where no database has the uid. */
  name: string;
  /** What no later account of this name has; empty where there is no such mark. */
  made: string;
}

/** The longest part of a name that counts, in characters: a launcher's line to a worker is short. */
export const MAX_NAME = 64;

/** Source: statfs(2). */
const OVERLAYFS = 0x794c7630;

/** The uids of which systemd takes those of services with `DynamicUser`. Source: systemd's UIDS-GIDS.md. */
const DYNAMIC = { from: 61_184, to: 65_519 };

/** Where systemd has a file for each such uid, for as long as the service runs. */
const DYNAMIC_UIDS = '/run/systemd/dynamic-uid';

/**
 * The account that a uid has now. /etc/passwd comes first, then `told`, the name that the launcher has found elsewhere;
 * undefined where neither has one, and nothing is known.
 */
export function accountOf(uid: number, told?: string): Account | undefined {
  const local = localUser(uid);
  const name = local?.name ?? told;
  if (name === undefined) return undefined;
  return { name: name.slice(0, MAX_NAME), made: dynamicMark(uid) ?? (local && homeMark(local.home, uid)) ?? '' };
}

/** Whether systemd gives this uid to one service after another. */
export function isDynamic(uid: number): boolean {
  return uid >= DYNAMIC.from && uid <= DYNAMIC.to;
}

/** What differs from one start of a service with `DynamicUser` to the next. */
export function dynamicMark(uid: number): string | undefined {
  const found = isDynamic(uid)
    ? lstatSync(`${DYNAMIC_UIDS}/${uid}`, { throwIfNoEntry: false, bigint: true })
    : undefined;
  return found && `service ${found.ino} ${found.ctimeNs}`;
}

/**
 * The birth of a home. Undefined where that says nothing: no directory of the user's own; on a file system of a network or of
 * a process, which might ask for this user's ticket first; a mount, which may be another one before; a birth that the file
 * system does not keep.
 */
function homeMark(home: string, uid: number): string | undefined {
  try {
    const way = { user: { uid }, root: dirname(home), relative: basename(home), mounts: 'local' } as const;
    // The parent by its descriptor: `..` of a home leads nowhere once its owner has taken the right to search it.
    const [found, parent] = useBeneath(way, (_, ...descriptors) => {
      // A first change has the file system of a live system or container make a home anew.
      if (descriptors.some((at) => statfsSync(pathOf(at)).type === OVERLAYFS)) throw new Error('overlayfs');
      return descriptors.map((at) => fstatSync(at, { bigint: true })) as [BigIntStats, BigIntStats];
    });
    const isOwn = found.isDirectory() && found.uid === BigInt(uid) && found.dev === parent.dev;
    // Where births are not kept, Node has nothing for them, or the time of the last change.
    const hasBirths = [found, parent].some(({ birthtimeNs, ctimeNs }) => birthtimeNs > 0n && birthtimeNs !== ctimeNs);
    return isOwn && hasBirths ? `home ${found.ino} ${found.birthtimeNs}` : undefined;
  } catch {
    return undefined;
  }
}
