/** What a launcher tells a worker that it has had started, and what the worker answers: a line each. */

/** The launcher's line, as JSON: the user to become, and what else the worker is to know, where its own start cannot say it. */
export interface WorkerAssignment {
  uid: number;
  gid: number;
  /** The name of the user, of which a later account of the uid is told; empty where no database has the uid. */
  name?: string | undefined;
  /** Further arguments of the worker's command line. */
  args?: readonly string[];
  /** Variables for its environment. */
  env?: Readonly<Record<string, string>>;
}

/** The longest line of either, in bytes: the launcher's, and all that a worker answers. */
export const MAX_ASSIGNMENT = 16_384;
export const MAX_ANSWER = 512;

/** Where root's launcher asks systemd for a worker. A connection is one worker's descriptors 0 and 1. */
export const WORKER_SOCKET = '/run/ccapi-server.socket';
