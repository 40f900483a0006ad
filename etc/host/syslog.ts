import { closeDatagram, connectDatagram, sendAtOnce } from './datagram.ts';

/** Facilities and levels of syslog(3). */
export const syslogFacility = { daemon: 3 << 3, authpriv: 10 << 3 } as const;
export const syslogLevel = { error: 3, warning: 4, info: 6 } as const;

/** Where the system's logger listens. */
const LOG_SOCKET = '/dev/log';

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

let logger: number | undefined;

/**
 * Writes one line to the system log under a program's name, in the form of syslog(3); false where it is not taken. The C
 * library's own call waits for a logger that does not keep up, and with it would every user of a launcher.
 */
export function syslog(program: string, priority: number, message: string): boolean {
  const now = new Date();
  const day = String(now.getDate()).padStart(2);
  const time = now.toTimeString().slice(0, 8);
  const stamp = `${months[now.getMonth()]} ${day} ${time}`;
  const line = Buffer.from(`<${priority}>${stamp} ${program}[${process.pid}]: ${message}`);
  if (logger !== undefined && sendAtOnce(logger, line)) return true;
  // It may have been restarted since.
  if (logger !== undefined) closeDatagram(logger);
  logger = connectDatagram(LOG_SOCKET);
  return logger !== undefined && sendAtOnce(logger, line);
}
