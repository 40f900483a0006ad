// Which connections a launcher keeps when more come than it takes.
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { beforeEach, expect, inject, it } from 'vitest';
import { ConnectionQuota } from '../../launcher/connection-quota.ts';
import { afterwards, memory, temporaryDirectory } from '../setup/cleanup.ts';
import { run, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

let quota: ConnectionQuota;
beforeEach(() => {
  quota = new ConnectionQuota({ inAll: 6, perUid: 4 });
});

function connection() {
  const made = {
    ended: false,
    destroy: () => {
      made.ended = true;
    },
  };
  return made;
}

it('a uid at its limit loses its oldest silent connection to its newest', () => {
  const own = Array.from({ length: 4 }, connection);
  for (const one of own) expect(quota.acquire(one, 1000)).toBe(true);
  quota.noteInput(own[0] as object as ReturnType<typeof connection>);
  expect(quota.acquire(connection(), 1000)).toBe(true);
  expect(own.map(({ ended }) => ended)).toEqual([false, true, false, false]);
});

it('a uid with connections that have all spoken is refused a further one, until one ends', () => {
  const own = Array.from({ length: 4 }, connection);
  for (const one of own) {
    quota.acquire(one, 1000);
    quota.noteInput(one);
  }
  expect(quota.acquire(connection(), 1000)).toBe(false);
  expect(quota.acquire(connection(), 1001)).toBe(true);
  quota.release(own[0] as ReturnType<typeof connection>);
  expect(quota.acquire(connection(), 1000)).toBe(true);
});

it('where all are taken, the key with the most silent ones makes room', () => {
  const many = Array.from({ length: 4 }, connection);
  const few = Array.from({ length: 2 }, connection);
  for (const one of many) quota.acquire(one, 'unknown uid');
  for (const one of few) quota.acquire(one, 1000);
  expect(quota.acquire(connection(), 1001)).toBe(true);
  expect(many.map(({ ended }) => ended)).toEqual([true, false, false, false]);
  expect(few.some(({ ended }) => ended)).toBe(false);
});

it('a connection that is answered makes room again, as the newest of the silent ones', () => {
  const own = Array.from({ length: 4 }, connection);
  for (const one of own) {
    quota.acquire(one, 1000);
    quota.noteInput(one);
  }
  for (const one of own.slice(2).reverse()) quota.noteAnswer(one);
  expect(quota.acquire(connection(), 1000)).toBe(true);
  expect(own.map(({ ended }) => ended)).toEqual([false, false, false, true]);
});

it('where all have spoken, a further one is refused', () => {
  for (let i = 0; i < 6; i++) {
    const one = connection();
    quota.acquire(one, i);
    quota.noteInput(one);
  }
  expect(quota.acquire(connection(), 99)).toBe(false);
});

it('each newcomer takes the place of another connection, and of none that has gone', () => {
  const all = Array.from({ length: 14 }, connection);
  const [first] = all as [ReturnType<typeof connection>];
  quota.acquire(first, 1000);
  quota.release(first);
  for (const one of all.slice(1)) expect(quota.acquire(one, 1000)).toBe(true);
  expect(all.map(({ ended }) => ended)).toEqual(all.map((_, i) => i >= 1 && i < 10));
});

it('what is released twice, or was evicted, counts once', () => {
  const own = Array.from({ length: 4 }, connection);
  for (const one of own) quota.acquire(one, 1000);
  quota.acquire(connection(), 1000);
  for (let time = 0; time < 2; time++) for (const one of own) quota.release(one);
  for (let i = 0; i < 3; i++) expect(quota.acquire(connection(), 1000)).toBe(true);
});

describeWith(['root', 'Linux'], 'a launcher', () => {
  const [alice] = inject('users') as [TestUser, TestUser];

  it('makes room for one uid at the cost of no other that is at its limit', async () => {
    const args = [`--directory=${temporaryDirectory(memory)}/run`, '--max-launcher-connections-per-uid=4'];
    const { port } = await startLauncher(args);
    const own = Array.from({ length: 4 }, () => connect({ host: '127.0.0.1', port, allowHalfOpen: true }));
    for (const socket of own) afterwards(() => void socket.destroy());
    await Promise.all(own.map((socket) => once(socket, 'connect')));
    const script = `const s = require('net').connect(${port}, '127.0.0.1'); s.write('${alice.uid}\\n'); s.pipe(process.stdout)`;
    const { stdout } = await run(process.execPath, ['-e', script], { uid: alice.uid, gid: alice.gid });
    expect(stdout).toContain(`/${alice.uid}/`);
    const answers = own.map((socket) => {
      socket.end('0\n');
      return text(socket);
    });
    for (const answer of await Promise.all(answers)) expect(answer).toContain('/0/');
  });
});
