import type { Stats } from 'node:fs';

/** What tells a file from any other of its host, under whatever name. */
export type FileIdentity = Pick<Stats, 'dev' | 'ino'>;

/** Whether `look` finds a certain file; what cannot be looked at is not it. */
export function sameFile(look: () => FileIdentity, { dev, ino }: FileIdentity): boolean {
  try {
    const found = look();
    return found.dev === dev && found.ino === ino;
  } catch {
    return false;
  }
}
