import { statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { eventually, hasEnded, start, workersBelow } from './cleanup.ts';
import type { FrontDoor } from './front-door.ts';
import { heimdal } from './heimdal.ts';
import { ccapi, cleanEnvironment, type Outcome, programs } from './programs.ts';
import type { TestUser } from './test-users.ts';

/** Runs a line as a user: a program of MIT's, behind `h:` one of Heimdal's, behind `o:` our own. */
export function command(machine: FrontDoor, user: TestUser, line: string): Promise<Outcome> {
  const [, how, program = '', rest = ''] = /^(?:(\w):)?(\S+) ?(.*)$/.exec(line) ?? [];
  const args = rest === '' ? [] : rest.split(' ');
  const { uid, gid } = user;
  const { env, kdc, doorDirectory } = machine;
  const options = { uid, gid, env, input: `${kdc.password}\n` };
  if (how === 'h') return heimdal(doorDirectory, program, args, options);
  return how === 'o' ? ccapi([program, ...args], options) : machine.as(user, program, ...args);
}

/** How a command ended and what it printed, without what differs from one day to the next. */
export function shown({ code, stdout, stderr }: Outcome): string {
  return withoutChance(`${code} ${stdout}${stderr}`);
}

/** A text without times and without numbers that are drawn. */
export function withoutChance(text: string): string {
  return text
    .replace(
      /\d\d\/\d\d\/\d\d \d\d:\d\d:\d\d|[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}|\d{4}-\d\d-\d\d[T ][\d:.]+Z?/g,
      'TIME',
    )
    .replace(/\b\d{4,}(:\d+)?\b/g, 'NUMBER')
    .replace(/ +/g, ' ');
}

/** A program of a user's that has the library loaded all day; asked a line, it says what came of it. */
export function libraryProgram(machine: FrontDoor, { uid, gid }: TestUser): (line: string) => Promise<string> {
  const program = `${import.meta.dirname}/library-program.cjs`;
  const env = cleanEnvironment(machine.env);
  const child = start(process.execPath, [program, programs.library], {
    uid,
    gid,
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  return (line) =>
    new Promise((resolve) => {
      lines.once('line', resolve);
      child.stdin?.write(`${line}\n`);
    });
}

/** The pids of a user's workers. */
export function workersOf(machine: FrontDoor, uid: number): number[] {
  return workersBelow(machine.base).filter((pid) => ownerOf(pid) === uid);
}

/** Ends a user's workers and waits until they are gone. */
export async function kill(machine: FrontDoor, uid: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const pids = workersOf(machine, uid);
  for (const pid of pids) process.kill(pid, signal);
  await eventually(() => pids.every(hasEnded));
}

function ownerOf(pid: number): number | undefined {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
}
