/**
 * The one exchange between a client and the launcher: a line each way, ASCII, at most 512 bytes with the newline.
 *
 *     -> CCAPI/1 uid=1000 [session=NAME]          or just:  1000
 *     <- CCAPI/1 ok path=/run/ccapi/1000/S.ccapi            /run/ccapi/1000/S.ccapi
 *     <- CCAPI/1 error code=NAME message=TEXT               error: TEXT
 *
 * Or, to ask for the settings in force:
 *
 *     -> CCAPI/1 settings
 *     <- CCAPI/1 ok settings=JSON
 */

import type { SettingsReport } from './status.ts';

/** The port of root's launcher unless the settings say otherwise: no other user can listen below 1024. */
export const ROOT_PORT = 789;

/** The port of a launcher without root. */
export const USER_PORT = 7789;

/** The request for the settings in force, without its newline. */
export const SETTINGS_REQUEST = 'CCAPI/1 settings';

/** The longest answer to that, in bytes. */
export const MAX_SETTINGS_REPLY = 65_536;

/** The longest line either end accepts, in bytes, its newline included; but for the answer to {@link SETTINGS_REQUEST}. */
export const MAX_LINE = 512;

/** How long either end waits for the other's line, in milliseconds. */
export const LINE_DEADLINE = 5000;

/** The greatest uid there is; -1 as an unsigned number means "no uid" to the kernel. */
export const MAX_UID = 0xffff_fffe;

/** What a launcher can answer but a path. The name travels; the launcher's message says the rest. */
export type RendezvousErrorCode =
  | 'syntax'
  | 'version'
  | 'uid'
  | 'unknown-uid'
  | 'not-yours'
  | 'denied'
  | 'unidentified'
  | 'cannot-become-uid'
  | 'session'
  | 'config'
  | 'insecure'
  | 'timeout'
  | 'worker'
  | 'internal';

/** The code of a client's own, where what is asked does not answer as a launcher does. */
export const NO_LAUNCHER = 'launcher';

/** A refusal as it travels: a code, and a message a person can act on. */
export class RendezvousError extends Error {
  readonly code: string;

  constructor(code: RendezvousErrorCode | (string & {}), message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RendezvousError';
    this.code = code;
  }
}

/** Names a worker: by its uid, and with `scope = session` by a login session, which the client or the kernel names. */
export interface WorkerKey {
  uid: number;
  session?: string | undefined;
}

/** What a client asks for. `bare` is the form for people with netcat: only the number, answered by only the path. */
export interface RendezvousRequest extends WorkerKey {
  bare: boolean;
}

/** Whether a line asks in the bare form and is to be answered in it. */
export function isBare(line: string): boolean {
  return !line.startsWith('CCAPI/');
}

/** The line that asks for a uid's worker, with its newline. */
export function requestLine({ uid, session }: WorkerKey): string {
  return `CCAPI/1 uid=${uid}${session === undefined ? '' : ` session=${session}`}\n`;
}

/** Reads a request line without its newline; throws a {@link RendezvousError} that says what is wrong with it. */
export function parseRequestLine(line: string): RendezvousRequest {
  if (isBare(line)) return { uid: parseUid(line), bare: true };
  const [version, ...words] = line.split(' ');
  if (version !== 'CCAPI/1') {
    throw new RendezvousError('version', 'this launcher speaks version 1: CCAPI/1 uid=NUMBER');
  }
  const given = new Map<string, string>();
  for (const word of words) {
    const [, key, value] = /^(uid|session)=(.*)$/.exec(word) ?? [];
    if (key === undefined || value === undefined || given.has(key)) {
      throw new RendezvousError('syntax', 'expected: CCAPI/1 uid=NUMBER [session=NAME]');
    }
    given.set(key, value);
  }
  const uid = parseUid(given.get('uid') ?? '');
  const session = given.get('session');
  return session === undefined ? { uid, bare: false } : { uid, session: parseSession(session), bare: false };
}

/** The answer to a request, with its newline. */
export function replyLine(bare: boolean, answer: { path: string } | RendezvousError): string {
  if (!(answer instanceof Error)) return bare ? `${answer.path}\n` : `CCAPI/1 ok path=${answer.path}\n`;
  const room = bare ? 'error: \n'.length : `CCAPI/1 error code=${answer.code} message=\n`.length;
  const text = answer.message.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_LINE - room);
  return bare ? `error: ${text}\n` : `CCAPI/1 error code=${answer.code} message=${text}\n`;
}

/** The answer to {@link SETTINGS_REQUEST}, with its newline; `json` is a {@link SettingsReport} in one line. */
export function settingsReplyLine(json: string): string {
  return `CCAPI/1 ok settings=${json}\n`;
}

/** The report in such an answer without its newline; throws as {@link parseReplyLine} does. */
export function parseSettingsReply(line: string): SettingsReport {
  const json = /^CCAPI\/1 ok settings=(\{.*\})$/.exec(line)?.[1];
  if (json !== undefined) return JSON.parse(json);
  parseReplyLine(line);
  throw new RendezvousError(NO_LAUNCHER, 'the launcher does not say which settings it goes by');
}

/**
 * The path in a reply line without its newline; throws the {@link RendezvousError} that the launcher answered, or one of
 * code {@link NO_LAUNCHER} for a line that no launcher writes.
 */
export function parseReplyLine(line: string): string {
  const path = /^CCAPI\/1 ok path=(\/.*)$/.exec(line)?.[1];
  if (path !== undefined) return path;
  const [, code, message] = /^CCAPI\/1 error code=([a-z-]+) message=(.*)$/.exec(line) ?? [];
  if (code !== undefined) throw new RendezvousError(code, message || code);
  throw new RendezvousError(NO_LAUNCHER, `the launcher answered ${JSON.stringify(line.slice(0, 100))}`);
}

function parseUid(text: string): number {
  const uid = /^(0|[1-9][0-9]{0,9})$/.test(text) ? Number(text) : Number.NaN;
  if (!(uid <= MAX_UID)) throw new RendezvousError('uid', `expected a uid, a number from 0 to ${MAX_UID}`);
  return uid;
}

/** Whether a text may be the name of a login session: it becomes part of a path, so no path can be made of it. */
export function isSessionName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/.test(text);
}

function parseSession(text: string): string {
  if (isSessionName(text)) return text;
  throw new RendezvousError('session', 'expected a session name of 1 to 32 letters, digits, "_" and "-"');
}
