import { existsSync } from 'node:fs';
import { eventually, start, temporaryDirectory } from './cleanup.ts';

/** A system log of the tests' own. */
export interface SystemLog {
  /** A command that runs another in its turn, for which the log is the machine's. Needs root. */
  wrapper: string[];
  /** All that was logged so far. */
  text(): string;
}

/** In a /dev that only the wrapped command and its children see: the machine's own log is left alone. Memory stays where it is. */
const OWN_DEVICES = `for n in null zero random urandom; do : > $0/$n; mount --bind /dev/$n $0/$n; done
  if [ -d /dev/shm ]; then mkdir -p $0/shm && mount --rbind /dev/shm $0/shm; fi
  mount --rbind $0 /dev && exec "$@"`;

/** Begins to log. */
export async function startSystemLog(): Promise<SystemLog> {
  const devices = temporaryDirectory();
  let log = '';
  const logger = start('/usr/bin/socat', ['-u', `UNIX-RECV:${devices}/log,mode=666`, 'STDOUT'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  logger.stdout?.on('data', (chunk: Buffer) => {
    log += chunk;
  });
  await eventually(() => existsSync(`${devices}/log`));
  return { wrapper: ['/usr/bin/unshare', '-m', '/bin/sh', '-c', OWN_DEVICES, devices], text: () => log };
}
