import { krb5ConfPaths, readSection } from '../../../etc/config/krb5-conf.ts';
import type { Settings } from '../../../etc/config/settings-table.ts';
import type { RendezvousError } from '../../../proto/rendezvous.ts';
import type { WorkerStatus } from '../../../proto/status.ts';

/** What was looked at, and what it came to. */
export interface Finding {
  what: string;
  /** Nothing is to be done about it. */
  fine: boolean;
  says: string;
  /** The line to type or to write, where it is not fine. */
  todo?: string;
}

/** What the checks share: the settings, and what an earlier check has found. */
export interface Patient {
  env: NodeJS.ProcessEnv;
  uid: number;
  settings: Settings;
  server?: WorkerStatus;
  /** The server takes connections and does not answer: nothing more is asked of it. */
  isSilent?: boolean;
  /** Why the launcher serves no server to this user. */
  refusal?: RendezvousError;
}

/** The value of a key of krb5.conf's `[libdefaults]`. */
export function libdefault(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return readSection(krb5ConfPaths(env), 'libdefaults').find(({ key }) => key === name)?.value;
}

/** Where launcher and servers write what they have to say. */
export const LOG = 'journalctl -t ccapi-launcher -t ccapi-server, or the system log, authpriv';
