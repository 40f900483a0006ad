import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, start } from './cleanup.ts';
import { unpackedPrograms } from './debian-packages.ts';
import { isListening, startInetd } from './inetd.ts';
import { cleanEnvironment, programs } from './programs.ts';
import type { Requirement } from './requirements.ts';

/** Where a super-server listens: on a port of a loopback address, or at a path. */
export type Place = { address: string; port: number } | { path: string };

/** A super-server, and one of the ways in which it starts the launcher. */
export interface SuperServer {
  name: string;
  needs: Requirement[];
  /** Whether it starts a launcher again that has served many connections and left. */
  restarts: boolean;
  address: string;
  /** Starts it, run by root, for a launcher with these arguments. */
  start(directory: string, place: Place, launcherArgs: string[]): Promise<void>;
}

const launcher = (flag: string, launcherArgs: string[]) =>
  [process.execPath, programs.launcher, ...(flag === '' ? [] : [flag]), ...launcherArgs] as const;
const flagFor = (wait: boolean) => (wait ? '--wait' : '--inetd');

async function startProgram(program: string, args: readonly string[], place: Place, libraries?: string): Promise<void> {
  const env = cleanEnvironment(libraries === undefined ? {} : { LD_LIBRARY_PATH: libraries });
  // Inetutils' inetd talks where others are silent.
  start(program, [...args], { env, stdio: 'ignore' });
  await eventually(() => ('path' in place ? existsSync(place.path) : isListening(place.port)));
}

function openbsd(address: string, wait: boolean, guess: boolean): SuperServer {
  return {
    name: `openbsd-inetd, ${address}, ${wait ? 'wait' : 'nowait'}${guess ? ', no flag' : ''}`,
    needs: ['openbsd-inetd'],
    restarts: wait,
    address,
    async start(directory, place, launcherArgs) {
      const where = 'path' in place ? { address: place.path, port: 0 } : place;
      await startInetd(directory, [{ ...where, wait, guess }], launcherArgs);
    },
  };
}

function inetutils(wait: boolean): SuperServer {
  return {
    name: `inetutils-inetd, ${wait ? 'wait' : 'nowait'}`,
    needs: ['inetutils-inetd'],
    restarts: wait,
    address: '127.0.0.1',
    async start(directory, place, launcherArgs) {
      if ('path' in place) throw new Error('it has no UNIX sockets');
      const [program, ...args] = launcher(flagFor(wait), launcherArgs);
      const file = join(directory, 'inetutils.conf');
      const line = [
        `${place.address}:${place.port} stream tcp`,
        wait ? 'wait' : 'nowait',
        'root',
        program,
        'node',
        ...args,
      ];
      writeFileSync(file, `${line.join(' ')}\n`);
      const { directory: root, libraries } = unpackedPrograms('inetutils-inetd');
      await startProgram(join(root, 'usr/sbin/inetutils-inetd'), ['-d', `-p${directory}/pid`, file], place, libraries);
    },
  };
}

function xinetd(wait: boolean): SuperServer {
  return {
    name: `xinetd, wait = ${wait ? 'yes' : 'no'}`,
    needs: ['xinetd'],
    restarts: wait,
    address: '127.0.0.1',
    async start(directory, place, launcherArgs) {
      if ('path' in place) throw new Error('it has no UNIX sockets');
      const [program, ...args] = launcher(flagFor(wait), launcherArgs);
      const file = join(directory, 'xinetd.conf');
      const lines = [
        'defaults',
        '{',
        ` log_type = FILE ${directory}/xinetd.log`,
        '}',
        'service ccapi',
        '{',
        ' type = UNLISTED',
        ' socket_type = stream',
        ' protocol = tcp',
        ` bind = ${place.address}`,
        ` port = ${place.port}`,
        ` wait = ${wait ? 'yes' : 'no'}`,
        ' user = root',
        ` server = ${program}`,
        ` server_args = ${args.join(' ')}`,
        '}',
      ];
      writeFileSync(file, `${lines.join('\n')}\n`);
      const { directory: root, libraries } = unpackedPrograms('xinetd');
      const own = ['-dontfork', '-f', file, '-pidfile', `${directory}/pid`];
      await startProgram(join(root, 'usr/sbin/xinetd'), own, place, libraries);
    },
  };
}

/** `Accept=no`, `Accept=yes`, and that with `StandardInput=socket`, as systemd's own tool for trying units has them. */
function systemd(accept: 'no' | 'yes' | 'yes, as inetd'): SuperServer {
  return {
    name: `systemd, Accept=${accept}`,
    needs: ['systemd'],
    // What systemd itself would do: this tool becomes the launcher that it starts.
    restarts: false,
    address: '127.0.0.1',
    async start(_, place, launcherArgs) {
      const options = { no: [], yes: ['--accept'], 'yes, as inetd': ['--accept', '--inetd'] }[accept];
      const where = 'path' in place ? place.path : `${place.address}:${place.port}`;
      await startProgram(
        '/usr/bin/systemd-socket-activate',
        ['-l', where, ...options, ...launcher('', launcherArgs)],
        place,
      );
    },
  };
}

/** What listens on UNIX sockets and nothing else, and starts a launcher for each connection. */
function unixOnly(name: 'unixserver' | 's6-ipcserver', needs: Requirement, options: string[]): SuperServer {
  return {
    name,
    needs: [needs],
    restarts: false,
    address: '',
    async start(_, place, launcherArgs) {
      if (!('path' in place)) throw new Error('it has nothing but UNIX sockets');
      await startProgram(`/usr/bin/${name}`, [...options, place.path, ...launcher('--inetd', launcherArgs)], place);
    },
  };
}

/** Those that listen on TCP ports. */
export const tcpSuperServers: SuperServer[] = [
  ...['127.0.0.1', '::1'].flatMap((address) => [openbsd(address, true, false), openbsd(address, false, false)]),
  openbsd('127.0.0.1', true, true),
  openbsd('127.0.0.1', false, true),
  inetutils(true),
  inetutils(false),
  xinetd(true),
  xinetd(false),
  systemd('no'),
  systemd('yes'),
  systemd('yes, as inetd'),
];

/** Those that listen on UNIX sockets: the front door. */
export const unixSuperServers: SuperServer[] = [
  openbsd('unix', true, false),
  openbsd('unix', false, false),
  systemd('no'),
  systemd('yes'),
  systemd('yes, as inetd'),
  unixOnly('unixserver', 'ucspi-unix', ['-c', '100', '--']),
  unixOnly('s6-ipcserver', 's6', []),
];
