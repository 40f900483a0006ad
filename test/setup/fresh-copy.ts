import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './cleanup.ts';
import { succeed } from './programs.ts';
import type { TestUser } from './test-users.ts';

const root = join(import.meta.dirname, '../..');
const left = ['node_modules', 'dist', 'docs', '.git'].map((name) => join(root, name));

/** A copy of the repository with nothing installed and nothing built, as a clone is; for an owner, or else for this process's. */
export async function freshCopy(owner?: TestUser): Promise<string> {
  const directory = join(temporaryDirectory(), 'ccapi');
  cpSync(root, directory, { recursive: true, filter: (path) => !left.includes(path) && !/\.(tgz|deb)$/.test(path) });
  if (owner) await succeed('/bin/chown', ['-R', `${owner.uid}:${owner.gid}`, join(directory, '..')]);
  return directory;
}

/** What a shell has that stands in a directory: npm's own settings, but no settings of ours. */
export function shellEnvironment(home: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const npm = Object.entries(process.env).filter(([name]) =>
    /^npm_config_(registry|userconfig|globalconfig|cafile)$/i.test(name),
  );
  return {
    ...Object.fromEntries(npm),
    PATH: process.env.PATH,
    HOME: home,
    npm_config_update_notifier: 'false',
    ...more,
  };
}
