import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { WorkerStatus } from '../../proto/status.ts';
import { Locator } from '../locate.ts';
import { commandOf, statusOf } from '../worker-process.ts';
import { type Command, print, printable } from './command.ts';
import { howLong } from './ticket-text.ts';

export const status: Command = {
  usage: `usage: ccapi status [--all-users] [--json]

Shows how your credential-cache server on this host is, if it runs; none is started. Exits with 1 where none does.

  --all-users  which servers run on this host, whosever they are
  --json       as JSON; times are seconds, memory is bytes

  ccapi status`,

  async run(args) {
    const options = { 'all-users': { type: 'boolean' }, json: { type: 'boolean' } } as const;
    const { values } = parseArgs({ args, options });
    if (values['all-users']) return showAll(values.json ?? false);
    const found = await new Locator({ here: true }).running();
    if (!found) {
      print(values.json ? 'null' : 'no server runs');
      process.exitCode = 1;
      return;
    }
    const { path } = found;
    const known = await statusOf(found);
    print(values.json ? JSON.stringify({ path, ...known }, null, 2) : asText(path, known));
  },
};

function asText(
  path: string,
  { version, pid, started, memory, keptIn, leavesIn, renewsIn, requests, ...counts }: WorkerStatus,
): string {
  const asked = Object.entries(requests)
    .sort(([, one], [, other]) => other - one)
    .map(([name, count]) => `  ${String(count).padStart(8)}  ${name}`);
  const lines = [
    `socket       ${path}`,
    `process      ${pid}, version ${version}, for ${howLong(Date.now() / 1000 - started)}`,
    `memory       ${(memory / 2 ** 20).toFixed(1)} MB`,
    `holds        ${counts.ccaches} ccaches, ${counts.credentials} credentials`,
    `connections  ${counts.connections}`,
    `keeps        ${keptIn === undefined ? 'in memory alone' : `in ${keptIn}`}`,
    `leaves       ${leavesIn === undefined ? 'not now' : `in ${howLong(leavesIn)} if nobody asks`}`,
    ...(renewsIn === undefined ? [] : [`renews       a ticket in ${howLong(renewsIn)}`]),
    ...(asked.length > 0 ? ['requests', ...asked] : []),
  ];
  return lines.map(printable).join('\n');
}

interface RunningServer {
  uid: number;
  pid: number;
  memory: number;
  directory: string | undefined;
}

function showAll(json: boolean): void {
  const servers = runningServers();
  if (json) print(JSON.stringify(servers, null, 2));
  for (const { uid, pid, memory, directory } of json ? [] : servers) {
    print(
      `uid ${uid}  pid ${pid}  ${(memory / 2 ** 20).toFixed(1)} MB${directory === undefined ? '' : `  ${directory}`}`,
    );
  }
}

/** By what anybody can see of a process. */
function runningServers(): RunningServer[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .flatMap((pid) => {
      const words = commandOf(pid);
      if (!words[0]?.endsWith('node') || !words.some((word) => word.endsWith('/ccapi-server.js'))) return [];
      const found = runningServer(pid, words);
      return found ? [found] : [];
    })
    .sort((one, other) => one.uid - other.uid);
}

function runningServer(pid: number, words: string[]): RunningServer | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/status`, 'latin1');
    const number = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(fields)?.[1]);
    const directory = words.find((word) => word.startsWith('--directory='))?.slice('--directory='.length);
    return { uid: number('Uid'), pid, memory: number('VmRSS') * 1024, directory };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}
