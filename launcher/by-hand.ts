import { writeSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { CCAPIError } from '../proto/error.ts';
import { type LauncherOptions, serveAddress } from './launcher.ts';
import { isLoopback } from './loopback.ts';

type ListenOptions = LauncherOptions & { settings: { port: number | undefined }; base: string };

/** Listens on the loopback addresses until it is told to stop, and tells the person at the terminal what to type next. */
export async function listenByHand(options: ListenOptions, address: string | undefined): Promise<void> {
  const { host, port } = parseAddress(
    address ?? String(options.settings.port ?? (options.launcherUid === 0 ? 789 : 7789)),
  );
  const listening: string[] = [];
  for (const at of host === undefined ? ['127.0.0.1', '::1'] : [host]) {
    try {
      await serveAddress(at, port, options);
      listening.push(at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const hasNoIPv6 = at === '::1' && host === undefined && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT');
      if (!hasNoIPv6)
        throw new CCAPIError('ccErrServerUnavailable', `cannot listen on ${at} port ${port}: ${whyNot(code)}`);
    }
  }
  const whom = options.launcherUid === 0 ? 'every user' : `uid ${options.launcherUid}`;
  options.log.info(
    `listening on ${listening.join(' and ')}, port ${port}, for ${whom}; sockets are below ${options.base}`,
  );
  writeSync(1, `\nNow, in another terminal:\n\n${nextSteps(port)}\n`);
}

function nextSteps(port: number): string {
  const setting = process.env.CCAPI_PORT === undefined && port !== 789 && port !== 7789 ? `CCAPI_PORT=${port} ` : '';
  const ccapi = `${setting}node ${join(__dirname, 'ccapi.js')}`;
  return [
    `  ${ccapi} list                        # what there is: nothing yet`,
    '  kinit -c FILE:/tmp/first you@YOUR.REALM',
    `  ${ccapi} import FILE:/tmp/first      # take the tickets in`,
    `  ${ccapi} list`,
    '',
  ].join('\n');
}

function parseAddress(text: string): { host: string | undefined; port: number } {
  const [, bracketed, host, portText] = /^(?:(?:\[(.+)\]|([^:]+)):)?([0-9]+)$/.exec(text) ?? [];
  const port = Number(portText);
  if (!(port >= 1 && port <= 65535)) {
    throw new CCAPIError('ccErrBadParam', `--listen ${JSON.stringify(text)}: expected [ADDRESS:]PORT`);
  }
  const named = bracketed ?? host;
  if (named !== undefined && !(isIP(named) && isLoopback(named))) {
    throw new CCAPIError('ccErrBadParam', `--listen ${JSON.stringify(text)}: only loopback addresses are served`);
  }
  return { host: named, port };
}

function whyNot(code: string | undefined): string {
  if (code === 'EADDRINUSE') return 'something listens there already; perhaps another launcher. Choose a --port';
  if (code === 'EACCES') return 'ports below 1024 are for root. Choose a --port';
  return code ?? 'unknown error';
}
