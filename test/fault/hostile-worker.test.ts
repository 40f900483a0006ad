// A user who puts a program of their own in their worker's place: whatever it does on a link, others are served at once.
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { end, eventually, hasEnded, memory, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { cleanEnvironment, run, sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';
import { Victim } from './latency.ts';

const NOOP = '0000000402000000';
const REPLY = '000000040000000000000000';

/** What the program does; `links` has, for each, what came on its two connections, once both have said which they are. */
const attacks: Record<string, string> = {
  // Closes its listener with connections that it has not accepted, again and again.
  'closes its listener between two connections': `
    for (;;) {
      const server = listen('H.ccapi', () => {});
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1 + Math.random() * 4);
      server.close();
      await new Promise((resolve) => setImmediate(resolve));
    }`,
  'answers what is no acknowledgement': `
    onLink(({ descriptors, lengths }) => {
      descriptors.write(READY);
      lengths.once('data', () => descriptors.end('x'));
    });`,
  'acknowledges, and closes one of the two connections': `
    onLink(({ descriptors, lengths }) => {
      descriptors.write(READY);
      lengths.once('data', () => {
        descriptors.write('+');
        setTimeout(() => lengths.destroy(), 5);
      });
    });`,
  'closes one of the two before it says that it is ready': `
    onLink(({ descriptors, lengths }) => {
      lengths.destroy();
      descriptors.write(READY);
    });`,
  'keeps what it was sent, and ends the link': `
    onLink(({ descriptors, lengths }) => {
      keep(descriptors);
      descriptors.end(READY);
      lengths.once('data', () => lengths.destroy());
    });`,
  'makes a connection one that blocks, and has it carried to it': `
    let count = 0;
    listen('S.ccapi', (socket) => socket.on('error', () => {}).write(Buffer.alloc(8 << 20)));
    onLink(({ descriptors, lengths }) => {
      if (count++ > 0) return [descriptors, lengths].forEach((socket) => socket.destroy());
      pauseHandle(descriptors);
      descriptors.write(READY);
      lengths.once('data', () => {
        const F_SETFL = 4;
        libc().library.func('int fcntl(int, int, int)')(receiveDescriptor(descriptorOf(descriptors)), F_SETFL, 2);
        descriptors.destroy();
        lengths.destroy();
      });
    });`,
};

/** The program around it; it replaces the sockets of the worker. */
const program = (directory: string, attack: string) => `
  import { createServer } from 'node:net';
  import { rmSync } from 'node:fs';
  import fdPassing from '${join(import.meta.dirname, '../../etc/host/fd-passing.ts')}';
  import host from '${join(import.meta.dirname, '../../etc/host/socket-handle.ts')}';
  import libcModule from '${join(import.meta.dirname, '../../etc/host/libc.ts')}';
  const { receiveDescriptor } = fdPassing;
  const { descriptorOf, pauseHandle } = host;
  const { libc } = libcModule;
  const READY = 'CCAPI-LINK/1 ready\\n';
  const kept = [];
  const keep = (socket) => { pauseHandle(socket); kept.push(socket); };
  process.on('uncaughtException', () => {});
  const listen = (name, serve) => {
    rmSync('${directory}/' + name, { force: true });
    return createServer({ allowHalfOpen: true }, serve).listen('${directory}/' + name);
  };
  const onLink = (begin) => {
    const halves = new Map();
    listen('H.ccapi', (socket) => socket.on('error', () => {}).once('data', (line) => {
      const [, role, id] = String(line).trim().split(' ');
      const half = { ...halves.get(id), [role]: socket };
      halves.set(id, half);
      // Node reads once more where it is stopped within the callback.
      if (half.descriptors && half.lengths) setImmediate(begin, half);
    }));
  };
  listen('S.ccapi', (socket) => socket.on('error', () => {}).on('data', () => {}));
  process.stdout.write('begun');
  ${attack}`;

/** What the kernel says of a process; nothing where it has ended. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return '';
  }
}

describeWith(['root', 'Linux'], 'a program in the place of a worker', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let door: string;
  let base: string;
  let launcher: number;

  let victim: Victim;
  let stderr: () => string;
  let conf: string;

  beforeAll(async () => {
    const directory = temporaryDirectory(memory);
    [door, base, conf] = [`${directory}/door`, `${directory}/run`, `${directory}/krb5.conf`];
    writeFileSync(conf, '');
    const started = await startLauncher([door, `--directory=${base}`], { env: { KRB5_CONFIG: conf } });
    launcher = started.launcher.pid as number;
    victim = new Victim(launcher);
    stderr = started.stderr;
    for (const { uid } of [alice, bob]) {
      expect(await sendBytes({ host: '127.0.0.1', port: started.port }, `${uid}\n`)).toContain('S.ccapi');
    }
  });

  /** A worker that lives would take its names back, and a link to it would stand. */
  const endWorker = async () => {
    const isOf = (pid: number) => new RegExp(`^Uid:\\t${alice.uid}\\b`, 'm').test(statusOf(pid));
    for (const pid of workersBelow(base).filter(isOf)) {
      process.kill(pid, 'SIGKILL');
      await eventually(() => hasEnded(pid));
    }
  };

  const startProgram = async (attack: string): Promise<ChildProcess> => {
    await endWorker();
    const node = ['--import', import.meta.resolve('tsx'), '--input-type=module'];
    const source = program(`${base}/${alice.uid}`, attack);
    const { uid, gid } = alice;
    const child = start(process.execPath, [...node, '-e', source], {
      uid,
      gid,
      env: cleanEnvironment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    return child;
  };

  /** Knocks for some seconds, eight at a time, and reads nothing. */
  const startKnocking = ({ uid, gid }: TestUser) => {
    const script = `const net = require('node:net');
      const knock = () => {
        const socket = net.connect('${door}', () => socket.write(Buffer.from('${NOOP}', 'hex')));
        setTimeout(() => socket.destroy(), 20);
        socket.on('error', () => {}).on('close', () => setTimeout(knock, 2));
      };
      for (let i = 0; i < 8; i++) knock();
      setTimeout(() => process.exit(0), 4000);`;
    return run(process.execPath, ['-e', script], { uid, gid });
  };

  /** Milliseconds until another user has an answer. */
  const askAs = async ({ uid, gid }: TestUser) => {
    const script = `setTimeout(() => process.exit(1), 10_000);
      ${victim.watch}
      const ask = () => {
        const socket = require('node:net').connect('${door}', () => socket.write(Buffer.from('${NOOP}', 'hex')));
        socket.on('error', () => setTimeout(ask, 2)).on('data', (data) => {
          process.stdout.write(data.toString('hex') + ' ' + taken());
          process.exit(0);
        });
      };
      ask();`;
    const [reply, took] = (await run(process.execPath, ['-e', script], { uid, gid })).stdout.split(' ');
    expect(reply).toBe(REPLY);
    return Number(took);
  };
  const descriptors = () => readdirSync(`/proc/${launcher}/fd`).length;

  it.each(Object.entries(attacks))('%s', { timeout: 60_000 }, async (_, attack) => {
    for (let i = 0; i < 5; i++) await victim.time(() => askAs(bob));
    victim.begin();
    const before = descriptors();
    const hostile = await startProgram(attack);
    let isOver = false;
    const knocking = startKnocking(alice).then(() => {
      isOver = true;
    });
    let most = 0;
    while (!isOver) {
      await victim.time(() => askAs(bob));
      most = Math.max(most, descriptors());
    }
    await knocking;
    await end(hostile, 'SIGKILL');
    victim.expectServed();
    // Eight connections at once, each with what was made for it, and four links that are kept open.
    expect(most).toBeLessThan(before + 60);
    await eventually(async () => {
      // A link that is over is looked at when the next one is made.
      await askAs(alice);
      return descriptors() <= before + 4;
    });
  });

  it('is not served over a link that was being made while its user was denied', { timeout: 60_000 }, async () => {
    const hostile = await startProgram(`
      onLink(({ descriptors, lengths }) => {
        process.stdout.write('linking');
        lengths.on('data', () => descriptors.write('+'));
        process.once('SIGUSR2', () => descriptors.write(READY));
      });`);
    const linking = new Promise((resolve) => hostile.stdout?.once('data', resolve));
    const knocking = startKnocking(alice);
    await linking;
    writeFileSync(conf, `[ccapi]\n deny = ${alice.uid}\n`);
    await eventually(async () => (await askAs(bob)) > 0 && stderr().includes('settings reloaded'));
    hostile.kill('SIGUSR2');
    await knocking;
    // One that is given over such a link is held there, since the program takes none.
    const script = `require('node:net').connect('${door}').on('error', () => {}).on('close', () => process.exit(0))
        .resume().write(Buffer.from('${NOOP}', 'hex'));
      setTimeout(() => process.exit(1), 2000);`;
    const { uid, gid } = alice;
    expect((await run(process.execPath, ['-e', script], { uid, gid })).code).toBe(0);
    await end(hostile, 'SIGKILL');
  });
});
