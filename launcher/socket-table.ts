import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import type { Endpoint } from '../etc/host/socket-diag.ts';

/**
 * The uid that owns the peer's end of a connection on this host, from the kernel's table of all sockets; undefined where
 * it has none. Only a connection that still has its inode counts: once the peer has closed, the kernel shows uid 0 for
 * it, which does not mean root (measured on Linux 5 and 6).
 */
export function findPeerOwner(peer: Endpoint, own: Endpoint): number | undefined {
  if (process.platform !== 'linux') return undefined;
  for (const [table, encode] of tablesFor(peer.address)) {
    const local = entry(encode, peer);
    const remote = entry(encode, own);
    for (const line of readTable(table)) {
      const [, localText, remoteText, state, , , , uid, , inode] = line.trim().split(/\s+/);
      if (localText === local && remoteText === remote && openStates.has(state ?? '') && inode !== '0')
        return Number(uid);
    }
  }
  return undefined;
}

/** ESTABLISHED, FIN_WAIT1 and FIN_WAIT2: its process still has it open. */
const openStates: ReadonlySet<string> = new Set(['01', '04', '05']);

type Encode = (address: string) => string;

/** An IPv4 peer may have made its connection on an IPv6 socket; the kernel then lists it there, as a mapped address. */
function tablesFor(address: string): [string, Encode][] {
  return isIPv4(plain(address))
    ? [
        ['/proc/net/tcp', (text) => hexOfIPv4(plain(text))],
        ['/proc/net/tcp6', (text) => `0000000000000000FFFF0000${hexOfIPv4(plain(text))}`],
      ]
    : [['/proc/net/tcp6', () => '00000000000000000000000001000000']];
}

function readTable(path: string): string[] {
  try {
    return readFileSync(path, 'latin1').split('\n').slice(1, -1);
  } catch {
    return [];
  }
}

function entry(encode: Encode, { address, port }: Endpoint): string {
  return `${encode(address)}:${hex(port, 4)}`;
}

function plain(address: string): string {
  return address.replace(/^::ffff:/i, '');
}

/** The kernel prints an address as the number that its bytes are in memory: on a little-endian machine, reversed. */
function hexOfIPv4(address: string): string {
  const bytes = address.split('.').map(Number);
  return bytes
    .reverse()
    .map((byte) => hex(byte, 2))
    .join('');
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
