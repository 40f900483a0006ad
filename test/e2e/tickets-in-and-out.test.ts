// Tickets that the stock kinit and kvno made go into the server and come out as they were.
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { ccapi, freePort, programs, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

const services = Array.from({ length: 500 }, (_, i) => `host/server-${i}.test.example`);

describeWith(['krb5-kdc', 'krb5-admin-server', 'krb5-user'], 'tickets of a real KDC', () => {
  // As root an ordinary user has the tickets; an ordinary user has their own.
  const [user] = inject('users');
  const identity = user ? { uid: user.uid, gid: user.gid } : {};
  const uid = user?.uid ?? process.getuid?.();
  let kdc: Kdc;
  let home: string;
  let port: string;
  // A server that runs there for the user's own tickets is not found.
  const env = () => ({ KRB5_CONFIG: kdc.krb5Conf, XDG_RUNTIME_DIR: home, CCAPI_PORT: port });
  const asUser = (program: string, args: string[], input = '') =>
    succeed(program, args, { ...identity, env: env(), input });
  const ours = (...args: string[]) => asUser(process.execPath, [programs.ccapi, ...args]);

  beforeAll(async () => {
    kdc = await startKdc(['alice', ...services]);
    port = String(await freePort());
    home = join(temporaryDirectory(), 'home');
    mkdirSync(home, { mode: 0o700 });
    if (user) chownSync(home, user.uid, user.gid);
    await asUser('/usr/bin/kinit', ['-r', '2d', '-c', `FILE:${home}/first`, 'alice'], `${kdc.password}\n`);
    await asUser('/usr/bin/kvno', ['-q', '-c', `FILE:${home}/first`, ...services]);
  });

  it('are imported, all 501, and those of them that are none are kept too', async () => {
    const { stdout, stderr, code } = await ccapi(['import', `FILE:${home}/first`], { ...identity, env: env() });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`first: 50\\d credentials for alice@TEST\\.EXAMPLE are now in KCM:${uid}\n`));
  });

  it('are listed as klist lists them, and for how long they are good', async () => {
    const ours = (await ccapi(['list'], { ...identity, env: env() })).stdout.trimEnd().split('\n');
    const theirs = (await asUser('/usr/bin/klist', ['-c', `FILE:${home}/first`])).trimEnd().split('\n');
    const serviceOf = (line: string) =>
      line
        .replace(/^\t/, ' '.repeat(8))
        .replace(/^\S+ \S+ +\S+ \S+ +/, '')
        .replace(/expires in \d+ h, /, '')
        .replace(/renew until .*/, 'renew until');
    expect(ours[0]).toBe(`Ticket cache: KCM:${uid}`);
    expect(ours[5]).toMatch(/^ {8}expires in \d+ h, renew until /);
    expect(ours.slice(1, 3)).toEqual(theirs.slice(1, 3));
    expect(ours.slice(4).map(serviceOf)).toEqual(theirs.slice(4).map(serviceOf));
  });

  it('are listed as JSON, with nothing of them that is secret', async () => {
    const [cache] = JSON.parse((await ccapi(['list', '--json'], { ...identity, env: env() })).stdout);
    expect(cache).toMatchObject({ name: String(uid), principal: 'alice@TEST.EXAMPLE' });
    expect(cache.credentials).toHaveLength(501);
    expect(cache.credentials[0]).toMatchObject({ server: 'krbtgt/TEST.EXAMPLE@TEST.EXAMPLE', enctype: 18 });
    expect(JSON.stringify(cache)).not.toMatch(/"(data|ticket|keyblock)"/);
  });

  it('come out byte for byte, in a file that only the user may read', async () => {
    await ours('export', `FILE:${home}/second`);
    expect(readFileSync(`${home}/second`).equals(readFileSync(`${home}/first`))).toBe(true);
    expect(statSync(`${home}/second`).mode & 0o777).toBe(0o600);
  });

  it('are used by stock klist and kvno from the file that came out', async () => {
    const cache = `FILE:${home}/second`;
    expect(await asUser('/usr/bin/klist', ['-c', cache])).toContain('host/server-499.test.example@TEST.EXAMPLE');
    await asUser('/usr/bin/klist', ['-s', '-c', cache]);
    expect(await asUser('/usr/bin/kvno', ['-c', cache, services[7] as string])).toContain('kvno = 1');
    const another = 'krbtgt/TEST.EXAMPLE';
    expect(await asUser('/usr/bin/kvno', ['-c', cache, another])).toContain('kvno = 1');
  });

  it('replace what was imported before, and stay one ccache', async () => {
    await asUser('/usr/bin/kinit', ['-c', `FILE:${home}/third`, 'alice'], `${kdc.password}\n`);
    await ours('import', `FILE:${home}/third`);
    const caches = JSON.parse((await ccapi(['list', '-A', '--json'], { ...identity, env: env() })).stdout);
    expect(caches).toHaveLength(1);
    expect(caches[0].credentials).toHaveLength(1);
  });

  it('come in from a DIR with every ccache of it, its primary first', async () => {
    const collection = `DIR:${home}/collection`;
    mkdirSync(`${home}/collection`, { mode: 0o700 });
    if (user) chownSync(`${home}/collection`, user.uid, user.gid);
    const directory = { ...env(), KRB5CCNAME: collection };
    await succeed('/usr/bin/kinit', ['alice'], { ...identity, env: directory, input: `${kdc.password}\n` });
    await ours('destroy', '-A');
    const printed = await ours('import', collection);
    expect(printed).toMatch(/collection\/tkt: \d credentials for alice/);
  });

  it('are gone after they are destroyed', async () => {
    await ours('destroy');
    const { code, stderr } = await ccapi(['list'], { ...identity, env: env() });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'ccapi: there is no ccache; kinit makes one, or ccapi import\n',
    });
  });

  it.each([1, 2, 3, 4])('are imported from a file of version %i, as stock kinit writes it', async (version) => {
    const krb5Conf = join(home, `version-${version}.conf`);
    const conf = readFileSync(kdc.krb5Conf, 'utf8');
    writeFileSync(krb5Conf, conf.replace('[libdefaults]', `[libdefaults]\n ccache_type = ${version}`), { mode: 0o644 });
    const path = `${home}/version-${version}`;
    const made = { ...identity, env: { KRB5_CONFIG: krb5Conf }, input: `${kdc.password}\n` };
    await succeed('/usr/bin/kinit', ['-c', `FILE:${path}`, 'alice'], made);
    expect(readFileSync(path).subarray(0, 2)).toEqual(Buffer.of(5, version));
    const name = `version-${version}`;
    await ours('import', '-c', name, `FILE:${path}`);
    await ours('export', '-c', name, `FILE:${path}.out`);
    const shown = async (file: string) => (await asUser('/usr/bin/klist', ['-ef', '-c', file])).replace(file, '');
    expect(await shown(`FILE:${path}.out`)).toBe(await shown(`FILE:${path}`));
    await ours('destroy', '-c', name);
  });
});
