// Nothing is read of a connection that waits for its worker: the launcher finds out in another way that its client has gone.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { beforeEach, expect, it } from 'vitest';
import { isHungUp } from '../../etc/host/fd-passing.ts';
import { descriptorOf } from '../../etc/host/socket-handle.ts';
import { WaitingConnections } from '../../launcher/waiting-connections.ts';
import { afterwards, eventually, temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

describeWith(['Linux'], 'connections that wait', () => {
  let waiting: WaitingConnections;
  let open: () => Promise<{ near: Socket; client: Socket }>;
  /** What the connections wait for. */
  let linked: Promise<string>;
  let link: () => void;

  beforeEach(async () => {
    waiting = new WaitingConnections();
    linked = new Promise((resolve) => {
      link = () => resolve('the link');
    });
    const path = `${temporaryDirectory()}/door`;
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    afterwards(() => void server.close());
    open = async () => {
      const accepted = once(server, 'connection');
      const client = connect(path);
      const [near] = (await accepted) as [Socket];
      for (const end of [near, client]) afterwards(() => void end.destroy());
      client.write('a request');
      return { near, client };
    };
  });

  /** Some that begin to wait, in their order. */
  async function begin(count: number) {
    const all = [];
    for (let i = 0; i < count; i++) {
      const one = await open();
      all.push({ ...one, told: waiting.during(one.near, linked) });
    }
    return all;
  }

  const leave = async ({ client, near }: { client: Socket; near: Socket }) => {
    client.destroy();
    await eventually(() => isHungUp(descriptorOf(near)));
  };

  it('stay, in whatever number, while their clients do, and are told', async () => {
    const all = await begin(20);
    link();
    expect(await Promise.all(all.map(({ told }) => told))).toEqual(all.map(() => 'the link'));
    expect([all.some(({ near }) => near.destroyed), waiting.size]).toEqual([false, 0]);
  });

  it('are ended where their clients have gone, as others come', async () => {
    const all = await begin(10);
    for (const one of all.slice(3, 9)) await leave(one);
    const others = await begin(5);
    expect(all.map(({ near }) => near.destroyed)).toEqual(all.map((_, i) => i >= 3 && i < 9));
    expect([others.some(({ near }) => near.destroyed), waiting.size]).toEqual([false, 9]);
  });

  it('do not wait any more where what they wait for fails', async () => {
    const { near } = await open();
    await expect(waiting.during(near, Promise.reject(new Error('no worker')))).rejects.toThrow('no worker');
    expect(waiting.size).toBe(0);
  });
});
