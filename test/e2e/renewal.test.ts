// renew = yes: the worker has the system's kinit keep renewable tickets fresh, at a real KDC.
import { chownSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { renewByKinit } from '../../server/kinit.ts';
import { afterwards, endWorkersBelow, eventually, temporaryDirectory } from '../setup/cleanup.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { ccapi, run, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';

describeWith(['krb5-kdc', 'krb5-admin-server', 'krb5-user'], 'with renew = yes', () => {
  const [user] = inject('users');
  const identity = user ? { uid: user.uid, gid: user.gid } : {};
  let kdc: Kdc;
  let env: NodeJS.ProcessEnv;

  const ours = (...args: string[]) => ccapi(args, { ...identity, env });
  const stock = async (program: string, ...args: string[]) => {
    const socket = (await ours('path')).stdout.trim();
    const KRB5_CONFIG = `${dirname(socket)}/krb5.conf:${kdc.krb5Conf}`;
    return succeed(`/usr/bin/${program}`, args, {
      ...identity,
      env: { KRB5_CONFIG },
      input: `${kdc.password}\n`,
    });
  };
  const endOfTicket = async (name: string): Promise<number> => {
    const [listing] = JSON.parse((await ours('list', '-c', name, '--json')).stdout);
    return listing.credentials.find(({ server }: { server: string }) => server.startsWith('krbtgt/'))?.endtime ?? 0;
  };
  const status = async () => JSON.parse((await ours('status', '--json')).stdout);

  beforeAll(async () => {
    kdc = await startKdc(['alice', 'bob']);
    const home = join(temporaryDirectory(), 'home');
    mkdirSync(home, { mode: 0o700 });
    if (user) chownSync(home, user.uid, user.gid);
    env = { XDG_RUNTIME_DIR: home, KRB5_CONFIG: kdc.krb5Conf, CCAPI_PORT: '1', CCAPI_RENEW: 'yes' };
    afterwards(() => endWorkersBelow(home));
    await ours('env', '-s');
  });

  it('a ticket is renewed at half its life, more than once, and the default ccache stays the default', async () => {
    await stock('kinit', '-c', 'KCM:first', 'bob');
    await stock('kinit', '-l', '6s', '-r', '1h', '-c', 'KCM:short', 'alice');
    await ours('switch', '-c', 'first');
    const first = await endOfTicket('short');
    const second = await eventually(async () => {
      const end = await endOfTicket('short');
      return end > first ? end : undefined;
    });
    await eventually(async () => (await endOfTicket('short')) > second);
    expect(JSON.parse((await ours('list', '--json')).stdout)[0].name).toBe('first');
    expect((await status()).renewsIn).toBeLessThanOrEqual(3);
    expect((await ours('status')).stdout).toMatch(/^renews {7}a ticket in \d+ s/m);
  });

  it('a login’s ccache is renewed, too, and goes with its file all the same', async () => {
    const file = join(env.XDG_RUNTIME_DIR as string, 'krb5cc_login');
    const name = `FILE:${file}`;
    await stock('kinit', '-l', '6s', '-r', '1h', '-c', name, 'alice');
    await stock('klist', '-c', `KCM:${name}`);
    const first = await endOfTicket(name);
    await eventually(async () => (await endOfTicket(name)) > first);
    await succeed('/usr/bin/rm', [file], identity);
    await eventually(async () => (await ours('list', '-c', name)).code !== 0);
  });

  it('the worker stays for it, and says so; with the ticket that goes', async () => {
    expect((await status()).leavesIn).toBeUndefined();
    await ours('destroy', '-c', 'short');
    await eventually(async () => (await status()).renewsIn === undefined);
  });

  it('what kinit says of a renewal that fails is told', async () => {
    const base = workerDirectory();
    const { path } = await startWorker(base);
    const { signal } = new AbortController();
    await expect(renewByKinit(path, 'nothing', signal)).rejects.toThrow(/^kinit: .*KCM:nothing/);
    expect((await run('/usr/bin/test', ['-f', `${dirname(path)}/krb5.conf`])).code).toBe(0);
  });
});
