// A user who mounts a file system that never answers over their own directory, and lets root in.
import { once } from 'node:events';
import { chownSync, mkdirSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { beforeAll, expect, inject, it } from 'vitest';
import { eventually, memory, processesOf, start, temporaryDirectory } from '../setup/cleanup.ts';
import { cleanEnvironment, freePort, isPortOpen, programs, sendBytes } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith(['root', 'Linux'], "a user's directory that never answers", () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let base: string;
  let port: number;

  beforeAll(async () => {
    base = `${temporaryDirectory(memory)}/run`;
    port = await freePort();
    mkdirSync(`${base}/${alice.uid}`, { recursive: true, mode: 0o755 });
    const { uid, gid } = alice;
    const options = `fd=9,rootmode=40700,user_id=${uid},group_id=${gid},allow_other`;
    // The server of this file system is the open descriptor 9, from which no process reads.
    const mount = `exec 9<>/dev/fuse && mount -i -t fuse -o ${options} fuse ${base}/${uid} && exec "$@"`;
    const launcher = [process.execPath, programs.launcher, '--listen', String(port), `--directory=${base}`];
    start('/usr/bin/unshare', ['-m', '/bin/bash', '-c', mount, 'bash', ...launcher], {
      env: cleanEnvironment(),
      stdio: 'ignore',
    });
    await eventually(() => isPortOpen(port));
  });

  const ask = ({ uid }: TestUser) => sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${uid}\n`);

  it('costs its owner alone', async () => {
    const hanging = ask(alice);
    for (let i = 0; i < 20; i++) expect(await ask(bob)).toBe(`CCAPI/1 ok path=${base}/${bob.uid}/S.ccapi\n`);
    expect(await hanging).toContain('error code=');
  });
});

describeWith(['root', 'Linux'], 'a place of path_template that stops answering after it was used', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let homes: string;
  let port: number;

  beforeAll(async () => {
    homes = `${temporaryDirectory(memory)}/homes`;
    port = await freePort();
    for (const { name, uid, gid } of [alice, bob]) {
      mkdirSync(`${homes}/${name}`, { recursive: true });
      chownSync(`${homes}/${name}`, uid, gid);
    }
    const launcher = [programs.launcher, '--listen', String(port), `--path-template=${homes}/%n/ccapi`];
    start('/usr/bin/unshare', ['-m', process.execPath, ...launcher], { env: cleanEnvironment(), stdio: 'ignore' });
    await eventually(() => isPortOpen(port));
  });

  const ask = ({ uid }: TestUser) => sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${uid}\n`);

  it('costs its owner alone', async () => {
    for (const user of [alice, bob]) expect(await ask(user)).toContain(' ok path=');
    const { name, uid, gid } = alice;
    const options = `fd=9,rootmode=40700,user_id=${uid},group_id=${gid},allow_other`;
    const mount = `exec 9<>/dev/fuse && mount -i -t fuse -o ${options} fuse ${homes}/${name} && echo mounted && exec sleep 1d`;
    const [launcher] = processesOf('ccapi-launcher.js', homes) as [number];
    const server = start('/usr/bin/nsenter', ['-t', String(launcher), '-m', '/bin/bash', '-c', mount], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(server.stdout as Readable, 'data');
    const hanging = ask(alice);
    for (let i = 0; i < 20; i++) expect(await ask(bob)).toContain(' ok path=');
    expect(await hanging).toContain('error code=insecure');
  });
});
