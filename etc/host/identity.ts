import { libc, systemCall, systemError } from './libc.ts';

/** A user's identity as the kernel knows it. */
export interface Identity {
  uid: number;
  gid: number;
}

/** The group of a user for an action that needs none; Debian's and most systems' `nogroup`. */
export const NO_GROUP = 65534;

/**
 * Acts with the rights of a user and no more, where this process is root: effective uid and gid, and no other group; else
 * acts with its own. The action has to be synchronous. On Linux only the calling thread changes. The real uid stays root's:
 * with the user's, the user could stop this process with a signal (kill(2)); so the action must not be access(2), which
 * goes by the real one. Throws where the kernel refuses; a way back that fails ends the process.
 * Source: credentials(7), setresuid(2).
 */
export function asUser<T>({ uid, gid = NO_GROUP }: { uid: number; gid?: number }, act: () => T): T {
  if (uid === 0 || process.geteuid?.() !== 0) return act();
  calls ??= threadCalls() ?? processCalls();
  const change = calls;
  if (!change) throw new Error('koffi is missing: root cannot take on the rights of a user');
  own ??= { gid: process.getegid?.() as number, groups: getGroups() };
  const { gid: ownGid, groups } = own;
  const taken = change.setGroups([gid]) === 0 && change.setGid(gid) === 0 && change.setUid(uid) === 0;
  const refused = taken ? undefined : systemError('setresuid');
  try {
    if (refused) throw refused;
    return act();
  } finally {
    // Nothing may go on with half of two identities.
    const isBack = change.setUid(0) === 0 && change.setGid(ownGid) === 0 && change.setGroups(groups) === 0;
    if (!isBack) process.abort();
  }
}

/** How effective ids and groups are changed; each answers 0 where it is done. */
interface IdentityCalls {
  setGroups(groups: number[]): number;
  setGid(gid: number): number;
  setUid(uid: number): number;
}

let calls: IdentityCalls | undefined;

/** The group and groups of root, which this process does not change for itself. */
let own: { gid: number; groups: number[] } | undefined;

/** The kernel's own calls: the C library would carry each to every thread of the process. */
function threadCalls(): IdentityCalls | undefined {
  const setGroups = systemCall('setgroups', ['size_t', 'void *']);
  const setGid = systemCall('setresgid', ['long', 'long', 'long']);
  const setUid = systemCall('setresuid', ['long', 'long', 'long']);
  if (!setGroups || !setGid || !setUid) return undefined;
  return {
    setGroups: (groups) => setGroups(groups.length, groupList(groups)),
    setGid: (gid) => setGid(-1, gid, -1),
    setUid: (uid) => setUid(-1, uid, -1),
  };
}

function processCalls(): IdentityCalls | undefined {
  const library = libc()?.library;
  if (!library) return undefined;
  const setGroups = library.func('int setgroups(size_t, void *)');
  return {
    setGroups: (groups) => setGroups(groups.length, groupList(groups)),
    setGid: library.func('int setegid(uint32_t)'),
    setUid: library.func('int seteuid(uint32_t)'),
  };
}

/** Supplementary groups as they are; Node's own call adds the effective gid where it is none of them. */
function getGroups(): number[] {
  const list = new Uint32Array(65536);
  const count = libc()?.library.func('int getgroups(int, void *)')(list.length, Buffer.from(list.buffer)) ?? 0;
  return [...list.subarray(0, count)];
}

function groupList(groups: number[]): Buffer {
  const list = new Uint32Array(Math.max(1, groups.length));
  list.set(groups);
  return Buffer.from(list.buffer);
}

const KEYCTL_JOIN_SESSION_KEYRING = 1;
const PR_SET_DUMPABLE = 4;
const RLIMIT_CORE = 4;

/**
 * Makes this process, which is root's or the user's, the user's for good: a session keyring of its own, no supplementary
 * group, gid and uid of all threads. It goes through the C library, since a distribution's Node may refuse `process.setuid`. From then
 * on the process is closed to its user ({@link disableTracing}). Throws where the kernel refuses any of it.
 */
export function becomeUser({ uid, gid }: Identity): void {
  const library = libc()?.library;
  systemCall('keyctl', ['long', 'void *'])?.(KEYCTL_JOIN_SESSION_KEYRING, null);
  if (process.geteuid?.() === uid) return;
  if (!library) throw new Error(`koffi is missing: root cannot become uid ${uid}`);
  if (library.func('int setgroups(size_t, void *)')(0, null) !== 0) throw systemError('setgroups');
  if (library.func('int setgid(uint32_t)')(gid) !== 0) throw systemError('setgid');
  if (library.func('int setuid(uint32_t)')(uid) !== 0) throw systemError('setuid');
  if (process.getuid?.() !== uid || process.geteuid?.() !== uid) throw new Error(`this process is not of uid ${uid}`);
}

/**
 * Keeps this process from leaving a core, and others of its uid from looking into it: only root may. False where there is
 * no way to. Source: prctl(2), PR_SET_DUMPABLE; setrlimit(2).
 */
export function disableTracing(): boolean {
  const library = process.platform === 'linux' ? libc()?.library : undefined;
  if (!library) return false;
  library.func('int setrlimit(int, void *)')(RLIMIT_CORE, Buffer.alloc(16));
  return library.func('int prctl(int, ulong, ulong, ulong, ulong)')(PR_SET_DUMPABLE, 0, 0, 0, 0) === 0;
}
