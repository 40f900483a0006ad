/**
 * What a connection asks that wants to know how a worker is, in a frame of its own: no request of CCAPI or KCM begins with
 * a letter. The answer is a frame of JSON, a {@link WorkerStatus}. It says nothing of what is in the ccaches.
 */
export const STATUS_REQUEST = 'ccapi status 1';

/** The settings that a program goes by: of each key of krb5.conf its value as a person writes it, and where it was set. */
export type SettingsReport = Record<string, { value: string; where: string }>;

/** How a worker is. */
export interface WorkerStatus {
  version: string;
  pid: number;
  /** When it was started, in seconds since 1970. */
  started: number;
  /** Private memory in bytes, which ending the worker would free; resident memory where the kernel does not tell. */
  memory: number;
  ccaches: number;
  credentials: number;
  connections: number;
  /** How many requests of each kind it has had, by the names of the two tables. */
  requests: Record<string, number>;
  settings: SettingsReport;
  /** The directory in which ccaches are kept; without one they go with the worker. */
  keptIn?: string;
  /** Seconds until it exits without a further request; absent while a client is connected or something would be lost. */
  leavesIn?: number;
  /** In how many seconds the next ticket is renewed, where `renew = yes` and there is one. */
  renewsIn?: number;
}

/** The version of all three programs and of the library, as package.json has it. */
export const version = '0.1.0';
