// Which file systems are memory, which are a disk, and which other hosts may have mounted as well.
import { expect, it } from 'vitest';
import { checkLocal, keepsIn, sharedFileSystem } from '../../server/persistence.ts';
import { memory, temporaryDirectory } from '../setup/cleanup.ts';

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
])('file system %i is of one host: %s', (type) => {
  expect(sharedFileSystem(type)).toBeUndefined();
});

it('a directory of this host is taken, and keeps by itself only in memory', () => {
  const directory = temporaryDirectory(memory);
  expect(() => checkLocal(directory)).not.toThrow();
  expect([keepsIn(directory, 'auto'), keepsIn(directory, 'never'), keepsIn('/proc', 'always')]).toEqual([
    true,
    false,
    true,
  ]);
});
