// Other places where tickets are kept, each with what a libkrb5 program needs to be led there.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import {
  afterwards,
  eventually,
  memory,
  processesOf,
  start,
  temporaryDirectory,
  workersBelow,
} from '../setup/cleanup.ts';
import { isInstalled } from '../setup/debian-packages.ts';
import { startInetd } from '../setup/inetd.ts';
import { cleanEnvironment, sendBytes, startLauncher } from '../setup/programs.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';

/** A place for tickets. */
export interface Peer {
  name: string;
  /** A ccache, the collection that it is in, and the pattern of the names of many. */
  ccache: string;
  collection: string;
  pattern: string;
  env: NodeJS.ProcessEnv;
  /** A program that runs the load in its turn. */
  wrapper: string[];
  /** Its daemon, where it has one: all processes of it that a request comes through. */
  pids: number[];
  /** The socket of KCM that stock programs connect to. */
  socket?: string;
}

const uid = process.getuid?.() as number;

function kcm(name: string, socket: string, pids: number[]): Peer {
  const names = { ccache: `KCM:${uid}:bench`, collection: 'KCM:', pattern: `KCM:${uid}:w%d` };
  return { name, ...names, env: environmentFor(socket), wrapper: [], pids, socket };
}

/** What leads libkrb5 to a KCM socket. */
function environmentFor(socket: string): NodeJS.ProcessEnv {
  const krb5Conf = `${temporaryDirectory()}/krb5.conf`;
  writeFileSync(krb5Conf, `[libdefaults]\n kcm_socket = ${socket}\n`);
  return { KRB5_CONFIG: krb5Conf };
}

/** The same peer behind another socket, of which the daemon is none to pin. */
export function ledTo(peer: Peer, socket: string): Peer {
  return { ...peer, env: environmentFor(socket), socket, pids: [] };
}

/** Ours as it is installed: under the real inetd where that is there, else as a launcher started by hand. */
async function ours(): Promise<Peer> {
  const directory = temporaryDirectory(memory);
  const [base, door] = [`${directory}/run`, `${directory}/door`];
  const args = [`--directory=${base}`, '--launcher-idle=1d'];
  if (uid === 0 && isInstalled('openbsd-inetd'))
    await startInetd(directory, [{ address: door, port: 0, wait: true }], args);
  else await startLauncher([door, ...args]);
  const reply = await sendBytes({ path: door }, NOOP, 12);
  if (reply.length !== 12) throw new Error(`${door} answers nothing`);
  const pids = [...processesOf('ccapi-launcher.js', base), ...workersBelow(base)];
  return kcm('ccapi', door, pids);
}

/** A request of KCM that does nothing. */
export const NOOP = Buffer.from('0000000402000000', 'hex');

/** Ours without its front door, which no stock program comes to. */
export async function atWorkersSocket(): Promise<Peer> {
  const { worker, path } = await startWorker(workerDirectory(memory));
  return kcm("ccapi, at the worker's own socket", path, [worker.pid as number]);
}

/** A script that is run as root in a mount namespace of its own, as a child of init. */
async function startApart(script: string[], socket: string, program: string): Promise<number> {
  const directory = temporaryDirectory();
  writeFileSync(`${directory}/script`, ['mount --make-rprivate /', ...script, ''].join('\n'));
  start(
    '/usr/bin/setsid',
    ['-f', '/usr/bin/unshare', '-m', '/bin/sh', '-c', `echo $$ >${directory}/pid; . ${directory}/script`],
    {
      env: cleanEnvironment(),
      stdio: 'ignore',
    },
  );
  await eventually(() => existsSync(socket));
  const pid = Number(readFileSync(`${directory}/pid`, 'utf8'));
  const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  if (name !== program) throw new Error(`${program} runs as ${name}`);
  afterwards(() => void (existsSync(`/proc/${pid}`) && process.kill(pid)));
  return pid;
}

async function heimdal(): Promise<Peer> {
  const directory = temporaryDirectory(memory);
  mkdirSync(`${directory}/run`);
  writeFileSync(`${directory}/kcm.conf`, '[logging]\n kcm = 9-/FILE:/dev/null\n');
  const socket = `${directory}/run/.heim_org.h5l.kcm-socket`;
  const script = [`mount --bind ${directory}/run /run`, `exec /usr/sbin/kcm --config-file=${directory}/kcm.conf`];
  return kcm("Heimdal's kcm", socket, [await startApart(script, socket, 'kcm')]);
}

/** Its address space is bounded, since it grows by the size of a ccache with each store. */
async function sssd(): Promise<Peer> {
  const { socket, script } = sssdScript();
  return kcm('sssd-kcm', socket, [await startApart([...script, `exec ${SSSD}`], socket, 'sssd_kcm')]);
}

/** The path of a socket that starts sssd-kcm, as its systemd unit has it; undefined where the machine lacks what that needs. */
export async function sssdOnDemand(): Promise<{ socket: string; pid: number } | undefined> {
  if (uid !== 0 || !isInstalled('sssd-kcm') || !existsSync(ACTIVATE)) return undefined;
  const { socket, script } = sssdScript();
  const pid = await startApart([...script, `exec ${ACTIVATE} -l ${socket} ${SSSD}`], socket, 'systemd-socket-');
  return { socket, pid };
}

const SSSD = '/usr/libexec/sssd/sssd_kcm --uid 0 --gid 0 --logger=files';
const ACTIVATE = '/usr/bin/systemd-socket-activate';

function sssdScript(): { socket: string; script: string[] } {
  const directory = temporaryDirectory(memory);
  for (const name of ['etc', 'etc/conf.d', 'log', 'run']) mkdirSync(`${directory}/${name}`);
  const socket = `${directory}/run/kcm.sock`;
  writeFileSync(`${directory}/etc/sssd.conf`, `[sssd]\nservices =\ndomains =\n[kcm]\nsocket_path = ${socket}\n`, {
    mode: 0o600,
  });
  const script = [
    'mount -t tmpfs tmpfs /var/lib/sss',
    'cd /var/lib/sss && mkdir -p db secrets pipes/private mc pubconf && chmod 700 secrets',
    `mount --bind ${directory}/etc /etc/sssd`,
    `mount --bind ${directory}/log /var/log/sssd`,
    'sssd --genconf-section=kcm',
    'ulimit -v 8000000',
  ];
  return { socket, script };
}

function withoutDaemon(
  name: string,
  names: Pick<Peer, 'ccache' | 'collection' | 'pattern'>,
  wrapper: string[] = [],
): Peer {
  return { name, ...names, env: {}, wrapper, pids: [] };
}

/** All that this machine can run; the others are told of. */
export async function startPeers(): Promise<{ peers: Peer[]; missing: string[] }> {
  const directory = temporaryDirectory(memory);
  mkdirSync(`${directory}/dir`);
  const missing: string[] = [];
  const peers = [await ours()];
  for (const [name, startIt, is] of [
    ['sssd-kcm', sssd, 'sssd-kcm'],
    ["Heimdal's kcm", heimdal, 'heimdal-kcm'],
  ] as const) {
    if (uid === 0 && isInstalled(is)) peers.push(await startIt());
    else missing.push(`${name} (needs root and ${is})`);
  }
  const dir = `DIR:${directory}/dir`;
  const dirNames = { ccache: `DIR::${directory}/dir/tkt`, collection: dir, pattern: `DIR::${directory}/dir/tkt%d` };
  peers.push(withoutDaemon('FILE', { ccache: `FILE:${directory}/file`, collection: '', pattern: '' }));
  peers.push(withoutDaemon('DIR', dirNames));
  const keyring = {
    ccache: 'KEYRING:session:bench',
    collection: 'KEYRING:session:w',
    pattern: 'KEYRING:session:w:t%d',
  };
  if (spawnSync('/usr/bin/keyctl', ['--version']).status === 0)
    peers.push(withoutDaemon('KEYRING', keyring, ['/usr/bin/keyctl', 'session', '-']));
  else missing.push('KEYRING (needs keyutils)');
  peers.push(withoutDaemon('MEMORY', { ccache: 'MEMORY:bench', collection: 'MEMORY:w0', pattern: 'MEMORY:w%d' }));
  return { peers, missing };
}
