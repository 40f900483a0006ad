// What becomes of a connection that is offered over a link, whatever the worker says or leaves unsaid.
import { once } from 'node:events';
import { closeSync, writeSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { isHungUp, markSocket, receiveBytes, receiveDescriptor, socketPair } from '../../etc/host/fd-passing.ts';
import { descriptorOf, pauseHandle } from '../../etc/host/socket-handle.ts';
import { LinkRefused, WorkerLink } from '../../launcher/worker-link.ts';
import { READY } from '../../proto/link.ts';
import { afterwards, eventually, temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

/** How many descriptors are sent that are not acknowledged. */
const WINDOW = 64;

/** How long a worker may take to acknowledge one, in milliseconds. */
const ACKNOWLEDGEMENT = 5000;

const nothing = Buffer.alloc(0);

/** The worker's end of a link, and what it was told on the connection for lengths. */
interface Worker {
  descriptors: Socket;
  lengths: Socket;
  told: Buffer;
}

/** A worker's socket, and how the launcher connects to it; `own` and `accepted` are the two ends of each connection. */
async function listen() {
  const path = `${temporaryDirectory()}/socket`;
  const [own, accepted]: [Socket[], Socket[]] = [[], []];
  const server = createServer({ allowHalfOpen: true }, (socket) => void accepted.push(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  afterwards(() => {
    server.close();
    for (const socket of [...own, ...accepted]) socket.destroy();
  });
  const connectTo = async () => {
    const socket = connect({ path, allowHalfOpen: true }).on('error', () => {});
    own.push(socket);
    await once(socket, 'connect');
    return socket;
  };
  return { own, accepted, connectTo };
}

/** What begins a link: the launcher's two connections, the first for descriptors, and the worker's end of them. */
async function accept(): Promise<{ opening: Promise<WorkerLink>; own: Socket[]; worker: Worker }> {
  const { own, accepted, connectTo } = await listen();
  const opening = WorkerLink.open(connectTo);
  const [descriptors, lengths] = (await eventually(() => accepted.length === 2 && accepted)) as [Socket, Socket];
  await Promise.all([descriptors, lengths].map((socket) => once(socket, 'data')));
  // Node reads on once more after what it has just read.
  await nextTurn();
  pauseHandle(descriptors);
  const worker = { descriptors, lengths, told: nothing };
  lengths.on('data', (bytes) => {
    worker.told = Buffer.concat([worker.told, bytes]);
  });
  return { opening, own, worker };
}

/** A link that the worker has agreed to. */
async function open(): Promise<{ link: WorkerLink; own: Socket[]; worker: Worker }> {
  const { opening, own, worker } = await accept();
  worker.descriptors.write(READY);
  return { link: await opening, own, worker };
}

/** The descriptor of a connection to offer. */
function connection(): number {
  const pair = socketPair() as [number, number];
  afterwards(() => pair.forEach((each) => void closeSync(each)));
  return pair[0];
}

/** Offers so many connections; `outcomes` are those so far. */
function offer(link: WorkerLink, count: number) {
  const outcomes: string[] = [];
  const settled = Array.from({ length: count }, async (_, index) => {
    outcomes[index] = '';
    outcomes[index] = await link.offer(connection(), nothing);
  });
  return { outcomes, settled: Promise.all(settled) };
}

/** How many connections have been announced to a worker, of which nothing was read before. */
const announced = ({ told }: Worker) => told.length / 4;

describeWith(['Linux'], 'what is offered over a link', () => {
  afterEach(() => void vi.useRealTimers());

  it('arrives with what was read of it, and becomes what the worker says, in their order', async () => {
    const { link, worker } = await open();
    const offers = ['one', '', 'three'].map((read) => link.offer(connection(), Buffer.from(read)));
    const expected = Buffer.from('\0\0\0\x03one\0\0\0\0\0\0\0\x05three');
    await eventually(() => worker.told.length >= expected.length);
    expect(worker.told.equals(expected)).toBe(true);
    for (let i = 0; i < 3; i++) {
      closeSync(receiveDescriptor(descriptorOf(worker.descriptors)) as number);
    }
    worker.descriptors.write('+-+');
    expect(await Promise.all(offers)).toEqual(['taken', 'refused', 'taken']);
    expect(link.isOpen).toBe(true);
  });

  it('is lost with a link that ends, but for what the worker has touched and what was not sent', async () => {
    const { link, worker } = await open();
    const { outcomes, settled } = offer(link, WINDOW + 2);
    await eventually(() => announced(worker) === WINDOW);
    const received = receiveDescriptor(descriptorOf(worker.descriptors)) as number;
    markSocket(received);
    closeSync(received);
    worker.descriptors.end();
    await settled;
    // The worker sees that it is over.
    await eventually(() => isHungUp(descriptorOf(worker.lengths)));
    expect(outcomes).toEqual(['taken', ...Array(WINDOW - 1).fill('lost'), 'unsent', 'unsent']);
    expect(link.isOpen).toBe(false);
    expect(await link.offer(connection(), nothing)).toBe('unsent');
  });

  it('may still be acknowledged where the worker has ended the connection for lengths, and nothing more is sent', async () => {
    const { link, worker } = await open();
    const { outcomes, settled } = offer(link, WINDOW + 1);
    await eventually(() => announced(worker) === WINDOW);
    worker.lengths.end();
    await eventually(() => outcomes[WINDOW] !== '');
    expect(outcomes).toEqual([...Array(WINDOW).fill(''), 'unsent']);
    expect(await link.offer(connection(), nothing)).toBe('unsent');
    worker.descriptors.write('+'.repeat(WINDOW));
    await settled;
    expect(outcomes).toEqual([...Array(WINDOW).fill('taken'), 'unsent']);
    expect(announced(worker)).toBe(WINDOW);
  });

  it('is not sent once the launcher has closed the link, which ends when the last is acknowledged', async () => {
    const { link, worker } = await open();
    const first = link.offer(connection(), nothing);
    await eventually(() => announced(worker) === 1);
    const told = once(worker.lengths, 'end');
    link.close();
    expect(await link.offer(connection(), nothing)).toBe('unsent');
    await told;
    worker.descriptors.write('+');
    expect(await first).toBe('taken');
    await eventually(() => isHungUp(descriptorOf(worker.lengths)));
    expect([link.isOpen, link.isHeld]).toEqual([false, true]);
    worker.descriptors.destroy();
    await eventually(() => !link.isHeld);
  });

  it.each([
    ['received all', 0],
    ['left something', 1],
  ])('is not sent to a worker that has ended this moment, and had %s of what came before', async (_, before) => {
    const { link, worker } = await open();
    const { settled, outcomes } = offer(link, before);
    await eventually(() => announced(worker) === before);
    worker.descriptors.destroy();
    expect(link.isOpen).toBe(true);
    expect(await link.offer(connection(), nothing)).toBe('unsent');
    await settled;
    expect(outcomes).toEqual(Array(before).fill('lost'));
  });

  it.each([
    ['descriptors', 0],
    ['lengths', 1],
  ])('is not sent once the connection for %s is broken, though no event has told it yet', async (_, which) => {
    const { link, own } = await open();
    own[which]?.destroy();
    expect(await link.offer(connection(), nothing)).toBe('unsent');
  });

  it('goes on after an error of the kernel’s, which costs one connection', async () => {
    const { link, worker } = await open();
    await expect(link.offer(-1, nothing)).rejects.toMatchObject({ code: 'EBADF' });
    const next = link.offer(connection(), nothing);
    await eventually(() => announced(worker) === 1);
    worker.descriptors.write('-');
    expect(await next).toBe('refused');
  });

  it('fails where the worker receives nothing of what it acknowledges, once the kernel takes no more', async () => {
    const { link, worker } = await open();
    const descriptor = connection();
    const fill = async () => {
      for (;;) {
        const offered = link.offer(descriptor, nothing);
        worker.descriptors.write('+');
        expect(await offered).toBe('taken');
      }
    };
    // The latter for a user who may not open many files.
    await expect(fill()).rejects.toMatchObject({ code: expect.stringMatching('EAGAIN|ETOOMANYREFS') });
    expect(link.isOpen).toBe(true);
  });

  it('waits while the kernel takes no more, and is sent once the worker has taken what came before', async () => {
    const { link, own, worker } = await open();
    const first = link.offer(connection(), nothing);
    const carrier = descriptorOf(own[0] as Socket);
    expect(() => {
      for (;;) writeSync(carrier, Buffer.alloc(4096));
    }).toThrow('EAGAIN');
    const second = link.offer(connection(), nothing);
    while (receiveBytes(descriptorOf(worker.descriptors)).length > 0);
    worker.descriptors.write('+');
    expect(await first).toBe('taken');
    await eventually(() => announced(worker) === 2);
    worker.descriptors.write('+');
    expect(await second).toBe('taken');
  });

  it.each([1, WINDOW + 1])(
    'is silent where no acknowledgement comes in time, sent or not (%i of them)',
    async (count) => {
      const { link, worker } = await open();
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'hrtime'] });
      const early = offer(link, 1);
      vi.advanceTimersByTime(ACKNOWLEDGEMENT - 1000);
      const late = offer(link, count);
      worker.descriptors.write('+');
      await early.settled;
      vi.advanceTimersByTime(ACKNOWLEDGEMENT - 1);
      expect(link.isOpen).toBe(true);
      vi.advanceTimersByTime(1);
      expect(link.isOpen).toBe(false);
      await late.settled;
      expect([...early.outcomes, ...late.outcomes]).toEqual(['taken', ...Array(count).fill('silent')]);
    },
  );

  it('becomes what the worker has said before it ended the link, also where that is looked at first', async () => {
    const { link, worker } = await open();
    const offered = link.offer(connection(), nothing);
    await eventually(() => announced(worker) === 1);
    closeSync(receiveDescriptor(descriptorOf(worker.descriptors)) as number);
    worker.descriptors.write('-');
    worker.descriptors.destroy();
    expect(link.isHeld).toBe(false);
    expect(await offered).toBe('refused');
  });

  it('is lost where the worker says what is no answer', async () => {
    const { link, worker } = await open();
    const offered = link.offer(connection(), nothing);
    await eventually(() => announced(worker) === 1);
    worker.descriptors.write('x');
    expect(await offered).toBe('lost');
  });

  it('of which the worker says too much costs the link, once', async () => {
    const { link, worker } = await open();
    const first = link.offer(connection(), nothing);
    await eventually(() => announced(worker) === 1);
    worker.descriptors.write('++');
    expect(await first).toBe('taken');
    await eventually(() => !link.isOpen);
    worker.descriptors.write('+');
    link.close();
    expect(await link.offer(connection(), nothing)).toBe('unsent');
  });

  it('is all that the launcher reads of: what a worker says on a link that is over stays unread', async () => {
    const { link, own, worker } = await open();
    worker.descriptors.write('x');
    await eventually(() => !link.isOpen);
    const read = own[0]?.bytesRead;
    worker.descriptors.write('+'.repeat(1000));
    // Node reads in each turn of the event loop.
    for (let turn = 0; turn < 3; turn++) await nextTurn();
    expect(own[0]?.bytesRead).toBe(read);
    expect(link.isHeld).toBe(true);
  });
});

describeWith(['Linux'], 'a link', () => {
  it('is made by what the worker says, in whatever pieces that comes', async () => {
    const { opening, worker } = await accept();
    for (const piece of READY) {
      worker.descriptors.write(piece);
      await nextTurn();
    }
    expect((await opening).isOpen).toBe(true);
  });

  it.each([
    ['descriptors', 0],
    ['lengths', 1],
  ])('is refused where the connection for %s has ended before', async (_, which) => {
    const { own, connectTo } = await listen();
    const opening = WorkerLink.open(async () => {
      const socket = await connectTo();
      if (own.indexOf(socket) === which) await once(socket.destroy(), 'close');
      return socket;
    });
    await expect(opening).rejects.toThrow(LinkRefused);
  });

  it.each<[string, (worker: Worker) => void]>([
    ['ends the connection for descriptors', ({ descriptors }) => void descriptors.end()],
    ['ends the connection for lengths', ({ lengths }) => void lengths.end()],
  ])('is refused by a worker that %s', async (_, refuse) => {
    const { opening, own, worker } = await accept();
    refuse(worker);
    await expect(opening).rejects.toThrow(LinkRefused);
    expect(own.map(({ destroyed }) => destroyed)).toEqual([true, true]);
  });

  it('is refused by a worker that says something else behind it', async () => {
    const { opening, worker } = await accept();
    worker.descriptors.write(`${READY}+`);
    await expect(opening).rejects.toThrow(LinkRefused);
  });
});
