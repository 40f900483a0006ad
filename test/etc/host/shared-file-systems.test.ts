// Which file systems other hosts may have mounted as well, and which may never answer.
import { expect, it } from 'vitest';
import { mayHang, sharedFileSystem } from '../../../etc/host/shared-file-systems.ts';

it.each([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  // As a signed word, in which some systems give it.
  [0xff534d42 | 0, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
])('file system %i is shared: %s', (type, name) => {
  expect(sharedFileSystem(type)).toBe(name);
});

it.each([
  [0xef53, 'ext4'],
  [0x01021994, 'tmpfs'],
  [0x9123683e, 'btrfs'],
  [0x58465342, 'XFS'],
  [0x2fc12fc1, 'ZFS'],
  [0x794c7630, 'overlay'],
  [0x01021997, '9p'],
  [0x65735546, 'FUSE'],
])('file system %i is of one host: %s', (type) => {
  expect(sharedFileSystem(type)).toBeUndefined();
});

it.each(
  'nfs nfs4 cifs smb3 smbfs afs 9p ceph lustre gfs2 ocfs2 glusterfs beegfs autofs fuse fuse.sshfs fuseblk fuseblk.ntfs coda gpfs pvfs2'.split(
    ' ',
  ),
)('%s may never answer', (type) => {
  expect(mayHang(type)).toBe(true);
});

it.each(['ext4', 'xfs', 'tmpfs', 'overlay', 'btrfs', 'fusectl', 'nfsd', ''])('"%s" is of this host', (type) => {
  expect(mayHang(type)).toBe(false);
});
