// A socket that stands still reads nothing: what comes meanwhile is left to the kernel, and to another process with the socket.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { pauseHandle, resumeHandle } from '../../../etc/host/socket-handle.ts';
import { afterwards, temporaryDirectory } from '../../setup/cleanup.ts';

it('a socket that is paused by what it brought reads nothing more until it is resumed', async () => {
  const path = `${temporaryDirectory()}/socket`;
  const server = createServer().listen(path);
  afterwards(() => void server.close());
  const open = async (): Promise<[near: Socket, far: Socket]> => {
    const accepted = once(server, 'connection');
    const far = connect(path);
    afterwards(() => void far.destroy());
    const [near] = await accepted;
    return [near, far];
  };
  const [near, far] = await open();
  const [other, another] = await open();
  const brought = () =>
    new Promise<string>((resolve) => {
      near.once('data', (bytes) => {
        pauseHandle(near);
        resolve(String(bytes));
      });
    });
  const first = brought();
  far.write('1');
  expect(await first).toBe('1');
  far.write('2');
  // What is sent later on another connection, and answered, has come later.
  other.once('data', (bytes) => other.write(bytes));
  another.write('x');
  await once(another, 'data');
  expect(near.bytesRead).toBe(1);
  const second = brought();
  near.resume();
  resumeHandle(near);
  expect(await second).toBe('2');
});
