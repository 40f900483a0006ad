// A worker's end of a link, with a test in the launcher's place: what it takes, what it refuses, and when it ends the link.
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { sendDescriptor } from '../../etc/host/fd-passing.ts';
import { descriptorOf } from '../../etc/host/socket-handle.ts';
import { greeting, MAX_ALREADY_READ, READY } from '../../proto/link.ts';
import { afterwards, eventually, memory, temporaryDirectory } from '../setup/cleanup.ts';
import { run, sendBytes } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';
import { type RunningWorker, startWorker, workerDirectory } from '../setup/worker.ts';

const NOOP = Buffer.from('0000000402000000', 'hex');
const REPLY = '000000040000000000000000';
const [TAKEN, REFUSED] = ['+', '-'];

let links = 0;
const nextId = () => (++links).toString(16);

function lengthOf(count: number): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(count);
  return length;
}

describeWith(['Linux'], 'the worker’s end of a link', () => {
  let worker: RunningWorker;
  let port: string;
  let front: Server;
  let door: string;

  beforeAll(async () => {
    worker = await startWorker(workerDirectory(memory));
    port = worker.path.replace('S.ccapi', 'H.ccapi');
    door = `${temporaryDirectory()}/door`;
    front = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(door);
    await once(front, 'listening');
    chmodSync(door, 0o666);
    afterwards(() => void front.close());
  });

  /** A client's connection, as the launcher has accepted it. */
  const accepted = async (): Promise<Socket> => {
    const [socket] = (await once(front, 'connection')) as [Socket];
    return socket.on('error', () => {});
  };
  /** A connection, all that it has received so far, and whether the worker has ended it. */
  const listening = (socket: Socket) => {
    const state = { socket, said: '', isOver: false };
    socket
      .on('error', () => {})
      .on('data', (bytes) => {
        state.said += bytes.toString('latin1');
      });
    socket.on('close', () => {
      state.isOver = true;
    });
    return state;
  };
  const half = (line: string) => {
    const state = listening(connect(port));
    state.socket.write(line);
    return state;
  };
  const link = async () => {
    const id = nextId();
    const [descriptors, lengths] = [half(greeting('descriptors', id)), half(greeting('lengths', id))];
    await eventually(() => descriptors.said === READY);
    descriptors.said = '';
    return { descriptors, lengths };
  };

  describe('that is made', () => {
    let made: Awaited<ReturnType<typeof link>>;
    beforeEach(async () => {
      made = await link();
    });
    const give = (socket: Socket) => {
      expect(sendDescriptor(descriptorOf(made.descriptors.socket), descriptorOf(socket))).toBeUndefined();
    };
    const answered = async () => {
      await eventually(() => made.descriptors.said !== '' || made.descriptors.isOver);
      return made.descriptors.said;
    };

    it.each([
      ['that has asked nothing yet', Buffer.alloc(0), NOOP],
      ['with its request read already', NOOP, Buffer.alloc(0)],
      ['with half of its request read already', NOOP.subarray(0, 5), NOOP.subarray(5)],
    ])('takes a connection %s, and answers it', async (_, read, later) => {
      const client = listening(connect(door));
      const socket = await accepted();
      give(socket);
      made.lengths.socket.write(Buffer.concat([lengthOf(read.length), read]));
      expect(await answered()).toBe(TAKEN);
      socket.destroy();
      client.socket.write(later);
      await eventually(() => client.said.length === REPLY.length / 2);
      expect(Buffer.from(client.said, 'latin1').toString('hex')).toBe(REPLY);
      client.socket.destroy();
    });

    it('answers each of many, in one go or in several', async () => {
      const clients: ReturnType<typeof listening>[] = [];
      for (let i = 0; i < 20; i++) {
        clients.push(listening(connect(door)));
        give(await accepted());
      }
      made.lengths.socket.write(Buffer.alloc(20 * 4));
      await eventually(() => made.descriptors.said.length === 20);
      expect(made.descriptors.said).toBe(TAKEN.repeat(20));
      for (const { socket } of clients) socket.destroy();
    });

    it('ends at a length that is too long, before so much has come', async () => {
      const client = connect(door).on('error', () => {});
      give(await accepted());
      made.lengths.socket.write(lengthOf(MAX_ALREADY_READ + 1));
      await eventually(() => made.lengths.isOver && made.descriptors.isOver);
      expect(made.descriptors.said).toBe('');
      client.destroy();
    });

    it('ends at a length without a descriptor', async () => {
      made.lengths.socket.write(lengthOf(0));
      await eventually(() => made.lengths.isOver && made.descriptors.isOver);
    });

    it('ends with the connection of its lengths', async () => {
      made.lengths.socket.destroy();
      await eventually(() => made.lengths.isOver && made.descriptors.isOver);
    });
  });

  it.each([
    ['more than its line', `${greeting('lengths', 'f1')}x`],
    ['a line without an end', 'x'.repeat(1000)],
    ['another version', greeting('lengths', 'f2').replace('/1', '/2')],
    ['no link’s name', greeting('lengths', 'not hexadecimal')],
  ])('is none with %s', async (_, line) => {
    // Known at once, it is over before a half line that came first, which has until a deadline.
    const waiting = sendBytes({ path: port }, 'CCAPI-LINK/1 len').then(() => 'waiting');
    const refused = sendBytes({ path: port }, line).then((said) => `refused${said}`);
    expect(await Promise.race([waiting, refused])).toBe('refused');
    await waiting;
  });

  it.each([
    ['a half', greeting('lengths', 'f3')],
    ['a half line', 'CCAPI-LINK/1 len'],
  ])('does not wait for ever for the rest of %s', async (_, line) => {
    expect(await sendBytes({ path: port }, line)).toBe('');
  });

  it('stays, however long nothing is given over it', async () => {
    const made = await link();
    // Longer than a half may wait for the other.
    expect(await sendBytes({ path: port }, greeting('lengths', 'f4'))).toBe('');
    expect(await sendBytes({ path: port }, greeting('lengths', 'f5'))).toBe('');
    expect([made.lengths.isOver, made.descriptors.isOver]).toEqual([false, false]);
    made.lengths.socket.destroy();
  });

  describeWith(['root'], 'of another user’s connection', () => {
    const [alice] = inject('users') as [TestUser, TestUser];

    it('refuses it, and ends it', async () => {
      const made = await link();
      const script = `require('node:net').connect('${door}').on('error', () => {})
        .on('data', (data) => process.stdout.write(data)).on('close', () => process.exit(0)).write(Buffer.from('${NOOP.toString('hex')}', 'hex'));`;
      const { uid, gid } = alice;
      const client = run(process.execPath, ['-e', script], { uid, gid });
      const socket = await accepted();
      sendDescriptor(descriptorOf(made.descriptors.socket), descriptorOf(socket));
      made.lengths.socket.write(lengthOf(0));
      await eventually(() => made.descriptors.said !== '');
      expect(made.descriptors.said).toBe(REFUSED);
      socket.destroy();
      expect(await client).toMatchObject({ code: 0, stdout: '' });
      made.lengths.socket.destroy();
    });
  });

  it('answers what it has taken before it ends with its worker', async () => {
    const made = await link();
    const client = listening(connect(door));
    const socket = await accepted();
    sendDescriptor(descriptorOf(made.descriptors.socket), descriptorOf(socket));
    made.lengths.socket.write(Buffer.concat([lengthOf(NOOP.length), NOOP]));
    // Its reply comes before the acknowledgement, which waits for others.
    await once(client.socket, 'data');
    worker.worker.kill('SIGTERM');
    await eventually(() => made.descriptors.isOver);
    expect(made.descriptors.said).toBe(TAKEN);
    client.socket.destroy();
  });
});
