import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterwards, end, start } from './cleanup.ts';
import { cleanEnvironment, type Outcome, run } from './programs.ts';
import type { TestUser } from './test-users.ts';

const repository = join(import.meta.dirname, '../..');

/** Where the repository is on a private machine, which has a /tmp of its own. */
const INSTALLED = '/opt/ccapi';

/**
 * A machine with /run, /tmp, loopback ports and processes of its own: what a test plants at the places that programs look
 * at by default disturbs no other, and ends with it.
 */
export interface PrivateMachine {
  /** Runs lines of sh to their end, as root unless a user is named. */
  sh(user: TestUser | undefined, script: string, env?: NodeJS.ProcessEnv): Promise<Outcome>;
  /** Runs our command as a user. */
  ccapi(user: TestUser, args: string[], env?: NodeJS.ProcessEnv): Promise<Outcome>;
  /** Runs a program of Node's as a user, or as root, and resolves once it has printed its first line. */
  startNode(user: TestUser | undefined, args: string[], env?: NodeJS.ProcessEnv): Promise<BackgroundProgram>;
  /** Ends the machine, and with it every process on it. */
  end(): Promise<void>;
}

/** A program that runs until the test ends it. */
export interface BackgroundProgram {
  /** Its pid, as the tests see it. */
  pid: number;
  /** Resolves to what it has printed once it has ended. */
  ended: Promise<string>;
  /** What it has printed so far. */
  stdout(): string;
  end(): Promise<void>;
}

/** The paths of our programs on a private machine. */
export const installed = {
  /** One that was fetched for the tests is in the repository. */
  node: process.execPath.replace(repository, INSTALLED),
  ccapi: `${INSTALLED}/dist/ccapi.js`,
  launcher: `${INSTALLED}/dist/ccapi-launcher.js`,
  library: `${INSTALLED}/dist/index.js`,
};

/** Needs root, unshare, nsenter, setpriv and ip. */
export async function startPrivateMachine(): Promise<PrivateMachine> {
  const args = ['-m', '-n', '-p', '--fork', '--kill-child', '--mount-proc', 'sh', '-ec', boot];
  const outside = start('/usr/bin/unshare', args, {
    env: cleanEnvironment({ REPOSITORY: repository, INSTALLED }),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  afterwards(() => end(outside, 'SIGKILL'));
  await firstLine(outside);
  const pid = childOf(outside);
  const command = (user: TestUser | undefined, env: NodeJS.ProcessEnv, words: string[]) => {
    const as = user ? ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : [];
    const set = Object.entries(cleanEnvironment(env)).map(([name, value]) => `${name}=${value}`);
    return ['-t', pid, '-m', '-n', '-p', ...as, 'env', '-i', '-C', '/', ...set, ...words];
  };
  const sh: PrivateMachine['sh'] = (user, script, env = {}) =>
    run('/usr/bin/nsenter', command(user, env, ['sh', '-ec', script]));
  return {
    sh,
    end: () => end(outside, 'SIGKILL'),
    ccapi: (user, words, env = {}) =>
      run('/usr/bin/nsenter', command(user, env, [installed.node, installed.ccapi, ...words])),
    startNode: async (user, words, env = {}) => {
      const child = start('/usr/bin/nsenter', command(user, env, [installed.node, ...words]), {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let printed = '';
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
      });
      const ended = new Promise<string>((resolve) => child.once('close', () => resolve(printed)));
      await firstLine(child);
      // nsenter waits for the program, which is its only child.
      const pid = Number(childOf(child));
      return {
        pid,
        ended,
        stdout: () => printed,
        end: async () => {
          process.kill(pid);
          await ended;
        },
      };
    },
  };
}

function childOf({ pid }: ChildProcess): string {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
}

function firstLine(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
  });
}

/** It lives for as long as its standard input. */
const boot = `
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir "$INSTALLED"
mount --bind "$REPOSITORY" "$INSTALLED"
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
echo ready
read end || :`;
