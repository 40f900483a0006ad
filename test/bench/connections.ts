// What stock programs pay most: libkrb5 makes a new connection for each ccache handle, and GSSAPI several for each login.
import { existsSync } from 'node:fs';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { isInstalled } from '../setup/debian-packages.ts';
import { startKdc } from '../setup/kdc.ts';
import { cleanEnvironment, run } from '../setup/programs.ts';
import { bareDoor, recordReplies, repeatingDoor, startBareDoor } from './bare-door.ts';
import { compiled } from './compiled.ts';
import { startEcho } from './echo.ts';
import { asTable, type Figures } from './figures.ts';
import { ledTo, type Peer } from './peers.ts';
import { pinAll } from './pin.ts';

/** The command that has another run on the first core alone. */
const onOneCore = ['/usr/bin/taskset', '-c', '0'];

/** How many connections a sample is of, at the most. */
const COUNT = 5000;

/** Tables of microseconds, all on one core, and the ratios of ours against the others. */
export async function connections(load: string, peers: Peer[], quick: boolean): Promise<string> {
  if (!existsSync('/usr/bin/taskset')) return 'not measured: it needs taskset';
  const rounds = quick ? 1 : 9;
  const tables = [await newConnections(load, peers, rounds, quick ? 0.1 : 0.5)];
  const contexts = await loginContexts(peers, rounds, quick ? 0.1 : 0.5);
  if (typeof contexts !== 'string') tables.push(contexts);
  const notes = typeof contexts === 'string' ? [contexts] : [];
  return [...tables.map(asTable), ...notes].join('\n\n');
}

async function newConnections(load: string, peers: Peer[], rounds: number, seconds: number): Promise<Figures> {
  const echo = 'a bare Node server that echoes';
  const sockets = new Map(peers.flatMap(({ name, socket }) => (socket ? [[name, socket]] : [])));
  sockets.set(echo, await startEcho(`${temporaryDirectory()}/echo`, onOneCore));
  sockets.set(bareDoor, await startBareDoor(onOneCore));
  const of = new Map([...sockets.keys()].map((name) => [name, [] as number[]]));
  pinAll(peers, true);
  for (let round = 0; round <= rounds; round++) {
    for (const [name, socket] of sockets) {
      const args = ['-c', '0', load, '--request', socket, String(COUNT), String(seconds)];
      const { stdout, code } = await run('/usr/bin/taskset', args, { env: cleanEnvironment() });
      // The first round is that of programs that are not compiled yet.
      if (code === 0 && round > 0) of.get(name)?.push(JSON.parse(stdout).median);
    }
  }
  pinAll(peers, false);
  return { what: 'new connection and first reply', unit: 'µs', of };
}

/** The KDC is asked once for each peer; what is timed then is the ccache alone. */
async function loginContexts(peers: Peer[], rounds: number, seconds: number): Promise<Figures | string> {
  const program = compiled('context', 'gssapi_krb5');
  const missing = (['krb5-user', 'krb5-kdc', 'krb5-admin-server'] as const).filter((name) => !isInstalled(name));
  if (!program || missing.length > 0) return `gss_init_sec_context: not measured: needs libgssapi and ${missing}`;
  const kdc = await startKdc(['alice', 'host/a.test']);
  const keytab = await kdc.keytab('alice', ['alice']);
  const get = `kinit -k -t ${keytab} alice && kvno -q host/a.test`;
  const timed = `taskset -c 0 ${program} host@a.test ${seconds}`;
  const measure = async ({ ccache, env, wrapper }: Peer, script: string) => {
    const [shell = '', ...args] = [...wrapper, '/bin/sh'];
    const config = [env.KRB5_CONFIG, kdc.krb5Conf].filter(Boolean).join(':');
    const { stdout } = await run(shell, args, {
      env: cleanEnvironment({ ...env, KRB5_CONFIG: config, KRB5CCNAME: ccache }),
      input: script,
    });
    const line = stdout.split('\n').find((text) => text.startsWith('{'));
    return line === undefined ? [] : [JSON.parse(line).median as number];
  };
  const shared = peers.filter(({ name }) => name !== 'MEMORY');
  const ours = shared.find(({ name }) => name === 'ccapi') as Peer;
  await measure(ours, get);
  const replies = await recordReplies(ours, (recorded) => measure(recorded, timed));
  const floor = { ...ledTo(ours, await startBareDoor(onOneCore, replies)), name: repeatingDoor };
  const of = new Map([...shared, floor].map(({ name }) => [name, [] as number[]]));
  pinAll(peers, true);
  for (let round = 0; round < rounds; round++) {
    for (const peer of shared) of.get(peer.name)?.push(...(await measure(peer, `${get} && ${timed}; kdestroy -q`)));
    of.get(floor.name)?.push(...(await measure(floor, timed)));
  }
  pinAll(peers, false);
  return { what: 'gss_init_sec_context with the ticket there', unit: 'µs', of };
}
