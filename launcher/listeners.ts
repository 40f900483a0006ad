import { chmodSync, lstatSync, unlinkSync, writeSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { MAX_SOCKET_PATH } from '../etc/config/paths.ts';
import { isListening } from '../etc/host/is-listening.ts';
import { withoutKoffi } from '../etc/host/libc.ts';
import { listenerUids } from '../etc/host/listener-owner.ts';
import { hasPeerCredentials } from '../etc/host/peer-credentials.ts';
import { checkUnreplaceable } from '../etc/host/private-directory.ts';
import { CCAPIError, UsageError } from '../proto/errors.ts';
import { ROOT_PORT, USER_PORT } from '../proto/rendezvous.ts';
import type { LauncherContext } from './context.ts';
import { isLoopback } from './peer.ts';
import { serveAddress } from './serve.ts';

const LOOPBACK = ['127.0.0.1', '::1'] as const;

type ListenOptions = LauncherContext & { settings: { port: number | undefined }; base: string };

/**
 * Listens on loopback addresses and UNIX sockets until it is told to stop, and tells the person at the terminal what to
 * type next.
 */
export async function listenByHand(context: ListenOptions, addresses: string[]): Promise<void> {
  if (process.platform === 'linux' && !hasPeerCredentials()) context.log.warning(withoutKoffi);
  const usual = String(
    context.settings.port ?? (context.launcherUid === 0 ? ROOT_PORT : freePort(context.launcherUid)),
  );
  const served = context.launcherUid === 0 ? 'every user' : `uid ${context.launcherUid}`;
  const steps: string[] = [];
  for (const address of addresses.length === 0 ? [usual] : addresses) {
    const path = address.startsWith('/') ? address : undefined;
    const port = path === undefined ? parseAddress(address) : undefined;
    const listening = port ? await listenOnPort(port, context) : await listenAtPath(address, context);
    context.log.info(`listening ${listening}, for ${served}; sockets are below ${context.base}`);
    steps.push(port ? nextSteps(port.port) : nextStepsAtPath(address));
  }
  writeSync(1, `\nNow, in another terminal:\n\n${steps.join('\n')}\n`);
}

/** How many ports are tried of those that users share. */
const SHARED_PORTS = 32;

/** The first port from 7789 on that no other user has; a second launcher of one user is told that there is a first. */
function freePort(uid: number): number {
  for (let port = USER_PORT; port < USER_PORT + SHARED_PORTS; port++) {
    const owners = LOOPBACK.flatMap((host) => listenerUids(host, port) ?? []);
    if (owners.every((owner) => owner === uid)) return port;
  }
  return USER_PORT;
}

interface Address {
  host: string | undefined;
  port: number;
}

async function listenOnPort({ host, port }: Address, context: ListenOptions): Promise<string> {
  const listening: string[] = [];
  for (const at of host === undefined ? LOOPBACK : [host]) {
    try {
      await serveAddress({ host: at, port }, context);
      listening.push(at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const hasNoIPv6 = at === '::1' && host === undefined && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT');
      if (!hasNoIPv6)
        throw new CCAPIError('ccErrServerUnavailable', `cannot listen on ${at} port ${port}: ${whyNot(code)}`);
    }
  }
  return `on ${listening.join(' and ')}, port ${port}`;
}

function nextSteps(port: number): string {
  const setting =
    process.env.CCAPI_PORT === undefined && port !== ROOT_PORT && port !== USER_PORT ? `CCAPI_PORT=${port} ` : '';
  const ccapi = `${setting}node ${join(__dirname, 'ccapi.js')}`;
  return [
    `  ${ccapi} list                        # what there is: nothing yet`,
    `  ${ccapi} exec -- kinit you@YOUR.REALM   # stock programs, with their tickets there`,
    `  ${ccapi} list`,
    '',
  ].join('\n');
}

function nextStepsAtPath(path: string): string {
  return [
    '  # in a krb5.conf, [libdefaults]:',
    '  #   default_ccache_name = KCM:',
    `  #   kcm_socket = ${path}`,
    '  kinit you@YOUR.REALM',
    '  klist',
    '',
  ].join('\n');
}

function parseAddress(text: string): Address {
  const [, bracketed, host, portText] = /^(?:(?:\[(.+)\]|([^:]+)):)?([0-9]+)$/.exec(text) ?? [];
  const port = Number(portText);
  if (!(port >= 1 && port <= 65535)) {
    throw new UsageError(`--listen ${JSON.stringify(text)}: expected [ADDRESS:]PORT or /path`);
  }
  const named = bracketed ?? host;
  if (named !== undefined && !(isIP(named) && isLoopback(named))) {
    throw new UsageError(`--listen ${JSON.stringify(text)}: only loopback addresses are served`);
  }
  return { host: named, port };
}

function whyNot(code: string | undefined): string {
  if (code === 'EADDRINUSE') return 'something listens there already; perhaps another launcher. Choose a --port';
  if (code === 'EACCES') return 'ports below 1024 are for root. Choose a --port';
  return code ?? 'unknown error';
}

/**
 * Listens on a UNIX socket of its own: mode 666 where root listens, else 600. A socket without a listener is removed
 * first; anything else that stands there is refused. The socket is removed when
 * the launcher is told to end.
 */
async function listenAtPath(path: string, context: LauncherContext): Promise<string> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new UsageError(`--listen ${path}: longer than a socket's path may be: ${MAX_SOCKET_PATH} bytes`);
  }
  try {
    checkUnreplaceable(dirname(path), context.launcherUid);
    await clearAbandoned(path);
    await serveAddress({ path }, context);
  } catch (error) {
    if (error instanceof CCAPIError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new CCAPIError('ccErrServerUnavailable', `cannot listen at ${path}: ${code}`, { cause: error });
  }
  chmodSync(path, context.launcherUid === 0 ? 0o666 : 0o600);
  removeAtEnd(path);
  return `at ${path}`;
}

async function clearAbandoned(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new UsageError(`--listen ${path}: something that is no socket is there`);
  if (await isListening(path)) {
    throw new CCAPIError('ccErrServerUnavailable', `cannot listen at ${path}: something listens there already`);
  }
  unlinkSync(path);
}

function removeAtEnd(path: string): void {
  const ours = lstatSync(path).ino;
  const remove = () => {
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ours) unlinkSync(path);
  };
  process.once('exit', remove);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      remove();
      process.kill(process.pid, signal);
    });
  }
}
