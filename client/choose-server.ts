import { matchesRedirect } from '../etc/config/redirect.ts';
import type { ServerURI } from '../etc/config/server-uri.ts';
import type { Settings } from '../etc/config/settings-table.ts';
import { nameService } from '../etc/host/passwd.ts';

/** The client that goes somewhere. */
interface ClientIdentity {
  uid: number;
  /** The service that its program says it is. */
  service: string | undefined;
}

/**
 * Where the settings send a client: `server`, or else the first rule of `redirect` that means it; undefined for the usual
 * way. `explain` is told what decided, and what did not.
 */
export function chooseServer(
  { server, redirect }: Pick<Settings, 'server' | 'redirect'>,
  client: ClientIdentity,
  explain: (line: string) => void,
): readonly ServerURI[] | undefined {
  if (server) {
    explain(`server = ${server.map(({ text }) => text).join(', ')}`);
    return server;
  }
  const { uid, service } = client;
  const who = `uid ${uid}${service === undefined ? '' : `, service ${service}`}`;
  for (const rule of redirect) {
    const decides = matchesRedirect(rule, client, nameService);
    explain(`redirect = ${rule.text}: ${decides ? 'means' : 'does not mean'} ${who}`);
    if (decides) return rule.uris;
  }
  return undefined;
}
