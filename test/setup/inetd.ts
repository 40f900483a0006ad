import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { end, eventually, start, temporaryDirectory } from './cleanup.ts';
import { cleanEnvironment, freePort, programs } from './programs.ts';

/** One line of an inetd.conf that leads to our launcher. */
export interface Entry {
  /** As inetd writes it: `127.0.0.1`, `::1`, `0.0.0.0` for all, or the path of a UNIX socket, which has no port. */
  address: string;
  port: number;
  wait: boolean;
  /** No flag tells the launcher how it is started; it has to see for itself. */
  guess?: boolean;
}

/** What inetd itself is run with. */
export interface InetdOptions {
  /** A command that runs inetd's in its turn. */
  wrapper?: string[];
  env?: NodeJS.ProcessEnv;
}

/** The real openbsd-inetd with entries of the tests', run by root. */
export async function startInetd(
  directory: string,
  entries: Entry[],
  launcherArgs: string[],
  { wrapper = [], env = cleanEnvironment() }: InetdOptions = {},
): Promise<() => Promise<void>> {
  const file = join(directory, `inetd-${entries[0]?.port}.conf`);
  const lines = entries.map(({ address, port, wait, guess }) => {
    const path = address.startsWith('/');
    const protocol = path ? 'unix' : address.includes(':') ? 'tcp6' : 'tcp4';
    const [how, flag] = wait ? ['wait', '--wait'] : ['nowait.10000', '--inetd'];
    const program = `${process.execPath} node ${programs.launcher} ${guess ? '' : flag} ${launcherArgs.join(' ')}`;
    return `${path ? address : `${address}:${port}`} stream ${protocol} ${how} root ${program}`;
  });
  writeFileSync(file, `${lines.join('\n')}\n`);
  const [program = '', ...args] = [...wrapper, '/usr/sbin/inetd', '-i', file];
  const inetd = start(program, args, { env, stdio: 'ignore' });
  await eventually(() =>
    entries.every(({ address, port }) => (address.startsWith('/') ? existsSync(address) : isListening(port))),
  );
  return () => end(inetd);
}

/** The same with one entry, for a launcher with the users' directories below a place of their own. */
export async function startInetdFor(
  entry: Omit<Entry, 'port'>,
  ...launcherArgs: string[]
): Promise<{ base: string; port: number }> {
  const directory = temporaryDirectory();
  const [base, port] = [`${directory}/run`, await freePort()];
  await startInetd(directory, [{ ...entry, port }], [`--directory=${base}`, ...launcherArgs]);
  return { base, port };
}

/** Whether anything listens on a port, without connecting to it: that would start what inetd starts. */
export function isListening(port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((table) =>
    readFileSync(table, 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .some(([, local, , state]) => local?.endsWith(suffix) && state === '0A'),
  );
}
