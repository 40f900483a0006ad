import { type SpawnSyncOptions, spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { closedToOthers, faultsOfPlace } from './place.mts';

/**
 * Checks the place that the tests run at, once and before all else, and ends where it has a fault. A repository or a Node in root's
 * home, which is closed to other users, is none where a mount namespace can open it: the tests run there.
 */
export function findOpenPlace(root: string): void {
  const closed = process.getuid?.() === 0 && process.platform === 'linux' ? closedAbove(root) : [];
  if (closed.length > 0 && runWithOpen(root, closed, ['true'], { stdio: 'ignore' }) === 0) {
    process.stderr.write(`${closed.join(', ')}: closed to other users, open to those of the tests alone\n`);
    const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    process.exit(runWithOpen(root, closed, command, { stdio: 'inherit' }) ?? 1);
  }
  const faults = faultsOfPlace(root);
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  if (faults.length > 0) process.exit(1);
}

/** The closed directories above the repository and Node. A repository that is closed itself has files that are, too. */
function closedAbove(root: string): string[] {
  const closed = closedToOthers([root, process.execPath]);
  return closed.includes(realpathSync(root)) ? [] : closed;
}

/** Runs a command in a mount namespace where directories are open to all users; it ends with this process. */
function runWithOpen(root: string, closed: string[], command: string[], options: SpawnSyncOptions): number | null {
  const words = ['--pdeathsig', 'TERM', 'unshare', '--mount', 'sh', '-ec', open, 'sh', String(closed.length)];
  const env = { ...process.env, REPOSITORY: realpathSync(root), DIRECTORY: process.cwd() };
  return spawnSync('/usr/bin/setpriv', [...words, ...closed, ...command], { ...options, env }).status;
}

/**
 * Each closed directory is covered by one that has all that is in it, and a mode of its own; what is written goes to memory, but for
 * the repository. In the options of an overlay a path may have neither comma nor colon.
 */
const open = `
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/repository
mount --bind "$REPOSITORY" /mnt/repository
left=$1; shift
while [ "$left" -gt 0 ]; do
  mkdir -p "/mnt/$left/upper" "/mnt/$left/work"
  cd "$1"
  mount -t overlay -o "lowerdir=.,upperdir=/mnt/$left/upper,workdir=/mnt/$left/work" overlay "$1"
  left=$((left - 1)); shift
done
mount --bind /mnt/repository "$REPOSITORY"
umount -l /mnt
cd "$DIRECTORY"
exec "$@"`;
