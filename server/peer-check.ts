import type { Socket } from 'node:net';
import type { Log } from '../etc/host/log.ts';
import { describePeer, hasPeerCredentials, peerCredentials } from '../etc/host/peer-credentials.ts';
import { descriptorOf } from '../etc/host/socket-handle.ts';

/**
 * Who is served beside the directory's own word: the kernel is asked who connected, since a directory keeps everybody out
 * but root. Where it cannot be asked, the directory is the proof.
 */
export class Admission {
  readonly #uid = process.getuid?.() as number;
  rootAccess: boolean;
  readonly #log: Log;

  constructor(rootAccess: boolean, log: Log) {
    this.rootAccess = rootAccess;
    this.#log = log;
  }

  /** Loads what asking needs; best when the worker already listens and nobody has come yet. */
  prepare(): void {
    hasPeerCredentials();
  }

  /** Whether whoever made a connection is served. Somebody else is logged. */
  admits(socket: Socket): boolean {
    if (!hasPeerCredentials()) return true;
    const peer = peerCredentials(descriptorOf(socket));
    if (peer?.uid === this.#uid || (peer?.uid === 0 && this.rootAccess)) return true;
    const who = peer ? describePeer(peer) : 'a peer that the kernel does not name';
    const hint = peer?.uid === 0 ? '; root_access = yes in krb5.conf would serve root' : '';
    this.#log.refusal(`${who} may not use the worker of uid ${this.#uid}${hint}`);
    return false;
  }
}
