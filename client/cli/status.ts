import { parseArgs } from 'node:util';
import type { WorkerStatus } from '../../proto/status.ts';
import { Locator } from '../locator.ts';
import { readStatus } from '../worker-status.ts';
import { type Command, type Options, print, printJSON, printLines } from './command.ts';
import { howLong } from './format.ts';
import { findServers, type RunningServer } from './servers.ts';

const options = {
  'all-users': {
    type: 'boolean',
    summary: 'of all users',
    help: 'which servers run on this host, of all users; root is told the state of each',
  },
  json: { type: 'boolean', summary: 'as JSON', help: 'as JSON; times are seconds, memory is bytes' },
} as const satisfies Options;

export const status: Command = {
  synopsis: ['[--all-users] [--json]'],
  about: `Shows how your credential-cache server on this host is, if it runs; none is started. Exits with 1 where none does.`,
  options,
  example: 'ccapi status',

  async run(args) {
    const { values } = parseArgs({ args, options });
    if (values['all-users']) return showAll(values.json ?? false);
    const found = await new Locator({ here: true }).find({ launch: false });
    if (!found) {
      if (values.json) printJSON(null);
      else print('no server runs');
      process.exitCode = 1;
      return;
    }
    const { path } = found;
    const known = await readStatus(found);
    if (values.json) printJSON({ path, ...known });
    else printLines(asLines(path, known));
  },
};

function asLines(
  path: string,
  { version, pid, started, memory, keptIn, leavesIn, renewsIn, requests, ...counts }: WorkerStatus,
): string[] {
  const asked = Object.entries(requests)
    .sort(([, one], [, other]) => other - one)
    .map(([name, count]) => `  ${String(count).padStart(8)}  ${name}`);
  return [
    `socket       ${path}`,
    `process      ${pid}, version ${version}, for ${howLong(Math.max(0, Date.now() / 1000 - started))}`,
    `memory       ${megabytes(memory)} of its own`,
    `holds        ${counts.ccaches} ccaches, ${counts.credentials} credentials`,
    `connections  ${counts.connections}`,
    `keeps        ${keptIn === undefined ? 'in memory alone' : `in ${keptIn}`}`,
    `leaves       ${leavesIn === undefined ? 'not now' : `in ${howLong(leavesIn)} without a request`}`,
    ...(renewsIn === undefined ? [] : [`renews       a ticket in ${howLong(renewsIn)}`]),
    ...(asked.length > 0 ? ['requests', ...asked] : []),
  ];
}

async function showAll(json: boolean): Promise<void> {
  const servers = await findServers();
  if (json) printJSON(servers);
  for (const server of json ? [] : servers) print(asLine(server));
}

function asLine({ uid, pid, memory, path, status: known }: RunningServer): string {
  const said = known && [
    `${known.ccaches} ccaches, ${known.credentials} credentials`,
    `${known.connections} connections`,
    known.leavesIn === undefined ? 'stays' : `leaves in ${howLong(known.leavesIn)}`,
    ...(known.renewsIn === undefined ? [] : [`renews in ${howLong(known.renewsIn)}`]),
  ];
  return [`uid ${uid}`, `pid ${pid}`, megabytes(memory), ...(said ?? []), ...(path === undefined ? [] : [path])].join(
    '  ',
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}
