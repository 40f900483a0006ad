/**
 * The link between a launcher and a worker: two connections to the worker's `H.ccapi`, made once. Each begins with one line
 * that says which of the two it is and, by a number that both have in common, of which link. Once the worker has both it
 * answers {@link READY} on the first. From then on the launcher sends, for each connection that comes to the front door,
 *
 * - on `descriptors` the descriptor (SCM_RIGHTS) beside one byte, and then
 * - on `lengths` how many bytes were read of the connection already (32 bits, big-endian), and these bytes,
 *
 * so that a length never comes before its descriptor. Before the worker reads of a connection it marks the socket itself
 * (SO_PRIORITY), which the launcher sees in its own descriptor: what is not marked when the worker ends was not touched, and
 * another worker can have it. For each connection the worker answers one byte on `descriptors`, in their order and within
 * some milliseconds; then the launcher closes its own descriptor. A worker that speaks another version closes the
 * connections without a word.
 */

/** The version that both sides speak, first of each line. */
const VERSION = 'CCAPI-LINK/1';

/** Which of a link's two connections one is. */
export type LinkRole = 'descriptors' | 'lengths';

/** The longest line that begins a connection, in bytes with its newline. */
export const MAX_GREETING = 64;

/** What the worker answers once it has both connections. */
export const READY = `${VERSION} ready\n`;

/** The worker's answers to a descriptor: it is the worker's now, or it is closed, as none of the worker's user. */
export const TAKEN = 0x2b;
export const REFUSED = 0x2d;

/** Bytes of a length. */
export const LENGTH_SIZE = 4;

/** The most bytes that may have been read of a connection. */
export const MAX_ALREADY_READ = 1 << 20;

/** The line that begins a connection of the link `id`, 1 to 32 hexadecimal digits. */
export function greeting(role: LinkRole, id: string): string {
  return `${VERSION} ${role} ${id}\n`;
}

/** Reads a line that begins a connection, without its newline; undefined where it is none of this version. */
export function parseGreeting(line: string): { role: LinkRole; id: string } | undefined {
  const [, role, id] = /^CCAPI-LINK\/1 (descriptors|lengths) ([0-9a-f]{1,32})$/.exec(line) ?? [];
  return role && id ? { role: role as LinkRole, id } : undefined;
}
