import { join } from 'node:path';
import { unpackedPrograms } from './debian-packages.ts';
import { type Outcome, type RunOptions, run } from './programs.ts';

/** In a mount namespace of its own, the first argument is /run; the rest is run there as a uid and its gid. */
const ELSEWHERE = 'mount --make-rprivate / && mount --bind "$0" /run && exec setpriv --clear-groups "$@"';

/**
 * Runs a program of Heimdal's as a user: `kinit`, `klist`, `kswitch`, `kdestroy`, `kgetcred`. The path of the KCM socket
 * is compiled into it, so it is run where /run is a directory with a socket of that name. Needs root. Passwords are read
 * from the input.
 */
export function heimdal(
  directory: string,
  program: string,
  args: string[],
  { uid, gid, env, input = '' }: RunOptions & { uid: number; gid: number },
): Promise<Outcome> {
  const { directory: programs, libraries } = unpackedPrograms('heimdal');
  const files: Record<string, string[]> = {
    kinit: ['kinit.heimdal', '--password-file=STDIN'],
    kdestroy: ['kdestroy.heimdal'],
    kgetcred: ['kgetcred'],
  };
  const [file = '', ...first] = files[program] ?? ['heimtools', program];
  const asUser = [`--reuid=${uid}`, `--regid=${gid}`, join(programs, 'usr/bin', file), ...first, ...args];
  return run('/usr/bin/unshare', ['-m', 'sh', '-c', ELSEWHERE, directory, ...asUser], {
    env: { ...env, LD_LIBRARY_PATH: libraries },
    input,
  });
}
