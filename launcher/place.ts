import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { useBeneath } from '../etc/beneath.ts';
import type { User } from '../etc/passwd.ts';
import { expandPathTemplate } from '../etc/path-template.ts';
import { CCAPIError } from '../proto/error.ts';

/**
 * The directory of a user's worker: a way that an admin has chosen (`root`), and beneath it one that the user may have
 * changed. Root goes there with the user's rights alone, follows no link beneath `root`, and enters no other file system.
 */
export class Place {
  readonly root: string;
  readonly relative: string;
  readonly uid: number;
  readonly #isOthers: boolean;

  constructor(root: string, relative: string, uid: number) {
    this.root = root;
    this.relative = relative;
    this.uid = uid;
    this.#isOthers = process.geteuid?.() === 0 && uid !== 0;
  }

  get path(): string {
    return this.root === '/' ? `/${this.relative}` : `${this.root}/${this.relative}`;
  }

  /** The place beside it of a directory in it. */
  within(name: string): Place {
    return new Place(this.root, `${this.relative}/${name}`, this.uid);
  }

  /**
   * Connects to a socket in it. Rejects with the system's error, ENOENT or ECONNREFUSED where none listens.
   */
  connect(name: string): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const begin = (path: string) => connect({ path, allowHalfOpen: true });
      // Node connects to a path at once, within the call.
      const socket = this.#isOthers
        ? useBeneath({ uid: this.uid }, this.root, `${this.relative}/${name}`, begin)
        : begin(`${this.path}/${name}`);
      socket.once('connect', () => resolve(socket.off('error', reject)));
      socket.once('error', reject);
    });
  }
}

/** Where a user's directory is: below the base directory, or where the template leads. Throws 202 (`ccErrBadParam`). */
export function placeOfUser(base: string, template: string | undefined, uid: number, user: User | undefined): Place {
  if (template === undefined) return new Place(base, String(uid), uid);
  const path = expandPathTemplate(template, uid, () => user);
  const parts = template.split('/');
  // The way to a home is the admin's, and so is what stands before the first part that differs from user to user.
  const fixed = parts.findIndex((part) => part.replaceAll('%%', '').includes('%'));
  const root = template.startsWith('~') ? (user as User).home : parts.slice(0, fixed).join('/') || '/';
  const remote = remoteFileSystem(root);
  if (remote) {
    throw new CCAPIError(
      'ccErrBadParam',
      `path_template = ${template}: ${root} is on ${remote}, which may not answer and which other hosts may share; choose a local one`,
    );
  }
  return new Place(root, path.slice(root === '/' ? 1 : root.length + 1), uid);
}

/** File systems that another host or process serves; by their types in proc_pid_mountinfo(5). */
const remoteTypes =
  /^(nfs4?|cifs|smb3|smbfs|afs|9p|ceph|lustre|gfs2|ocfs2|glusterfs|beegfs|autofs|fuse(\..*)?|fuseblk)$/;

/**
 * The type of the file system that a path is on, where another host or a user's process serves it. The mount table is
 * read and the path is not touched: to look at it could take for ever.
 */
function remoteFileSystem(path: string): string | undefined {
  if (process.platform !== 'linux') return undefined;
  let [longest, type] = ['', ''];
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [mount, filesystem] = line.split(' - ');
    const at = mount
      ?.split(' ')[4]
      ?.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)));
    if (at === undefined || filesystem === undefined) continue;
    const isAbove = at === '/' || path === at || path.startsWith(`${at}/`);
    // Of several mounts at one place the last one is seen.
    if (isAbove && at.length >= longest.length) [longest, type] = [at, filesystem.split(' ')[0] as string];
  }
  return remoteTypes.test(type) ? type : undefined;
}
