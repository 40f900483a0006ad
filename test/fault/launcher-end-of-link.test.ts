// A launcher's end of a link, with a test in the worker's place: what it sends, what it believes, and when it tries again.
import { closeSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { receiveDescriptor } from '../../etc/host/fd-passing.ts';
import { descriptorOf, pauseHandle } from '../../etc/host/socket-handle.ts';
import { READY } from '../../proto/link.ts';
import { afterwards, eventually, hasEnded, memory, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

const NOOP = Buffer.from('0000000402000000', 'hex');
const REPLY = Buffer.from('000000040000000000000000', 'hex');

/** How many descriptors a launcher sends that are not acknowledged. */
const WINDOW = 64;

/** Connections of one uid that a launcher carries itself. */
const JOINED = 16;

/** What has come of a link; `count` is how many connections were announced. */
interface Link {
  descriptors: Socket;
  lengths: Socket;
  count: number;
}

/** Acknowledges a connection, and answers it. */
function serve({ descriptors }: Link): void {
  const descriptor = receiveDescriptor(descriptorOf(descriptors));
  descriptors.write('+');
  if (descriptor !== undefined) new Socket({ fd: descriptor, readable: true, writable: true }).end(REPLY);
}

describeWith(['Linux'], 'the launcher’s end of a link', () => {
  let door: string;
  let stderr: () => string;
  let links: Link[];
  let servers: Server[];
  /** What the worker does with each link that is begun, by default what a real one does. */
  let begin: (link: Link) => void;

  const listen = async (path: string, take: (socket: Socket) => void) => {
    rmSync(path, { force: true });
    const server = createServer({ allowHalfOpen: true }, (socket) => take(socket.on('error', () => {})));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    servers.push(server);
  };

  beforeEach(async () => {
    const directory = temporaryDirectory(memory);
    door = `${directory}/door`;
    const base = `${directory}/run`;
    const launcher = await startLauncher([door, `--directory=${base}`]);
    stderr = launcher.stderr;
    expect(await sendBytes({ path: door }, NOOP, REPLY.length)).toHaveLength(REPLY.length);
    const [real] = workersBelow(base) as [number];
    process.kill(real, 'SIGKILL');
    await eventually(() => hasEnded(real));
    [links, servers] = [[], []];
    begin = ({ descriptors }) => void descriptors.write(READY);
    const own = `${base}/${process.getuid?.()}`;
    await listen(`${own}/S.ccapi`, (socket) => socket.on('data', () => socket.write(REPLY)));
    const halves = new Map<string, Socket>();
    await listen(`${own}/H.ccapi`, (socket) => {
      socket.once('data', (line) => {
        const [, role, id = ''] = String(line).trim().split(' ');
        const other = halves.get(id);
        if (!other) return void halves.set(id, socket);
        const [descriptors, lengths] = role === 'lengths' ? [other, socket] : [socket, other];
        const link = { descriptors, lengths, count: 0 };
        let received = Buffer.alloc(0);
        lengths.on('data', (bytes: Buffer) => {
          received = Buffer.concat([received, bytes]);
          // Behind a length stands what was read of the connection already.
          for (; received.length >= 4 && received.length >= 4 + received.readUInt32BE(); link.count++) {
            received = received.subarray(4 + received.readUInt32BE());
          }
        });
        links.push(link);
        // Node reads on once more after what it has just read.
        setImmediate(() => {
          pauseHandle(descriptors);
          begin(link);
        });
      });
    });
  });
  const letGo = () => {
    for (const { descriptors, lengths } of links) for (const socket of [descriptors, lengths]) socket.destroy();
  };
  afterEach(() => {
    letGo();
    for (const server of servers) server.close();
  });

  /** What a client is answered that has asked once; where it stays, it keeps its connection. */
  const ask = (stays = false): Promise<string> =>
    new Promise((resolve) => {
      let said = '';
      const socket = connect(door, () => socket.write(NOOP));
      afterwards(() => void socket.destroy());
      // A full queue, for which a blocking connect(2) would wait.
      socket.on('error', ({ code }: NodeJS.ErrnoException) => {
        if (code === 'EAGAIN') setTimeout(() => resolve(ask(stays)), 2);
        else resolve(said);
      });
      socket.on('end', () => resolve(said)).on('close', (hadError) => hadError || resolve(said));
      socket.on('data', (bytes) => {
        said += bytes.toString('hex');
        if (stays) resolve(said);
        else socket.destroy();
      });
    });
  const reply = REPLY.toString('hex');
  const nth = (index: number, count = 1): Promise<Link> =>
    eventually(() => links.slice(index, index + 1).find((link) => link.count >= count), 5);

  it(`has ${WINDOW} connections at the most on their way, and sends others as these are acknowledged`, async () => {
    const asked = Array.from({ length: 100 }, () => ask());
    const link = await nth(0, WINDOW);
    for (let i = 0; i < 10; i++) serve(link);
    await nth(0, WINDOW + 10);
    expect(link.count).toBe(WINDOW + 10);
    while (link.count < 100) {
      const before = link.count;
      serve(link);
      await nth(0, before + 1);
    }
    for (let i = 0; i < WINDOW; i++) serve(link);
    expect(new Set(await Promise.all(asked))).toEqual(new Set([reply]));
    expect(links).toHaveLength(1);
  });

  it('offers a connection again after an answer that it does not know', async () => {
    const asked = ask();
    (await nth(0)).descriptors.write('x');
    serve(await nth(1));
    expect(await asked).toBe(reply);
  });

  it('ends a connection that the worker refuses, and offers it to none', async () => {
    const asked = ask();
    const { descriptors } = await nth(0);
    closeSync(receiveDescriptor(descriptorOf(descriptors)) as number);
    descriptors.write('-');
    expect(await asked).toBe('');
    expect(links).toHaveLength(1);
  });

  it('waits for the answers of a link that takes no more, and makes another for the next', async () => {
    const asked = [ask()];
    const last = await nth(0);
    last.lengths.end();
    // Until the launcher has seen that, more may come.
    while (!links[1]?.count) {
      const before = last.count;
      asked.push(ask());
      await eventually(() => last.count > before || links[1]?.count);
    }
    serve(links[1]);
    for (let i = 0; i < last.count; i++) serve(last);
    expect(new Set(await Promise.all(asked))).toEqual(new Set([reply]));
    expect(links.map(({ count }) => count)).toEqual([asked.length - 1, 1]);
  });

  it.each<[string, (link: Link) => void]>([
    ['says something else', ({ descriptors }) => void descriptors.write('ready\n')],
    ['ends what carries the lengths', ({ lengths }) => void lengths.destroy()],
    ['ends what carries the descriptors', ({ descriptors }) => void descriptors.destroy()],
  ])('carries the connections itself of a worker that thrice %s, as many as it may', async (_, refuse) => {
    begin = refuse;
    const begun = performance.now();
    const asked = Array.from({ length: JOINED }, () => ask(true));
    expect(new Set(await Promise.all(asked))).toEqual(new Set([reply]));
    // It did not wait for a deadline.
    expect(performance.now() - begun).toBeLessThan(4000);
    expect(links.length).toBeGreaterThanOrEqual(3);
    expect(stderr()).toContain('cannot pass the descriptor, proxying');
    expect(await ask(true)).toBe('');
    await eventually(() => stderr().includes(`${JOINED} connections are carried to it`));
  });

  it('gives up a worker that has no place for links after ten attempts, and carries nothing to it', async () => {
    servers.at(-1)?.close();
    expect(await ask()).toBe('');
    await eventually(() => stderr().includes('the worker ended before it took the connection, 10 times'));
    expect(stderr()).not.toContain('proxying');
  });

  it('sends no connection that its client has left before the link was there', async () => {
    begin = () => {};
    const left = connect(door, () => left.write(NOOP));
    const { descriptors } = (await eventually(() => links[0])) as Link;
    left.destroy();
    const asked = [ask(), ask()];
    // Connections are accepted in their order: the others wait by then.
    expect(await sendBytes({ path: door }, `${process.getuid?.()}\n`)).toContain('S.ccapi');
    descriptors.write(READY);
    const link = await nth(0, 2);
    for (let i = 0; i < 2; i++) serve(link);
    expect(await Promise.all(asked)).toEqual([reply, reply]);
    expect(link.count).toBe(2);
    expect(stderr()).not.toContain('KCM:');
  });

  it('gives up a worker that never says that it is ready', async () => {
    begin = () => {};
    expect(await ask()).toBe('');
    await eventually(() => stderr().includes('made no link within 5 s'));
  });

  it('makes no fifth link while four that are over are kept open', async () => {
    begin = (link) => {
      link.descriptors.write(READY);
      link.lengths.once('data', () => link.descriptors.write('x'));
    };
    const asked = [ask(), ask()];
    await eventually(() => stderr().includes('keeps 4 links open that are over'));
    expect(links).toHaveLength(4);
    // The kernel keeps a connection open that is on its way over such a link.
    letGo();
    expect(await Promise.all(asked)).toEqual(['', '']);
    begin = (link) => {
      link.descriptors.write(READY);
      link.lengths.once('data', () => serve(link));
    };
    expect(await ask()).toBe(reply);
  });
});
