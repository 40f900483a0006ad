// What stock programs would pay where the two processes of ours did nothing: two of bare Node, of which the one accepts and the
// other answers, by echoes or with what ours has said to the same program before.
import { existsSync, writeFileSync } from 'node:fs';
import { eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { startTrace } from '../setup/kcm-trace.ts';
import { cleanEnvironment } from '../setup/programs.ts';
import { ledTo, type Peer } from './peers.ts';

/** The names in tables: of one that echoes, and of one that repeats. */
export const bareDoor = 'two bare Node processes, one of which accepts';
export const repeatingDoor = 'two bare Node processes, which repeat the replies of ccapi';

/**
 * Starts both, and returns the path of the socket that is accepted at. `wrapper` is a command that runs each in its turn; with
 * `replies`, those of each connection, they are given one for each request, the connections in a circle.
 */
export async function startBareDoor(wrapper: string[] = [], replies?: readonly (readonly Buffer[])[]): Promise<string> {
  const directory = temporaryDirectory();
  const path = `${directory}/door`;
  const file = `${directory}/replies`;
  if (replies) writeFileSync(file, JSON.stringify(replies.map((all) => all.map((reply) => reply.toString('hex')))));
  for (const role of ['taker', 'door']) {
    const program = [process.execPath, '--import', 'tsx', `${import.meta.dirname}/bare-hand-over.mts`, role, path];
    const [command = '', ...args] = [...wrapper, ...program, ...(replies ? [file] : [])];
    start(command, args, { env: cleanEnvironment(), stdio: 'ignore' });
    // A connection to the taker would be taken for one of the door's.
    await eventually(() => existsSync(role === 'door' ? path : `${path}.taker`));
  }
  return path;
}

/** What a KCM server says, on each connection in the order in which they are made, while a program runs that is led to it. */
export async function recordReplies(peer: Peer, act: (recorded: Peer) => Promise<unknown>): Promise<Buffer[][]> {
  const trace = await startTrace(`${temporaryDirectory()}/trace`, peer.socket as string);
  await act(ledTo(peer, trace.path));
  await trace.taken();
  return trace.replies;
}
