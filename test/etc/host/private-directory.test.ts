import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { checkPrivateDirectory } from '../../../etc/host/private-directory.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';
import { describeWith } from '../../setup/requirements.ts';

const uid = process.getuid?.() as number;
let parent: string;
let path: string;

beforeEach(() => {
  parent = temporaryDirectory();
  path = join(parent, 'mine');
  mkdirSync(path, { mode: 0o700 });
});

const insecure = (message: string) => expect.objectContaining({ code: 224, message: expect.stringContaining(message) });

describe('a private directory', () => {
  it('is one that belongs to its user, has mode 700, and that no other user can replace; /tmp is sticky', () => {
    expect(() => checkPrivateDirectory(path, uid)).not.toThrow();
  });

  it.each([0o755, 0o750, 0o701, 0o770, 0o500])('is not one of mode %o', (mode) => {
    chmodSync(path, mode);
    expect(() => checkPrivateDirectory(path, uid)).toThrow(
      insecure(`${path} has mode ${mode.toString(8)} and not 700`),
    );
  });

  it('is no link, not even to one', () => {
    symlinkSync(path, join(parent, 'link'));
    expect(() => checkPrivateDirectory(join(parent, 'link'), uid)).toThrow(insecure('is a symbolic link'));
  });

  it('is no file', () => {
    writeFileSync(join(parent, 'file'), '');
    expect(() => checkPrivateDirectory(join(parent, 'file'), uid)).toThrow(insecure('is not a directory'));
  });

  it('is not below one that others may write to', () => {
    chmodSync(parent, 0o777);
    expect(() => checkPrivateDirectory(path, uid)).toThrow(insecure(`${parent} has mode 777`));
    chmodSync(parent, 0o775);
    expect(() => checkPrivateDirectory(path, uid)).toThrow(insecure(`${parent} has mode 775`));
    chmodSync(parent, 0o1777);
    expect(() => checkPrivateDirectory(path, uid)).not.toThrow();
  });

  it('is looked for and not made', () => {
    expect(() => checkPrivateDirectory(join(parent, 'missing'), uid)).toThrow('ENOENT');
  });
});

describeWith(['root'], 'a directory of another user', () => {
  it('is not private to us, however it is closed', () => {
    chownSync(path, 12345, 12345);
    expect(() => checkPrivateDirectory(path, uid)).toThrow(insecure('belongs to uid 12345 and not to uid 0'));
  });

  it('is no place to keep ours in', () => {
    chownSync(parent, 12345, 12345);
    expect(() => checkPrivateDirectory(path, uid)).toThrow(insecure(`${parent} belongs to uid 12345`));
  });
});
