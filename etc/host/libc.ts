/** The C library through koffi, for the calls that Node lacks. koffi is loaded at the first of them, never before. */

import { version } from '../../proto/status.ts';
import { type Koffi, loadKoffi } from './load-koffi.ts';

/** koffi, and the C library of this process. */
export interface Libc {
  koffi: Koffi;
  library: ReturnType<Koffi['load']>;
}

let loaded: Libc | null | undefined;

/** The C library; undefined where koffi is not installed, or not for this machine. */
export function libc(): Libc | undefined {
  if (loaded === undefined) {
    try {
      const koffi = loadKoffi();
      loaded = { koffi, library: koffi.load(null) };
    } catch {
      loaded = null;
    }
  }
  return loaded ?? undefined;
}

/** What a program without root reports, once, where koffi is missing. */
export const withoutKoffi =
  'koffi is missing: the kernel is not asked who connects, and nothing reaches the system log; install it: npm install -g --include=optional ccapi';

/** What `--version` prints: the program, and what it runs on. Loads koffi to see whether it is there. */
export function versionText(program: string): string {
  const { version: node, platform, arch } = process;
  return `${program} ${version} (Node ${node}, ${platform} ${arch}, ${libc() ? 'with' : 'without'} koffi)`;
}

/** Numbers of system calls that have no wrapper in every C library, or one that does more. Source: syscalls(2). */
const numbers = {
  x64: { setgroups: 116, setresuid: 117, setresgid: 119, keyctl: 250, renameat2: 316 },
  arm64: { setgroups: 159, setresuid: 147, setresgid: 149, keyctl: 219, renameat2: 276 },
} as const;

/** A system call that has a number here. */
type SystemCall = keyof (typeof numbers)['x64'];

/** Declares a system call with the C types of its arguments; undefined on other systems than Linux on x64 and arm64. */
export function systemCall(name: SystemCall, types: string[]): ((...args: unknown[]) => number) | undefined {
  const number = process.platform === 'linux' ? numbers[process.arch as keyof typeof numbers]?.[name] : undefined;
  const library = number === undefined ? undefined : libc()?.library;
  if (!library) return undefined;
  const call = library.func('syscall', 'long', ['long', ...types]);
  return (...args) => Number(call(number, ...args));
}

/** The error of the call that has just failed, as Node's own have it: with `code` and `syscall`. */
export function systemError(syscall: string, path?: string): NodeJS.ErrnoException {
  const number = libc()?.koffi.errno() ?? 0;
  const { errno } = process.getBuiltinModule('node:os').constants;
  const code = Object.keys(errno).find((name) => errno[name as keyof typeof errno] === number) ?? `errno ${number}`;
  const message = `${code}: ${syscall}${path === undefined ? '' : ` '${path}'`}`;
  return Object.assign(new Error(message), { code, syscall, errno: -number });
}

const LOCK_EX = 2;
const LOCK_NB = 4;
const EAGAIN = 11;

/**
 * Locks an open file or directory until this process ends or closes it: true once it is locked, false while another
 * process has it, undefined where the C library cannot be called or the file system has no such locks. Source: flock(2).
 */
export function lockExclusively(descriptor: number): boolean | undefined {
  const calls = process.platform === 'linux' ? libc() : undefined;
  if (!calls) return undefined;
  if (calls.library.func('int flock(int, int)')(descriptor, LOCK_EX | LOCK_NB) === 0) return true;
  return calls.koffi.errno() === EAGAIN ? false : undefined;
}

/** Gives the system back what the C library keeps of memory that was freed. Not every C library can. Source: malloc_trim(3). */
export function trimMemory(): void {
  try {
    libc()?.library.func('int malloc_trim(size_t)')(0);
  } catch {
    // musl, and macOS.
  }
}
