import type { ServerURI } from '../etc/config/server-uri.ts';
import type { Settings } from '../etc/config/settings-table.ts';
import { CCAPIError } from '../proto/errors.ts';
import { ROOT_PORT, type WorkerKey } from '../proto/rendezvous.ts';
import { connectToPath } from './connect-to-path.ts';
import { askAddress } from './launcher-client.ts';
import { askForWorker, type WorkerConnection, whyNone } from './worker-connection.ts';

/** What a URI leaves open. */
export interface URIContext {
  uid: number;
  env: NodeJS.ProcessEnv;
  settings: Pick<Settings, 'port' | 'rsh'>;
  /** The worker that a launcher is asked for. Throws 202 (`ccErrBadParam`) where the name of its session is wrong. */
  key(): WorkerKey;
  /** Told, a line at a time, what each URI comes to. */
  explain(line: string): void;
}

/**
 * Connects to the first of some URIs that leads to a server. Rejects with the error of the only one, or 223
 * (`ccErrServerUnavailable`) with what each came to.
 */
export async function connectToURIs(uris: readonly ServerURI[], context: URIContext): Promise<WorkerConnection> {
  const tried: string[] = [];
  for (const uri of uris) {
    try {
      const found = await connectToURI(uri, context);
      context.explain(`${uri.text}: a server answers`);
      return found;
    } catch (error) {
      const { message } = error as Error;
      context.explain(`${uri.text}: ${message}`);
      if (uris.length === 1) throw error;
      tried.push(message);
    }
  }
  throw new CCAPIError('ccErrServerUnavailable', `no credential-cache server: ${tried.join('; ')}`);
}

async function connectToURI(uri: ServerURI, { uid, env, settings, key }: URIContext): Promise<WorkerConnection> {
  if (uri.scheme === 'unix') return connectToPath(uri.path, uid);
  const { openCommand, openSSH } = await import('./transports.ts');
  if (uri.scheme === 'exec') return { socket: await openCommand(uri, env), path: uri.text };
  if (uri.scheme === 'ssh') return { socket: await openSSH(uri, settings.rsh, env), path: uri.text };
  const { host, port = settings.port ?? ROOT_PORT } = uri;
  const { path, found } = await askForWorker(() => askAddress(host, port, key()), uid);
  if (found) return found;
  throw new CCAPIError('ccErrServerUnavailable', `${uri.text}: ${whyNone(path)}`);
}
