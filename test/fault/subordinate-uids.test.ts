// A user with 65,536 more uids from /etc/subuid, as Debian has it, and root in a user namespace: others are safe.
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { greeting } from '../../proto/link.ts';
import { eventually, hasEnded, memory, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { startKdc } from '../setup/kdc.ts';
import { cleanEnvironment, run, sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';
import { hostUid, inUserNamespace, type Role } from '../setup/user-namespace.ts';
import { uidOf, Victim } from './latency.ts';
import { sized } from './size.ts';
import { ASK, ATTACK_STARTS, HOLD_CONNECTIONS } from './subordinate-uids.ts';

/** How often a worker is started while its start is attacked. */
const STARTS = sized(20, 300);

/** As many uids, and connections of each at the door and at the port, as fill the launcher twice over. */
const CROWD = 5;
const CONNECTIONS = 80;

const NOOP = Buffer.from('0000000402000000', 'hex');
const LINK = (['descriptors', 'lengths'] as const).map((role) => Buffer.from(greeting(role, 'a1')));

/** What a connection is answered that is closed without a word. */
const CLOSED = /^(|ECONNRESET|EPIPE)$/;

const hex = (bytes: Buffer) => bytes.toString('hex');

const needs = ['root', 'Linux', 'user namespaces', 'uidmap', 'python3'] as const;

describeWith([...needs, 'krb5-kdc', 'krb5-admin-server', 'krb5-user'], 'a user with subordinate uids', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let door: string;
  let base: string;
  let port: number;
  let launcher: number;
  let env: NodeJS.ProcessEnv;
  const own = ({ uid }: TestUser) => `${base}/${uid}`;

  beforeAll(async () => {
    const directory = temporaryDirectory(memory);
    [door, base] = [`${directory}/door`, `${directory}/run`];
    const kdc = await startKdc([bob.name]);
    const started = await startLauncher([door, `--directory=${base}`, '--max-launcher-connections=400']);
    [port, launcher] = [started.port, started.launcher.pid as number];
    env = { KRB5_CONFIG: `${directory}/krb5.conf` };
    const settings = ['[libdefaults]', ' default_ccache_name = KCM:', ` kcm_socket = ${door}`];
    writeFileSync(`${directory}/krb5.conf`, [...settings, readFileSync(kdc.krb5Conf, 'utf8')].join('\n'));
    const { uid, gid } = bob;
    const kinit = await run('/usr/bin/kinit', [bob.name], { uid, gid, env, input: `${kdc.password}\n` });
    expect(kinit.code, kinit.stderr).toBe(0);
    expect(await ask(alice)).toContain('ok path=');
  });

  const ask = ({ uid }: TestUser) => sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${uid}\n`);
  const klistOfBob = async () => {
    const { code, stdout } = await run('/usr/bin/klist', [], { uid: bob.uid, gid: bob.gid, env });
    expect(code).toBe(0);
    expect(stdout).toContain(`krbtgt/TEST.EXAMPLE@TEST.EXAMPLE`);
  };
  /** Runs a program of alice's to its end. */
  const asAlice = (role: Role, ...command: [string, ...string[]]) => {
    const [program, ...args] = inUserNamespace(role, command);
    return run(program, args, { uid: alice.uid, gid: alice.gid });
  };
  /** What an address answers to alice, or the name of the system's error. */
  const answer = async (role: Role, address: string | number, ...requests: Buffer[]) => {
    const { code, stdout, stderr } = await asAlice(role, 'python3', '-c', ASK, String(address), ...requests.map(hex));
    expect(code, stderr).toBe(0);
    return stdout.trim();
  };
  /** Starts a program of alice's in Python that runs until the test ends it; resolves once it has said so often that it is ready. */
  const startAsAlice = async (role: Role, source: string, args: (string | number)[], times = 1) => {
    const [program, ...rest] = inUserNamespace(role, ['python3', '-uc', source, ...args.map(String)]);
    const { uid, gid } = alice;
    const child = start(program, rest, { uid, gid, env: cleanEnvironment(), stdio: ['pipe', 'pipe', 'inherit'] });
    let printed = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    await eventually(() => printed.split('ready\n').length > times);
    return {
      /** Ends it with its children, and returns what it has printed. */
      end: async () => {
        const ended = once(child, 'close');
        child.stdin?.end();
        await ended;
        return printed.split('\n').filter((line) => line !== '' && line !== 'ready');
      },
    };
  };
  const killWorkerOf = async ({ uid }: TestUser) => {
    for (const pid of workersBelow(base).filter((pid) => uidOf(pid) === uid)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // The attack was faster.
      }
      await eventually(() => hasEnded(pid));
    }
  };

  it.each(['herself', 'root', 'a subordinate uid'] as const)(
    `as %s looks into no worker in ${STARTS} starts, and stops none before it is hers`,
    async (role) => {
      const attack = await startAsAlice(role, ATTACK_STARTS, [launcher]);
      for (let i = 0; i < STARTS; i++) {
        const starting = ask(alice);
        await klistOfBob();
        expect(await starting).toMatch(/^CCAPI\/1 (ok path|error code=worker message=)/);
        await killWorkerOf(alice);
      }
      // What is hers is 0 in the namespace; a uid that is not of it would be 65,534.
      const hers = { herself: [`signal ${alice.uid}`], root: ['signal 0'], 'a subordinate uid': [] }[role];
      expect(new Set(await attack.end())).toEqual(new Set(['tried', ...hers]));
    },
  );

  describe.each(['root', 'a subordinate uid'] as const)('as %s', (role) => {
    it('is the uid that the host knows', async () => {
      const { stdout } = await asAlice(role, 'sh', '-c', 'cat /proc/self/uid_map; id -u');
      const first = hostUid(alice, 'a subordinate uid');
      expect(stdout.trim().split(/\s+/)).toEqual(
        [0, alice.uid, 1, 1, first, 65_535, role === 'root' ? 0 : 1].map(String),
      );
    });

    it.each([
      ['S.ccapi', [NOOP]],
      ['H.ccapi', LINK],
    ])('connects to another user’s %s, in vain', async (name, requests) => {
      expect(await answer(role, `${own(bob)}/${name}`, ...requests)).toBe('EACCES');
      // A user may have opened their own directory: the worker asks the kernel for the peer's uid.
      const { mode } = statSync(`${own(bob)}/${name}`);
      chmodSync(own(bob), 0o711);
      chmodSync(`${own(bob)}/${name}`, 0o666);
      expect(await answer(role, `${own(bob)}/${name}`, ...requests)).toMatch(CLOSED);
      chmodSync(`${own(bob)}/${name}`, mode);
      chmodSync(own(bob), 0o700);
      await klistOfBob();
    });

    it.each([
      ['in the place of another user’s directory', () => `rm -rf ${own(bob)}; test ! -e ${own(bob)}`],
      ['beside it', () => `mkdir ${base}/4711`],
      ['that would keep a start waiting', () => `: > ${own(bob)}.lock`],
    ])('makes a name %s, in vain', async (_, script) => {
      expect((await asAlice(role, 'sh', '-c', script())).code).not.toBe(0);
      await klistOfBob();
    });

    it.each(['at the port', 'at the door'])('claims the uids of others, in vain: %s', async (where) => {
      const address = where === 'at the port' ? port : door;
      const self = hostUid(alice, role);
      for (const { uid } of [bob, { uid: 0 }, role === 'root' ? bob : alice]) {
        const line = Buffer.from(`CCAPI/1 uid=${uid}\n`);
        expect(await answer(role, address, line)).toContain(`uid ${self} may not ask for uid ${uid}`);
      }
      await klistOfBob();
    });

    it('has root start a worker for its own user alone', async () => {
      const self = hostUid(alice, role);
      const line = Buffer.from(`CCAPI/1 uid=${self}\n`);
      const [rendezvous, reply] = [await answer(role, port, line), await answer(role, door, NOOP)];
      if (role === 'root') expect(rendezvous).toBe(`CCAPI/1 ok path=${own(alice)}/S.ccapi`);
      else expect(rendezvous).toContain('error code=unknown-uid');
      if (role === 'root') expect(reply).toHaveLength(12);
      else expect(reply).toMatch(CLOSED);
      expect(existsSync(`${base}/${hostUid(alice, 'a subordinate uid')}`)).toBe(false);
    });

    it('holds the start of another user’s worker, in vain', { timeout: 120_000 }, async () => {
      const victim = new Victim(launcher);
      const startOfBob = async () => {
        await killWorkerOf(bob);
        await victim.time(klistOfBob, bob.uid);
      };
      for (let i = 0; i < 5; i++) await startOfBob();
      victim.begin();
      // Only the namespace's root can be all of its uids.
      const crowd = await startAsAlice('root', HOLD_CONNECTIONS, [door, port, CROWD, CONNECTIONS], CROWD);
      const attack = await startAsAlice(role, ATTACK_STARTS, [launcher]);
      for (let i = 0; i < sized(5, 50); i++) await startOfBob();
      await attack.end();
      await crowd.end();
      victim.expectServed();
    });
  });
});
