// What stock programs pay most: libkrb5 makes a new connection for each ccache handle, and GSSAPI several for each login.
import { existsSync } from 'node:fs';
import { eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { isInstalled } from '../setup/debian-packages.ts';
import { startKdc } from '../setup/kdc.ts';
import { cleanEnvironment, run } from '../setup/programs.ts';
import { compiled } from './compiled.ts';
import { startEcho } from './echo.ts';
import { asTable, type Figures } from './figures.ts';
import type { Peer } from './peers.ts';
import { pinAll } from './pin.ts';

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
  sockets.set(echo, await startEcho(`${temporaryDirectory()}/echo`, ['/usr/bin/taskset', '-c', '0']));
  sockets.set(handedOver, await startHandOver(`${temporaryDirectory()}/door`));
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

/** Two bare Node processes: the one accepts, the other echoes. */
const handedOver = 'two bare Node processes, one of which accepts';

async function startHandOver(path: string): Promise<string> {
  for (const role of ['taker', 'door']) {
    const program = [process.execPath, '--import', 'tsx', `${import.meta.dirname}/bare-hand-over.mts`, role, path];
    start('/usr/bin/taskset', ['-c', '0', ...program], { env: cleanEnvironment(), stdio: 'ignore' });
    // A connection to the taker would be taken for one of the door's.
    await eventually(() => existsSync(role === 'door' ? path : `${path}.taker`));
  }
  return path;
}

/** The KDC is asked once for each peer; what is timed then is the ccache alone. */
async function loginContexts(peers: Peer[], rounds: number, seconds: number): Promise<Figures | string> {
  const program = compiled('context', 'gssapi_krb5');
  const missing = (['krb5-user', 'krb5-kdc', 'krb5-admin-server'] as const).filter((name) => !isInstalled(name));
  if (!program || missing.length > 0) return `gss_init_sec_context: not measured: needs libgssapi and ${missing}`;
  const kdc = await startKdc(['alice', 'host/a.test']);
  const keytab = await kdc.keytab('alice', ['alice']);
  const shared = peers.filter(({ name }) => name !== 'MEMORY');
  const of = new Map(shared.map(({ name }) => [name, [] as number[]]));
  pinAll(peers, true);
  for (let round = 0; round < rounds; round++) {
    for (const { name, ccache, env, wrapper } of shared) {
      const timed = `taskset -c 0 ${program} host@a.test ${seconds}`;
      const script = `kinit -k -t ${keytab} alice && kvno -q host/a.test && ${timed}; kdestroy -q`;
      const [shell = '', ...args] = [...wrapper, '/bin/sh'];
      const config = [env.KRB5_CONFIG, kdc.krb5Conf].filter(Boolean).join(':');
      const { stdout } = await run(shell, args, {
        env: cleanEnvironment({ ...env, KRB5_CONFIG: config, KRB5CCNAME: ccache }),
        input: script,
      });
      const line = stdout.split('\n').find((text) => text.startsWith('{'));
      if (line) of.get(name)?.push(JSON.parse(line).median);
    }
  }
  pinAll(peers, false);
  return { what: 'gss_init_sec_context with the ticket there', unit: 'µs', of };
}
