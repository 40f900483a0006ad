// One KCM socket for the whole machine, under the real inetd: each user's stock programs find their own worker there.
import { existsSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import koffi from 'koffi';
import { beforeAll, expect, inject, it } from 'vitest';
import { descriptorOf } from '../../etc/host/socket-handle.ts';
import { WorkerLink } from '../../launcher/worker-link.ts';
import { eventually, processesOf, workersBelow } from '../setup/cleanup.ts';
import { askWithoutMaker, type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { ccapi, run, sendBytes } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const SIOCOUTQ = 0x5411;

/** The server's end of the next connection to a path. */
function accepted(path: string): Promise<Socket> {
  return new Promise((resolve) => {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      server.close();
      resolve(socket);
    }).listen(path);
  });
}

/** Whether the other end has read all that was written (unix(7), SIOCOUTQ). */
function isRead(socket: Socket): boolean {
  const ioctl = koffi.load(null).func('int ioctl(int descriptor, ulong request, _Out_ int *result)');
  const unread = [0];
  expect(ioctl(descriptorOf(socket), SIOCOUTQ, unread)).toBe(0);
  return unread[0] === 0;
}

async function connected(path: string): Promise<Socket> {
  await eventually(() => existsSync(path));
  const socket = connect(path);
  // What a worker refuses it closes with bytes unread, which resets the giver's end.
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

/** An environment in which stock programs go straight to the socket of a uid's worker. */
function straightTo({ base, env, kdc }: FrontDoor, uid: number): NodeJS.ProcessEnv {
  const krb5Conf = `${kdc.krb5Conf}.straight`;
  writeFileSync(krb5Conf, `[libdefaults]\n kcm_socket = ${base}/${uid}/S.ccapi\n`);
  return { ...env, KRB5_CONFIG: `${krb5Conf}:${env.KRB5_CONFIG}` };
}

describeWith([...frontDoorRequirements, 'netcat-openbsd'], 'the front door', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;
  let door: string;
  let base: string;
  let env: NodeJS.ProcessEnv;
  const as: FrontDoor['as'] = (...args) => machine.as(...args);

  beforeAll(async () => {
    machine = await startFrontDoor(['alice', 'bob', 'host/a.test.example']);
    ({ door, base, env } = machine);
  });

  it('starts no worker for a probe that says nothing', async () => {
    const probe = connect(door);
    await new Promise((resolve) => probe.once('connect', resolve));
    const closed = new Promise((resolve) => probe.once('close', resolve));
    probe.end();
    await closed;
    expect(await sendBytes({ path: door }, 'CCAPI/2\n')).toContain('code=version');
    expect(workersBelow(base)).toEqual([]);
  });

  it('takes each of two users at once to a worker of their own', async () => {
    const made = await Promise.all([as(alice, 'kinit', 'alice'), as(bob, 'kinit', 'bob')]);
    expect(made.map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ''],
      [0, ''],
    ]);
    expect((await as(alice, 'klist')).stdout).toContain('Default principal: alice@TEST.EXAMPLE');
    expect((await as(bob, 'klist')).stdout).toContain('Default principal: bob@TEST.EXAMPLE');
    expect((await as(alice, 'klist', '-A')).stdout).not.toContain('bob');
    expect((await as(alice, 'kvno', 'host/a.test.example')).stdout).toContain('kvno = 1');
    expect(workersBelow(base)).toHaveLength(2);
  });

  it('shows root neither: not at the door, and not at the socket of their worker', async () => {
    expect((await as(undefined, 'klist')).stderr).toContain('not found');
    const straight = straightTo(machine, alice.uid);
    expect((await run('/usr/bin/klist', ['-A'], { env: straight })).stdout).toBe('');
    expect((await ccapi(['list'], { env: { ...straight, CCAPI_DIRECTORY: base } })).stdout).toBe('');
  });

  it('leads to the same tickets as the CCAPI does', async () => {
    const { uid, gid } = alice;
    const listed = JSON.parse((await ccapi(['list', '--json'], { uid, gid, env })).stdout);
    expect(listed[0].credentials.map(({ server }: { server: string }) => server)).toEqual([
      'krbtgt/TEST.EXAMPLE@TEST.EXAMPLE',
      'host/a.test.example@TEST.EXAMPLE',
    ]);
  });

  it('hands the connection itself over: it outlives the launcher', async () => {
    const noop = Buffer.from('0000000402000000', 'hex');
    const socket = connect(door);
    const reply = () =>
      new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(chunk.toString('hex'))));
    socket.write(noop);
    expect(await reply()).toBe('000000040000000000000000');
    for (const pid of processesOf('ccapi-launcher.js', base)) process.kill(pid, 'SIGKILL');
    await eventually(() => processesOf('ccapi-launcher.js', base).length === 0);
    socket.write(noop);
    expect(await reply()).toBe('000000040000000000000000');
    socket.destroy();
  });

  it('hands over a first request of any size whole', async () => {
    // An operation that there is none of, with 700 kB behind it, and a second request that shows the framing is kept.
    const large = Buffer.alloc(700_000);
    large.writeUInt32BE(large.length - 4);
    large.writeUInt32BE(0x0200fff0, 4);
    const socket = await connected(door);
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('hex');
    });
    socket.write(Buffer.concat([large, Buffer.from('0000000402000000', 'hex')]));
    await eventually(() => received.length >= 48);
    expect(received).toBe('000000040000000096c73ac4000000040000000000000000');
    socket.destroy();
  });

  it('lets no process hand a worker the connection of another user, not even root', async () => {
    const { uid, gid } = alice;
    await ccapi(['path'], { uid, gid, env });
    const pair = `${base}/pair`;
    const [near, far] = await Promise.all([accepted(pair), connected(pair)]);
    const link = await WorkerLink.open(() => connected(`${base}/${uid}/H.ccapi`));
    expect(await link.offer(descriptorOf(near), Buffer.from('0000000402000000', 'hex'))).toBe('refused');
    near.destroy();
    let answered = '';
    far.on('data', (chunk) => {
      answered += chunk;
    });
    await new Promise((resolve) => far.once('close', resolve));
    expect(answered).toBe('');
    link.close();
  });

  it('serves a program on a connection of another that has ended', async () => {
    expect(await askWithoutMaker(door, alice)).toBe('000000040000000000000000');
  });

  it('takes a rendezvous that comes in pieces, and notices where none comes', async () => {
    const socket = await connected(door);
    let answer = '';
    socket.setEncoding('utf8').on('data', (chunk) => (answer += chunk));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (const piece of ['CCAPI/1 ', 'uid=', `${bob.uid}\n`]) {
      socket.write(piece);
      await eventually(() => socket.destroyed || isRead(socket));
    }
    await closed;
    expect(answer).toBe(`CCAPI/1 ok path=${base}/${bob.uid}/S.ccapi\n`);
    const half = await run('/bin/nc.openbsd', ['-N', '-U', door], { input: 'CCAPI/1 uid' });
    expect(half.stdout).toContain('code=syntax message=the line has no newline');
  });

  it('answers a rendezvous too, for the user that the kernel names', async () => {
    expect(await sendBytes({ path: door }, `CCAPI/1 uid=${bob.uid}\n`)).toBe(
      `CCAPI/1 ok path=${base}/${bob.uid}/S.ccapi\n`,
    );
    const { uid, gid } = alice;
    const refused = await run('/bin/nc.openbsd', ['-U', door], { uid, gid, input: `CCAPI/1 uid=${bob.uid}\n` });
    expect(refused.stdout).toContain(`uid ${uid} may not ask for uid ${bob.uid}`);
  });

  it('serves 32 programs at once, also where their worker has just been killed', async () => {
    // Where it is stored, what there was stays.
    await as(bob, 'kdestroy', '-A');
    for (const pid of workersBelow(base)) process.kill(pid, 'SIGKILL');
    const made = await Promise.all(Array.from({ length: 32 }, (_, i) => as(bob, 'kinit', '-c', `KCM:${i}`, 'bob')));
    expect(made.map(({ code, stderr }) => `${code} ${stderr}`).filter((outcome) => outcome !== '0 ')).toEqual([]);
    expect((await as(bob, 'klist', '-l')).stdout.match(/bob@TEST.EXAMPLE/g)).toHaveLength(32);
  });
});

describeWith(frontDoorRequirements, 'root_access', () => {
  it('shows root the tickets of a user, who keeps them', async () => {
    const [alice, bob] = inject('users') as [TestUser, TestUser];
    const machine = await startFrontDoor(['alice'], { settings: [' root_access = yes'] });
    expect((await machine.as(alice, 'kinit', 'alice')).code).toBe(0);
    const env = straightTo(machine, alice.uid);
    expect((await run('/usr/bin/klist', [], { env })).stdout).toContain('Default principal: alice@TEST.EXAMPLE');
    const other = await run('/usr/bin/klist', [], { uid: bob.uid, gid: bob.gid, env });
    expect([other.code, other.stdout]).toEqual([1, '']);
  });
});
