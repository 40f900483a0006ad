import { statSync } from 'node:fs';
import { namesIn, textOf } from '../../../etc/host/read-or-nothing.ts';

/** What a machine's set-up leaves open that no user can close: for an admin to read, and no fault of the user's. */
interface Exposure {
  what: string;
  says: string;
}

/** What is open of the memory of servers, and of the directory in which the users' are. */
export function findExposures(base: string): Exposure[] {
  return [...swap(), ...sharedSpace(base)];
}

/** Swap on a disk, by /proc/swaps (proc(5)); that of zram is memory. */
function swap(): Exposure[] {
  const places = textOf('/proc/swaps')
    .split('\n')
    .slice(1)
    .flatMap((line) => line.split(/\s+/)[0] || [])
    .filter((place) => !/\/zram\d+$/.test(place));
  if (places.length === 0) return [];
  const says = `keys in memory can reach ${places.join(', ')}: an admin can encrypt it, or turn it off (swapoff -a)`;
  return [{ what: 'swap', says }];
}

/**
 * Users' directories on the file system of /run, which a user could fill through theirs. None of them is asked: a user may
 * have mounted there what never answers.
 */
function sharedSpace(base: string): Exposure[] {
  const device = deviceOf(base);
  if (device === undefined || device !== deviceOf('/run') || device === deviceOf('/')) return [];
  const mounts = new Set(
    textOf('/proc/self/mountinfo')
      .split('\n')
      .map((line) => line.split(' ')[4]),
  );
  const users = namesIn(base).filter((name) => /^[1-9]\d*$/.test(name));
  if (users.length > 0 && users.every((name) => mounts.has(`${base}/${name}`))) return [];
  const says = `${base} shares the space of /run, which a user could fill: see user_space in ccapi.conf(5)`;
  return [{ what: 'space', says }];
}

function deviceOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.dev;
}
