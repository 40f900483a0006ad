import { fstatSync } from 'node:fs';
import { closeDatagram, connectDatagram, sendAtOnce } from './datagram.ts';
import { escapeText } from './escape.ts';

/**
 * Where a program's log goes: under inetd descriptors 0 to 2 are the peer's, so only the system log is left; systemd takes
 * the lines of standard error, each with its level (sd-daemon(3)).
 */
type LogDestination = 'syslog' | 'stderr' | 'systemd';

/** One line an event. Nothing secret is ever passed in: no key, no ticket, no content of a message. */
export interface Log {
  info(message: string): void;
  warning(message: string): void;
  error(message: string): void;
  /** A client was refused: kept where only admins read. */
  refusal(message: string): void;
}

/** The log of a program. */
export function openLog(program: string, destination: LogDestination): Log {
  const write = (level: keyof typeof syslogLevel, facility: keyof typeof syslogFacility) => (message: string) => {
    // What a peer sent may be in a message.
    const line = escapeText(message);
    if (destination === 'syslog') syslog(program, syslogFacility[facility] | syslogLevel[level], line);
    else if (destination === 'systemd') writeToJournal(`<${syslogLevel[level]}>${line}\n`);
    else process.stderr.write(`${program}: ${level === 'info' ? '' : `${level}: `}${line}\n`);
  };
  return {
    info: write('info', 'daemon'),
    warning: write('warning', 'daemon'),
    error: write('error', 'daemon'),
    refusal: write('warning', 'authpriv'),
  };
}

/** The journal's stream is descriptor 2; a journal that does not keep up holds up no user. */
function writeToJournal(line: string): void {
  if (!sendAtOnce(2, Buffer.from(line)) && !isSocket(2)) process.stderr.write(line);
}

function isSocket(descriptor: number): boolean {
  return fstatSync(descriptor).isSocket();
}

/** Facilities and levels of syslog(3). */
const syslogFacility = { daemon: 3 << 3, authpriv: 10 << 3 } as const;
const syslogLevel = { error: 3, warning: 4, info: 6 } as const;

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
