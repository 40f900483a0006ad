import type { Socket } from 'node:net';
import type { Log } from '../etc/host/log.ts';
import { describePeer, hasPeerCredentials, peerCredentials } from '../etc/host/peer-credentials.ts';
import { descriptorOf } from '../etc/host/socket-handle.ts';

/**
 * Serves the owner alone, by the kernel's word on the peer: the directory keeps out all other users but root. Where the
 * kernel cannot be asked, the directory is the proof.
 */
export class PeerCheck {
  readonly #uid = process.getuid?.() as number;
  rootAccess: boolean;
  readonly #log: Log;

  constructor(rootAccess: boolean, log: Log) {
    this.rootAccess = rootAccess;
    this.#log = log;
  }

  /** Loads the calls that it needs; best while the worker listens and has no connection yet. */
  prepare(): void {
    hasPeerCredentials();
  }

  /** Whether the peer of a connection is served; one that is not is logged. */
  isServed(socket: Socket): boolean {
    if (!hasPeerCredentials()) return true;
    const peer = peerCredentials(descriptorOf(socket));
    if (peer?.uid === this.#uid || (peer?.uid === 0 && this.rootAccess)) return true;
    const who = peer ? describePeer(peer) : 'a peer that the kernel does not name';
    const hint = peer?.uid === 0 ? '; root_access = yes in krb5.conf would serve root' : '';
    this.#log.refusal(`${who} may not use the worker of uid ${this.#uid}${hint}`);
    return false;
  }
}
