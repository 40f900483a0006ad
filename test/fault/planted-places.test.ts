// What another user plants at the places where a client looks by default: the client finds its own server all the same.
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { eventually } from '../setup/cleanup.ts';
import { installed, type PrivateMachine, startPrivateMachine } from '../setup/private-machine.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

/** Prints a line for each connection to an address and for its bytes, and answers that, or nothing. */
const listening = (address: string, answer = '') => `
  const server = require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
    console.log('connected');
    socket.on('error', () => {}).on('data', () => console.log('told'));
    ${answer && `socket.once('data', () => socket.end(${JSON.stringify(answer)}));`}
  });
  server.listen(${address}, () => console.log('listening'));`;

describeWith(['root', 'Linux', 'iproute2'], 'the server of a user', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  const runtime = `/tmp/runtime-${alice?.uid}`;
  const withRuntime = { XDG_RUNTIME_DIR: runtime };
  const own = `/tmp/ccapi-${alice?.uid}`;
  let machine: PrivateMachine;

  const path = async (env: NodeJS.ProcessEnv = {}) => (await machine.ccapi(alice, ['path'], env)).stdout;
  const servers = async () => (await machine.sh(undefined, "pgrep -cf '[c]capi-server.js' || true")).stdout.trim();
  const startRootLauncher = (...args: string[]) =>
    machine.startNode(undefined, [installed.launcher, '--listen', '789', ...args]);
  beforeEach(async () => {
    machine = await startPrivateMachine();
    await machine.sh(undefined, `install -d -m 700 -o ${alice.uid} -g ${alice.gid} ${runtime}`);
  });

  afterEach(() => machine.end());

  describe('on a machine without a launcher of root’s', () => {
    it('is not looked for behind a port of another user’s, which is told nothing', async () => {
      const answer = `CCAPI/1 ok path=/tmp/bob/${alice.uid}/S.ccapi\n`;
      const planted = await machine.startNode(bob, ['-e', listening("7789, '127.0.0.1'", answer)]);
      expect(await path(withRuntime)).toBe(`${runtime}/ccapi/${alice.uid}/S.ccapi\n`);
      const { stdout } = await machine.ccapi(alice, ['path', '--explain'], { CCAPI_AUTOSTART: 'no' });
      expect(stdout).toContain(`launcher on port 7789: a program of uid ${bob.uid} listens on port 7789`);
      expect(planted.stdout()).not.toContain('told');
    });

    it.each([
      ['7789', ''],
      ['789', 'echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start'],
    ])(
      'is not looked for behind port %s that another user’s program leaves once it has a client, which is told nothing',
      async (port, set) => {
        expect((await machine.sh(undefined, set)).code).toBe(0);
        const planted = await machine.startNode(bob, [
          '-e',
          `const server = require('node:net').createServer((socket) => {
          server.close();
          socket.on('error', () => {}).on('data', () => console.log('told')).on('close', () => console.log('closed'));
        });
        server.listen(${port}, '127.0.0.1', () => console.log('listening'));`,
        ]);
        const inTable = Number(port).toString(16).toUpperCase().padStart(4, '0');
        // The client looks who listens when none does any more.
        const late = `
        const fs = require('node:fs');
        const { openSync } = fs;
        fs.openSync = (path, ...more) => {
          if (path === '/proc/net/tcp') while (/:${inTable} 0{8}:0000 0A/.test(fs.readFileSync(path)));
          return openSync(path, ...more);
        };
        require('node:module').syncBuiltinESMExports();`;
        await machine.sh(alice, `cat > ${runtime}/late.cjs <<'END'\n${late}\nEND`);
        const env = { CCAPI_AUTOSTART: 'no', NODE_OPTIONS: `--require=${runtime}/late.cjs` };
        const { stdout } = await machine.ccapi(alice, ['path', '--explain'], env);
        expect(stdout).toContain(`launcher on port ${port}: a program has left port ${port}`);
        await eventually(() => planted.stdout().includes('closed'));
        expect(planted.stdout()).not.toContain('told');
      },
    );

    it('is found where its own port 7789 is mute, long before an answer could come', async () => {
      const mute = await machine.startNode(alice, ['-e', listening("7789, '127.0.0.1'")]);
      const before = performance.now();
      expect(await path(withRuntime)).toBe(`${runtime}/ccapi/${alice.uid}/S.ccapi\n`);
      expect(performance.now() - before).toBeLessThan(10_000);
      expect(mute.stdout()).toContain('connected');
    });

    it('is found where its own port 7789 has a full queue, long before the kernel gives up', async () => {
      const full = `
        require('node:net').createServer().listen({ port: 7789, host: '127.0.0.1', backlog: 1 }, () => {
          console.log('listening');
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
        });`;
      await machine.startNode(alice, ['-e', full]);
      const fill = `
        let connected = 0;
        for (let i = 0; i < 6; i++) {
          require('node:net').connect(7789, '127.0.0.1', () => ++connected === 2 && console.log('full'));
        }`;
      await machine.startNode(alice, ['-e', fill]);
      const before = performance.now();
      expect(await path(withRuntime)).toBe(`${runtime}/ccapi/${alice.uid}/S.ccapi\n`);
      expect(performance.now() - before).toBeLessThan(10_000);
    });

    it('is found where another user has taken the place in /tmp', async () => {
      await machine.sh(bob, `mkdir -m 777 ${own}`);
      expect(await path(withRuntime)).toBe(`${runtime}/ccapi/${alice.uid}/S.ccapi\n`);
    });

    it('is refused, with each place and the reason, where that leaves no place', async () => {
      await machine.sh(bob, `mkdir -m 777 ${own}; mkdir -m 700 ${own}/${alice.uid}`);
      const { code, stderr } = await machine.ccapi(alice, ['env']);
      expect(code).toBe(1);
      expect(stderr).toContain(`${own} belongs to uid ${bob.uid}, who can replace what is in it`);
      expect(stderr).toContain('launcher on port 789: nothing listens there');
      expect(stderr).toContain(`launcher of our own: ${own} must belong to uid ${alice.uid}`);
    });

    it.each([
      ['another user’s', () => `/tmp/runtime-${bob.uid}`],
      ['a link', () => '/tmp/link'],
      ['open to other writers', () => '/tmp/open'],
      ['below a directory of another user’s', () => '/tmp/bob/runtime'],
      ['gone', () => '/run/user/4711'],
    ])('is in /tmp where the runtime directory is %s, as client, launcher and server see it', async (_, where) => {
      await machine.sh(
        undefined,
        `install -d -m 700 -o ${bob.uid} /tmp/runtime-${bob.uid}
        ln -s ${runtime} /tmp/link; chown -h ${alice.uid} /tmp/link
        install -d -m 777 -o ${alice.uid} /tmp/open
        install -d -m 755 -o ${bob.uid} /tmp/bob; install -d -m 700 -o ${alice.uid} /tmp/bob/runtime`,
      );
      const env = { XDG_RUNTIME_DIR: where() };
      expect(await path(env)).toBe(`${own}/${alice.uid}/S.ccapi\n`);
      expect(await path()).toBe(`${own}/${alice.uid}/S.ccapi\n`);
      expect(await servers()).toBe('1');
    });

    it('is found again and again by a path that is not ASCII', async () => {
      const env = { XDG_RUNTIME_DIR: `${runtime}/josé` };
      await machine.sh(alice, `mkdir -m 700 ${runtime}/josé`);
      expect(await path(env)).toBe(`${runtime}/josé/ccapi/${alice.uid}/S.ccapi\n`);
    });

    it('is named to stock programs by a path without links', async () => {
      await machine.sh(undefined, `mkdir -p /run/real; ln -s real /run/link; cp -a ${runtime} /run/real/alice`);
      const { stdout } = await machine.ccapi(alice, ['env', '-s'], { XDG_RUNTIME_DIR: '/run/link/alice' });
      expect(stdout).toContain(`KRB5_CONFIG='/run/real/alice/ccapi/${alice.uid}/krb5.conf:`);
    });

    it('is named to stock programs by a file of the user’s own where others can write beside its socket', async () => {
      await machine.startNode(alice, ['-e', listening(`'/tmp/forwarded'`)]);
      await machine.sh(bob, 'touch /tmp/krb5.conf');
      const script = `
        const { writeClientKrb5Conf } = require('/opt/ccapi/etc/config/client-krb5-conf.ts');
        console.log(writeClientKrb5Conf('/tmp/forwarded', process.env));`;
      const tsx = ['--require', '/opt/ccapi/node_modules/tsx/dist/cjs/index.cjs', '-e', script];
      const asked = await machine.startNode(alice, tsx, withRuntime);
      expect(await asked.ended).toBe(`${runtime}/ccapi/${alice.uid}/krb5.conf:/nonexistent\n`);
    });

    it('is refused where another user can exchange the socket that the settings name', async () => {
      await machine.sh(undefined, 'install -d -m 777 /tmp/open');
      await machine.startNode(alice, ['-e', listening("'/tmp/open/S'")]);
      const server = (path: string) => machine.ccapi(alice, ['list'], { CCAPI_SERVER: `unix://${path}` });
      expect((await server('/tmp/open/S')).stderr).toContain(
        '/tmp/open has mode 777: others can replace what is in it',
      );
    });

    it('is not exchanged for another by a link that swings while it is checked', async () => {
      // The launcher that is asked is bob's, as CCAPI_SERVER may name any: it answers a path that leads through bob's link.
      const real = `${runtime}/ccapi/${alice.uid}`;
      expect(await path(withRuntime)).toBe(`${real}/S.ccapi\n`);
      await machine.sh(bob, `mkdir -p -m 755 /tmp/bob/trap/${alice.uid}; ln -s trap /tmp/bob/swing`);
      const trap = await machine.startNode(bob, [
        '-e',
        `process.umask(0); ${listening(`'/tmp/bob/trap/${alice.uid}/S.ccapi'`)}`,
      ]);
      const swing = `
        const fs = require('node:fs');
        const targets = ['trap', ${JSON.stringify(`${runtime}/ccapi`)}];
        console.log('swinging');
        for (let i = 0; ; i++) {
          fs.symlinkSync(targets[i % 2], '/tmp/bob/next');
          fs.renameSync('/tmp/bob/next', '/tmp/bob/swing');
        }`;
      await machine.startNode(bob, ['-e', swing]);
      await machine.startNode(bob, [
        '-e',
        listening("7000, '127.0.0.1'", `CCAPI/1 ok path=/tmp/bob/swing/${alice.uid}/S.ccapi\n`),
      ]);
      const client = `
        const { Context } = require(${JSON.stringify(installed.library)});
        (async () => {
          const paths = new Map();
          for (let i = 0; i < 300; i++) {
            const context = new Context();
            const path = await context.getServerPath().catch(({ name }) => name);
            paths.set(path, (paths.get(path) ?? 0) + 1);
            await context.close();
          }
          console.log(JSON.stringify([...paths.keys()]));
        })();`;
      const asked = await machine.startNode(alice, ['-e', client], { CCAPI_SERVER: 'inetd://127.0.0.1:7000' });
      const outcomes: string[] = JSON.parse(await asked.ended);
      expect(outcomes).toContain(`${real}/S.ccapi`);
      for (const outcome of outcomes) expect([`${real}/S.ccapi`, 'ccErrServerInsecure']).toContain(outcome);
      expect(trap.stdout()).toBe('listening\n');
    });
  });

  describe('on a machine with a launcher of root’s', () => {
    it('is the one below root’s base, also while a private one runs', async () => {
      expect(await path(withRuntime)).toBe(`${runtime}/ccapi/${alice.uid}/S.ccapi\n`);
      const launcher = await startRootLauncher();
      const { stdout } = await machine.ccapi(alice, ['list', '--json'], withRuntime);
      expect(JSON.parse(stdout)).toMatchObject([]);
      for (const env of [withRuntime, { CCAPI_SERVER: 'inetd://127.0.0.1' }]) {
        expect(await path(env)).toBe(`/run/ccapi/${alice.uid}/S.ccapi\n`);
      }
      await launcher.end();
      expect(await path(withRuntime)).toBe(`/run/ccapi/${alice.uid}/S.ccapi\n`);
    });

    it.each([['list'], ['list', '-s'], ['path'], ['env'], ['purge']])(
      'is not replaced by a private one while inetd is away, and %s says so',
      async (...args) => {
        const launcher = await startRootLauncher();
        expect(await path()).toBe(`/run/ccapi/${alice.uid}/S.ccapi\n`);
        expect((await machine.ccapi(alice, ['stop'])).code).toBe(0);
        await launcher.end();
        const { code, stdout, stderr } = await machine.ccapi(alice, args, withRuntime);
        expect([code, stdout]).toEqual([1, '']);
        expect(stderr).toContain(`/run/ccapi/${alice.uid} is there, but no launcher answers on port 789`);
        expect(await servers()).toBe('0');
      },
    );

    it('is refused in its words, also by what only looks', async () => {
      await startRootLauncher(`--deny=${alice.uid}`);
      for (const args of [['list'], ['list', '-A'], ['path'], ['destroy', '-A']]) {
        const { code, stderr } = await machine.ccapi(alice, args, withRuntime);
        expect(code).toBe(1);
        expect(stderr).toContain(`uid ${alice.uid} is not served: deny = ${alice.uid}`);
      }
      expect(await servers()).toBe('0');
    });

    it('is found whatever another user has planted', async () => {
      await startRootLauncher();
      await machine.sh(bob, `mkdir -m 777 ${own}; ln -s /tmp ${own}/${alice.uid}`);
      const planted = await machine.startNode(bob, ['-e', listening("7789, '127.0.0.1'")]);
      expect(await path()).toBe(`/run/ccapi/${alice.uid}/S.ccapi\n`);
      const { stdout } = await machine.ccapi(alice, ['doctor']);
      expect(stdout).not.toContain(own);
      expect(planted.stdout()).not.toContain('told');
    });
  });
});
