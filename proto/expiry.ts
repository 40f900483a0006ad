import type { CredentialV5 } from './credential.ts';
import { isConfigServer } from './krb5-credential.ts';

/** What of a ccache a purge removes. */
export interface Expired<T> {
  credentials: T[];
  /** Whether no other ticket would be left: then the ccache goes too, with libkrb5's configuration entries. */
  isAll: boolean;
}

/**
 * Finds the tickets that ended before `time`, in seconds since 1970. Configuration entries are no tickets, and a ticket
 * without an end time does not expire. Worker and client purge by this one rule.
 */
export function findExpired<T>(
  credentials: readonly T[],
  credentialOf: (credential: T) => CredentialV5,
  time: number,
): Expired<T> {
  const tickets = credentials.filter((credential) => !isConfigServer(credentialOf(credential).server));
  const expired = tickets.filter((ticket) => {
    const { endtime } = credentialOf(ticket);
    return endtime !== 0 && endtime < time;
  });
  return { credentials: expired, isAll: expired.length === tickets.length };
}
