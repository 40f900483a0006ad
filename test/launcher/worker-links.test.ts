// The links to the workers of a uid, here this process in a worker's place: which are used, and what is carried without one.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { beforeEach, expect, it } from 'vitest';
import { LinkRefused } from '../../launcher/worker-link.ts';
import { WorkerLinks } from '../../launcher/worker-links.ts';
import { READY } from '../../proto/link.ts';
import { afterwards, eventually, temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

/** How many connections of a uid are carried to a worker without links. */
const JOINED = 16;

const key = { uid: process.getuid?.() as number, session: undefined };

describeWith(['Linux'], 'the links of a launcher', () => {
  let links: WorkerLinks;
  /** The worker's ends of connections to it, and whether it has ended each half of a link. */
  let accepted: Socket[];
  let path: string;

  beforeEach(async () => {
    accepted = [];
    path = `${temporaryDirectory()}/socket`;
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      accepted.push(socket.on('error', () => {}).resume());
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const own: Socket[] = [];
    afterwards(() => {
      server.close();
      for (const socket of [...own, ...accepted]) socket.destroy();
    });
    links = new WorkerLinks({
      socketOf: async () => path,
      connectTo: async () => {
        const socket = connect({ path, allowHalfOpen: true }).on('error', () => {});
        own.push(socket);
        await once(socket, 'connect');
        return socket;
      },
    });
  });

  /** Begins a link; the worker has its connection for descriptors, and that for lengths. */
  async function begin() {
    const making = links.make(key);
    const [descriptors, lengths] = (await eventually(() => accepted.length === 2 && accepted)) as [Socket, Socket];
    return { making, descriptors, lengths };
  }

  it('are ended when the settings change, and so is one that was being made, which serves no connection', async () => {
    const first = await begin();
    first.descriptors.write(READY);
    const link = await first.making;
    expect(links.find(key)).toBe(link);
    const firstOver = once(first.lengths, 'end');
    links.close();
    await firstOver;
    expect(links.find(key)).toBeUndefined();
    accepted = [];
    const second = await begin();
    const secondOver = once(second.lengths, 'end');
    links.close();
    second.descriptors.write(READY);
    await expect(second.making).rejects.toThrow(LinkRefused);
    await secondOver;
    expect(links.find(key)).toBeUndefined();
  });

  it(`carry ${JOINED} connections at the most to a worker without links, and others as these end`, async () => {
    const joined = await Promise.all(Array.from({ length: JOINED }, () => links.join(key)));
    await expect(links.join(key)).rejects.toThrow(`${JOINED} connections are carried to it`);
    const [first] = joined as [Socket];
    first.destroy();
    await once(first, 'close');
    await links.join(key);
    await expect(links.join(key)).rejects.toThrow(`${JOINED} connections are carried to it`);
  });

  it('carry as many after any number that could not be made', async () => {
    const failing = new WorkerLinks({
      socketOf: async () => path,
      connectTo: () => Promise.reject(new Error('none listens')),
    });
    for (let i = 0; i <= JOINED; i++) await expect(failing.join(key)).rejects.toThrow('none listens');
  });
});
