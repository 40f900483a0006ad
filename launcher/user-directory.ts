import { connect, type Socket } from 'node:net';
import { expandPathTemplate } from '../etc/config/path-template.ts';
import { useBeneath, type Way } from '../etc/host/beneath.ts';
import { NO_GROUP } from '../etc/host/identity.ts';
import type { User } from '../etc/host/passwd.ts';

/**
 * The directory of a user's worker: a way that an admin has chosen (`root`), and beneath it one that the user may have
 * changed. Root goes there with the user's rights alone, follows no link beneath `root`, and enters no file system that
 * may not answer.
 */
export class UserDirectory {
  readonly root: string;
  readonly relative: string;
  readonly uid: number;
  /** `base`: the launcher's own directory; `template`: what path_template says; `home`: that, below a user's home. */
  readonly kind: 'base' | 'template' | 'home';

  constructor(root: string, relative: string, uid: number, kind: UserDirectory['kind'] = 'base') {
    this.root = root;
    this.relative = relative;
    this.uid = uid;
    this.kind = kind;
  }

  get path(): string {
    return this.root === '/' ? `/${this.relative}` : `${this.root}/${this.relative}`;
  }

  /** The place of a directory in it. */
  within(name: string): UserDirectory {
    return new UserDirectory(this.root, `${this.relative}/${name}`, this.uid, this.kind);
  }

  /** The way to it, or to another name beneath its root. */
  way(relative = this.relative, gid = NO_GROUP): Way {
    const mounts = this.kind === 'base' ? 'tmpfs' : 'local';
    return { user: { uid: this.uid, gid }, root: this.root, relative, mounts };
  }

  /** Connects to a socket in it. Rejects with the system's error: ENOENT or ECONNREFUSED where none listens. */
  connect(name: string): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const begin = (path: string) => connect({ path, allowHalfOpen: true });
      const isOthers = process.geteuid?.() === 0 && this.uid !== 0;
      // Node connects to a path at once, within the call.
      const socket = isOthers ? useBeneath(this.way(`${this.relative}/${name}`), begin) : begin(`${this.path}/${name}`);
      socket.once('connect', () => resolve(socket));
      // It stays, since a worker may end the connection at any moment.
      socket.on('error', reject);
    });
  }
}

/** Where a user's directory is: below the base directory, or where the template leads. Throws 202 (`ccErrBadParam`). */
export function locateUserDirectory(
  base: string,
  template: string | undefined,
  uid: number,
  user: User | undefined,
): UserDirectory {
  if (template === undefined) return new UserDirectory(base, String(uid), uid);
  const path = expandPathTemplate(template, uid, () => user);
  const parts = template.split('/');
  // The way to a home is the admin's, and so is what stands before the first part that differs from user to user.
  const fixed = parts.findIndex((part) => part.replaceAll('%%', '').includes('%'));
  const isHome = template.startsWith('~');
  const root = isHome ? (user as User).home : parts.slice(0, fixed).join('/').replaceAll('%%', '%') || '/';
  return new UserDirectory(root, path.slice(root === '/' ? 1 : root.length + 1), uid, isHome ? 'home' : 'template');
}
