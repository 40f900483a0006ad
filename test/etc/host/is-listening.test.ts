// Whether a process listens on a UNIX socket, by what connecting to it comes to.
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { beforeEach, expect, inject, it } from 'vitest';
import { isListening, meansNoListener } from '../../../etc/host/is-listening.ts';
import { afterwards, end, eventually, start, temporaryDirectory } from '../../setup/cleanup.ts';
import { describeWith } from '../../setup/requirements.ts';
import type { TestUser } from '../../setup/test-users.ts';

let directory: string;
beforeEach(() => {
  directory = temporaryDirectory();
});

/** A process that listens until the end of the test. */
function listen(path: string): Promise<void> {
  const server = createServer().listen(path);
  afterwards(() => void server.close());
  return once(server, 'listening').then(() => {});
}

it('a process does where a connection can be made', async () => {
  await listen(`${directory}/socket`);
  expect(await isListening(`${directory}/socket`)).toBe(true);
});

describeWith(['Linux', 'socat'], 'no process listens', () => {
  it.each([
    ['where nothing is', 'name', () => {}],
    ['where a file is', 'name', (path: string) => writeFileSync(path, '')],
    ['where a directory is', 'name', (path: string) => mkdirSync(path)],
    ['below a file', 'file/name', () => writeFileSync(`${directory}/file`, '')],
    ['where a link leads to itself', 'name', (path: string) => symlinkSync('name', path)],
    ['below a link that leads to itself', 'link/name', () => symlinkSync('link', `${directory}/link`)],
  ])('%s', async (_, name, make) => {
    const path = `${directory}/${name}`;
    make(path);
    expect(await isListening(path)).toBe(false);
    const [error] = await once(connect(path), 'error');
    expect(meansNoListener(error)).toBe(true);
  });

  it('where one that was killed left its socket', async () => {
    const path = `${directory}/socket`;
    const killed = start('/usr/bin/socat', [`UNIX-LISTEN:${path}`, 'STDOUT'], { stdio: 'ignore' });
    await eventually(() => existsSync(path));
    await end(killed, 'SIGKILL');
    expect(existsSync(path)).toBe(true);
    expect(await isListening(path)).toBe(false);
  });
});

describeWith(['Linux', 'socat'], 'a process listens', () => {
  it('where its queue is full', async () => {
    const path = `${directory}/socket`;
    // Stopped, it accepts no connection.
    const busy = start('/usr/bin/socat', [`UNIX-LISTEN:${path},fork,backlog=1`, 'STDOUT'], { stdio: 'ignore' });
    await eventually(() => isListening(path));
    busy.kill('SIGSTOP');
    afterwards(() => void busy.kill('SIGKILL'));
    let isFull = false;
    for (let i = 0; i < 10 && !isFull; i++) {
      const socket = connect(path);
      afterwards(() => void socket.destroy());
      isFull = await new Promise((resolve) => {
        socket.once('connect', () => resolve(false)).once('error', () => resolve(true));
      });
    }
    expect(isFull).toBe(true);
    expect(await isListening(path)).toBe(true);
  });

  it('where it takes datagrams: its socket is not taken away', async () => {
    start('/usr/bin/socat', ['-u', `UNIX-RECV:${directory}/log`, 'STDOUT'], { stdio: 'ignore' });
    await eventually(() => existsSync(`${directory}/log`));
    expect(await isListening(`${directory}/log`)).toBe(true);
  });
});

describeWith(['root', 'Linux'], 'a socket that is closed to the process', () => {
  const [alice] = inject('users') as [TestUser, TestUser];

  it('tells nothing of it', async () => {
    const path = `${directory}/socket`;
    await listen(path);
    chmodSync(path, 0o600);
    const module = join(import.meta.dirname, '../../../etc/host/is-listening.ts');
    const program = `import listening from '${module}';
      listening.isListening('${path}').then(console.log, (error) => console.log(error.code));`;
    const node = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program];
    const { uid, gid } = alice;
    const asked = start(process.execPath, node, { uid, gid, stdio: ['ignore', 'pipe', 'ignore'] });
    const [said] = await once(asked.stdout as Readable, 'data');
    expect(String(said)).toBe('EACCES\n');
  });
});
