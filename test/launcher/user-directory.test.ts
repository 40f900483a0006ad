// Where a user's directory is, how much of the way there is the admin's, and how root connects to what is in it.
import { once } from 'node:events';
import { chownSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { expect, it } from 'vitest';
import { locateUserDirectory } from '../../launcher/user-directory.ts';
import { afterwards, temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

const user = { uid: 1000, gid: 1000, name: 'alice', home: '/home/alice' };

it.each([
  [undefined, '/run/ccapi', '1000', 'base', 'tmpfs'],
  ['/%u', '/', '1000', 'template', 'local'],
  ['/srv/%n/ccapi', '/srv', 'alice/ccapi', 'template', 'local'],
  ['/srv/100%%/%u', '/srv/100%', '1000', 'template', 'local'],
  ['~/.ccapi', '/home/alice', '.ccapi', 'home', 'local'],
] as const)('path_template = %s is found beneath %s, as %s', (template, root, relative, kind, mounts) => {
  const place = locateUserDirectory('/run/ccapi', template, 1000, user);
  expect(place).toMatchObject({ root, relative, kind });
  expect(place.path).toBe(`${root === '/' ? '' : root}/${relative}`);
  expect(place.way()).toMatchObject({ root, relative, mounts, user: { uid: 1000 } });
  expect(place.within('s.1')).toMatchObject({ root, relative: `${relative}/s.1`, kind });
});

/** A socket at a path, on which something listens. */
async function listen(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy()).listen(path);
  afterwards(() => void server.close());
  await once(server, 'listening');
  return server;
}

it('a socket on which nothing listens any more refuses a connection', async () => {
  const base = temporaryDirectory();
  const uid = process.getuid?.() as number;
  mkdirSync(`${base}/${uid}`);
  const server = await listen(`${base}/new`);
  renameSync(`${base}/new`, `${base}/${uid}/S.ccapi`);
  const place = locateUserDirectory(base, undefined, uid, undefined);
  (await place.connect('S.ccapi')).destroy();
  server.close();
  await expect(place.connect('S.ccapi')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

describeWith(['root', 'Linux'], 'root', () => {
  it('connects to no socket that a user has a link lead to', async () => {
    const base = temporaryDirectory();
    mkdirSync(`${base}/50001`, { mode: 0o700 });
    chownSync(`${base}/50001`, 50_001, 50_001);
    await listen(`${base}/of-root`);
    symlinkSync('../of-root', `${base}/50001/S.ccapi`);
    const place = locateUserDirectory(base, undefined, 50_001, undefined);
    await expect(place.connect('S.ccapi')).rejects.toThrow();
  });
});
