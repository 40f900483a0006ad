/** A kind of file system that another host, or a user's process, serves. */
interface Kind {
  /** What people call it. */
  name: string;
  /** Its types in /proc/self/mountinfo. */
  types: readonly string[];
  /** Its numbers in statfs(2), `f_type`. Source: linux/magic.h, and each one's own header. */
  numbers: readonly number[];
  /** Whether several hosts can have the same one mounted. */
  isShared: boolean;
  /** Whether what serves it may never answer, so that root must not go there for a user. */
  mayHang: boolean;
}

const both = { isShared: true, mayHang: true };
const hangsAlone = { isShared: false, mayHang: true };

const kinds: readonly Kind[] = [
  { name: 'NFS', types: ['nfs', 'nfs4'], numbers: [0x6969], ...both },
  { name: 'SMB', types: ['smbfs'], numbers: [0x517b], ...both },
  { name: 'CIFS', types: ['cifs'], numbers: [0xff534d42], ...both },
  { name: 'SMB2', types: ['smb3'], numbers: [0xfe534d42], ...both },
  { name: 'AFS', types: ['afs'], numbers: [0x5346414f, 0x6b414653], ...both },
  { name: 'Ceph', types: ['ceph'], numbers: [0x00c36400], ...both },
  { name: 'Lustre', types: ['lustre'], numbers: [0x0bd00bd0], ...both },
  { name: 'GFS2', types: ['gfs2'], numbers: [0x01161970], ...both },
  { name: 'OCFS2', types: ['ocfs2'], numbers: [0x7461636f], ...both },
  { name: 'BeeGFS', types: ['beegfs'], numbers: [0x19830326], ...both },
  { name: 'GlusterFS', types: ['glusterfs'], numbers: [], ...both },
  { name: 'Coda', types: ['coda'], numbers: [0x73757245], ...both },
  { name: 'GPFS', types: ['gpfs'], numbers: [0x47504653], ...both },
  { name: 'OrangeFS', types: ['pvfs2'], numbers: [0x20030528], ...both },
  // How virtual machines see their host's disk.
  { name: '9p', types: ['9p'], numbers: [0x01021997], ...hangsAlone },
  // It does not tell what is behind it.
  { name: 'FUSE', types: ['fuse', 'fuseblk'], numbers: [0x65735546], ...hangsAlone },
  { name: 'autofs', types: ['autofs'], numbers: [0x0187], ...hangsAlone },
];

const shared = new Map(
  kinds.filter(({ isShared }) => isShared).flatMap(({ name, numbers }) => numbers.map((n) => [n, name])),
);
const hanging = new Set(kinds.filter(({ mayHang }) => mayHang).flatMap(({ types }) => types));

/** The name of a file system that several hosts can have mounted, by its `f_type`; undefined for any other. */
export function sharedFileSystem(number: number): string | undefined {
  return shared.get(number >>> 0);
}

/** Whether a file system may never answer, by its type in /proc/self/mountinfo. */
export function mayHang(type: string): boolean {
  // FUSE alone has a subtype, behind a dot: fuse.sshfs.
  return hanging.has(type.split('.')[0] as string);
}
