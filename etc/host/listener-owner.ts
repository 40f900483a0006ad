import { closeSync, openSync, readSync } from 'node:fs';
import { endianness } from 'node:os';
import { textOf } from './read-or-nothing.ts';

/** The loopback addresses a launcher is asked on. */
export type Loopback = '127.0.0.1' | '::1';

const LISTEN = '0A';

/** The local addresses of sockets that get a connection to an address, the most exact first, as 32-bit words in hex. */
const candidates: Record<Loopback, [table: 'tcp' | 'tcp6', words: string[]][]> = {
  '127.0.0.1': [
    ['tcp', ['7F000001']],
    ['tcp', ['00000000']],
    ['tcp6', ['00000000', '00000000', '0000FFFF', '7F000001']],
    ['tcp6', ['00000000', '00000000', '00000000', '00000000']],
  ],
  '::1': [
    ['tcp6', ['00000000', '00000000', '00000000', '00000001']],
    ['tcp6', ['00000000', '00000000', '00000000', '00000000']],
  ],
};

/**
 * The uids that own the sockets listening where a connection to a loopback port would arrive; none where no socket
 * listens, undefined where the kernel has no such table. Source: proc_pid_net(5), /proc/pid/net/tcp.
 *
 * Reads the table of all that listen: only for programs that act for one user.
 */
export function listenerUids(address: Loopback, port: number, readTable = readProcTable): number[] | undefined {
  const read = new Map<string, string | undefined>();
  for (const [name, words] of candidates[address]) {
    if (!read.has(name)) read.set(name, readTable(name));
    const uids = uidsListening(read.get(name) ?? '', asInTable(words), port);
    if (uids.length > 0) return uids;
  }
  // A kernel without IPv6 has the one table.
  return [...read.values()].some((table) => table !== undefined) || readTable('tcp') !== undefined ? [] : undefined;
}

/** The first port that every user may listen on, where the kernel does not say. */
const FIRST_OF_USERS = 1024;

/** Whether only root can listen on a port. Source: ip(7), ip_unprivileged_port_start: in many containers no port is root's. */
export function isRootsPort(port: number): boolean {
  const first = textOf('/proc/sys/net/ipv4/ip_unprivileged_port_start').trim();
  return port < (first === '' ? FIRST_OF_USERS : Number(first));
}

function uidsListening(table: string, address: string, port: number): number[] {
  const local = `${address}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').flatMap((line) => {
    if (!line.includes(local)) return [];
    const fields = line.trim().split(/\s+/);
    return fields[1] === local && fields[3] === LISTEN ? [Number(fields[7])] : [];
  });
}

/** The kernel prints each word of an address in the byte order of the host. */
function asInTable(words: string[]): string {
  const swap = (word: string) => Buffer.from(word, 'hex').reverse().toString('hex').toUpperCase();
  return (endianness() === 'LE' ? words.map(swap) : words).join('');
}

/** The bytes of a line of /proc/net/tcp; one of tcp6 is longer. */
const LINE = 150;

/**
 * The lines of a table that are of listening sockets. The kernel lists these first, and goes through megabytes for the
 * connected ones behind them: it is asked for one line at a time, up to the first of these.
 * Source: Documentation/networking/proc_net_tcp.rst.
 */
function readProcTable(name: 'tcp' | 'tcp6'): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(`/proc/net/${name}`, 'r');
  } catch {
    // No Linux, no /proc, or no IPv6.
    return undefined;
  }
  try {
    return readWhileListening(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function readWhileListening(descriptor: number): string {
  const bytes = Buffer.alloc(LINE);
  let text = '';
  for (let count = LINE, line = 0; count > 0; ) {
    count = readSync(descriptor, bytes, 0, LINE, null);
    text += bytes.toString('latin1', 0, count);
    for (let end = text.indexOf('\n', line); end >= 0; line = end + 1, end = text.indexOf('\n', line)) {
      if (line > 0 && stateIn(text.slice(line, end)) !== LISTEN) return text;
    }
  }
  return text;
}

function stateIn(line: string): string | undefined {
  return line.trim().split(/\s+/)[3];
}
