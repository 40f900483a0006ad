import { readFileSync } from 'node:fs';
import { baseDirectory, SOCKET_NAME, sessionDirectory, userDirectory } from '../../etc/config/paths.ts';
import { loadSettings } from '../../etc/config/settings.ts';
import type { Settings } from '../../etc/config/settings-table.ts';
import { commandLineOf, isServerCommand, processIds } from '../../etc/host/processes.ts';
import type { WorkerStatus } from '../../proto/status.ts';
import { openSocket } from '../connect-to-path.ts';
import { readStatus } from '../worker-status.ts';

/** A server that runs on this host. Memory is anonymous memory, in bytes: all that other processes do not share. */
export interface RunningServer {
  uid: number;
  pid: number;
  memory: number;
  /** The path of its socket, as far as its command line tells. */
  path: string | undefined;
  /** What it says of itself, to its owner and to root. */
  status: WorkerStatus | undefined;
}

/** All servers of this host, by what every user can see of a process; the owner and root are told more. */
export function findServers(): Promise<RunningServer[]> {
  const settings = loadSettings();
  const found = processIds()
    .flatMap((pid) => {
      const words = commandLineOf(pid);
      if (!words[0]?.endsWith('node') || !isServerCommand(words)) return [];
      const process = inProc(pid);
      return process ? [{ pid, ...process, path: socketOf(words, process.uid, settings) }] : [];
    })
    .sort((one, other) => one.uid - other.uid || one.pid - other.pid);
  return Promise.all(found.map(async (server) => ({ ...server, status: await askStatus(server) })));
}

function inProc(pid: number): { uid: number; memory: number } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/status`, 'latin1');
    const number = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(fields)?.[1]);
    return { uid: number('Uid'), memory: number('RssAnon') * 1024 };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

/**
 * A launcher passes on the arguments that lead there, or has systemd start it by root's settings. Any user may have started
 * something that only looks like a server.
 */
function socketOf(words: string[], uid: number, settings: Settings): string | undefined {
  const given = (name: string) => words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
  const base = given('directory') ?? (words.includes('--accepted') ? baseDirectory(settings, 0, {}) : undefined);
  if (base === undefined) return undefined;
  const template = given('path-template') ?? settings.pathTemplate;
  try {
    return `${sessionDirectory(userDirectory(template, base, uid), given('session'))}/${SOCKET_NAME}`;
  } catch {
    return undefined;
  }
}

/** A server refuses root, and a user's directory is the user's to play with: root asks as the user. */
async function askStatus({ uid, path, pid }: Omit<RunningServer, 'status'>): Promise<WorkerStatus | undefined> {
  const own = process.geteuid?.() as number;
  if (path === undefined || (own !== 0 && own !== uid)) return undefined;
  try {
    const status = await readStatus({ socket: await openSocket(path, uid), path });
    return status.pid === pid ? status : undefined;
  } catch {
    return undefined;
  }
}
