// What a person asks of the server itself: how it is, what its settings are, that it drops what has expired, that it ends.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { settingNameInFile, settingNames } from '../../etc/config/settings-table.ts';
import { credentialFor } from '../server/model/model.ts';
import { eventually, memory, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, programs, type RunOptions, sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const uid = process.getuid?.() as number;
let base: string;
let env: NodeJS.ProcessEnv;
const command = (...args: string[]) => ccapi(args, { env });
const open = () =>
  new Context({
    env: cleanEnvironment(env),
    launcher: [process.execPath, programs.launcher, `--directory=${base}`],
  });

beforeAll(() => {
  const directory = temporaryDirectory(memory);
  base = `${directory}/run`;
  mkdirSync(base);
  const krb5Conf = `${directory}/krb5.conf`;
  writeFileSync(
    krb5Conf,
    `[ccapi]\n directory = ${base}\n idle_timeout = 5m\n deny = nobody-such @nogroup\n deny = 4000000000\n`,
  );
  env = { CCAPI_PORT: '1', KRB5_CONFIG: krb5Conf, CCAPI_RSH: 'ssh -v' };
});

describe('status', () => {
  it('says that none runs, and starts none', async () => {
    expect(await command('status')).toEqual({ code: 1, stdout: 'no server runs\n', stderr: '' });
    expect(await command('status', '--json')).toEqual({ code: 1, stdout: 'null\n', stderr: '' });
    expect(existsSync(`${base}/${uid}`)).toBe(false);
  });

  it('shows how it is, and does not count as a request', async () => {
    await using context = open();
    const ccache = await context.createCCache('a', 'alice@R');
    for (const service of ['s@R', 't@R']) await ccache.storeCredentials(credentialFor(service));
    const [pid] = workersBelow(base);
    const connected = JSON.parse((await command('status', '--json')).stdout);
    expect(connected).toMatchObject({
      path: `${base}/${uid}/S.ccapi`,
      pid,
      ccaches: 1,
      credentials: 2,
      connections: 1,
      requests: { contextCreateCCache: 1, ccacheStoreCredentials: 2 },
      keptIn: `${base}/${uid}/caches`,
    });
    expect(connected.started * 1000).toBeGreaterThan(Date.now() - 60_000);
    // Node's own pages, which are all of its processes', are not counted.
    const resident = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    expect(connected.memory).toBeGreaterThan(1e6);
    expect(connected.memory).toBeLessThan((Number(resident) * 1024) / 2);
    expect(connected.leavesIn).toBeUndefined();
    await context.close();
    await eventually(async () => JSON.parse((await command('status', '--json')).stdout).connections === 0);
    const alone = JSON.parse((await command('status', '--json')).stdout);
    expect(alone.requests).toEqual(connected.requests);
    expect(alone.leavesIn).toBeGreaterThan(200);
    expect(alone.leavesIn).toBeLessThanOrEqual(300);
    const { stdout } = await command('status');
    expect(stdout).toMatch(/^holds {8}1 ccaches, 2 credentials$/m);
    expect(stdout).toMatch(/^leaves {7}in [45] min without a request$/m);
    expect(stdout).toMatch(/^ {9}2 {2}ccacheStoreCredentials$/m);
  });

  it('shows the servers of all users', async () => {
    const servers = JSON.parse((await command('status', '--all-users', '--json')).stdout);
    const [pid] = workersBelow(base);
    const path = `${base}/${uid}/S.ccapi`;
    const status = expect.objectContaining({ pid, ccaches: 1, credentials: 2 });
    expect(servers).toContainEqual({ uid, pid, memory: expect.any(Number), path, status });
    expect((await command('status', '--all-users')).stdout).toMatch(
      new RegExp(`^uid ${uid}  pid ${pid}  [\\d.]+ MB  1 ccaches, 2 credentials  0 connections  .*  ${path}$`, 'm'),
    );
  });
});

describeWith(['root', 'Linux'], "another user's server", () => {
  it('is shown in detail to root, and to others as what it is', async () => {
    const [alice, bob] = inject('users') as [TestUser, TestUser];
    const { port } = await startLauncher([`--directory=${temporaryDirectory(memory)}/run`]);
    const path = (await sendBytes({ host: '127.0.0.1', port }, `${alice.uid}\n`)).trim();
    const seen = async (options: RunOptions) => {
      const { stdout } = await ccapi(['status', '--all-users', '--json'], options);
      return JSON.parse(stdout).find((server: { uid: number }) => server.uid === alice.uid);
    };
    expect(await seen({ env })).toMatchObject({ path, status: { ccaches: 0 } });
    const others = await seen({ env, uid: bob.uid, gid: bob.gid });
    expect([others.pid > 0, others.status]).toEqual([true, undefined]);
  });

  it('may be something that only looks like one', async () => {
    const [alice] = inject('users') as [TestUser, TestUser];
    const args = ['-e', 'setInterval(() => {}, 1e6)', '/x/ccapi-server.js', '--directory=/x', '--path-template=x'];
    const { pid } = start(process.execPath, args, {
      uid: alice.uid,
      gid: alice.gid,
      env: cleanEnvironment(),
      cwd: '/',
    });
    await eventually(async () => {
      const servers = JSON.parse((await ccapi(['status', '--all-users', '--json'], { env })).stdout);
      return servers.some((server: { pid: number; status?: object }) => server.pid === pid && !server.status);
    });
  });
});

it('purge removes what has expired, and the ccaches of which nothing is left', async () => {
  await using context = open();
  const mixed = await context.createCCache('mixed', 'alice@R');
  const gone = await context.createCCache('gone', 'bob@R');
  const past = Math.floor(Date.now() / 1000) - 60;
  await mixed.storeCredentials(credentialFor('old@R', past));
  await mixed.storeCredentials(credentialFor('young@R', past + 3600));
  await mixed.storeCredentials(credentialFor('endless@R', 0));
  await gone.storeCredentials(credentialFor('old@R', past));
  expect((await command('purge')).stdout).toBe('2 expired tickets removed\n');
  expect((await command('purge')).stdout).toBe('0 expired tickets removed\n');
  const listed = JSON.parse((await command('list', '-A', '--json')).stdout) as {
    name: string;
    credentials: { server: string }[];
  }[];
  expect(listed.map(({ name, credentials }) => [name, credentials.map(({ server }) => server)])).toEqual([
    ['a', ['s@R', 't@R']],
    ['mixed', ['young@R', 'endless@R']],
  ]);
});

it('purge says as JSON what has gone of which ccache', async () => {
  await using context = open();
  const past = Math.floor(Date.now() / 1000) - 60;
  const mixed = await context.openCCache('mixed');
  const gone = await context.createCCache('gone', 'bob@R');
  for (const server of ['old@R', 'older@R']) await mixed.storeCredentials(credentialFor(server, past));
  await gone.storeCredentials(credentialFor('old@R', past));
  const { stdout } = await command('purge', '--json');
  expect(JSON.parse(stdout)).toEqual([
    { principal: 'alice@R', name: 'mixed', removed: 2, destroyed: false },
    { principal: 'bob@R', name: 'gone', removed: 1, destroyed: true },
  ]);
  expect(await command('purge', '--json')).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
});

it('stop ends it, and the next one has what it kept', async () => {
  const [pid] = workersBelow(base);
  expect(await command('stop')).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(workersBelow(base)).toEqual([]);
  expect(await command('stop')).toEqual({ code: 0, stdout: '', stderr: '' });
  expect((await command('list', '-c', 'mixed', '--json')).code).toBe(0);
  expect(workersBelow(base)).not.toEqual([pid]);
});

it('config shows every setting and where it was set', async () => {
  const listed = JSON.parse((await command('config', '--json')).stdout) as {
    key: string;
    value: string;
    where: string;
  }[];
  expect(listed.map(({ key }) => key)).toEqual(settingNames.map(settingNameInFile));
  const said = (key: string) => {
    const { running: _, ...setting } = listed.find((one) => one.key === key) as Record<string, unknown>;
    return setting;
  };
  expect(said('idle_timeout')).toEqual({ key: 'idle_timeout', value: '300', where: `${env.KRB5_CONFIG}:3` });
  expect(said('deny')).toEqual({
    key: 'deny',
    value: 'nobody-such @nogroup 4000000000',
    where: `${env.KRB5_CONFIG}:4, ${env.KRB5_CONFIG}:5`,
  });
  expect(said('port')).toEqual({ key: 'port', value: '1', where: 'CCAPI_PORT' });
  expect(said('rsh')).toEqual({ key: 'rsh', value: 'ssh -v', where: 'CCAPI_RSH' });
  expect(said('autostart')).toEqual({ key: 'autostart', value: 'yes', where: 'default' });
  expect((await command('config')).stdout).toMatch(/^persist = auto +# default$/m);
});

it('config --check names what no database has, and what is no setting', async () => {
  const check = await command('config', '--check');
  expect(check).toMatchObject({
    code: 1,
    stdout: 'deny: nobody-such: no database has this name; correct it in krb5.conf\n',
  });
  const fine = `${env.KRB5_CONFIG}.fine`;
  writeFileSync(fine, '[ccapi]\n allow = root @daemon\n');
  expect(await ccapi(['config', '--check'], { env: { ...env, KRB5_CONFIG: fine } })).toMatchObject({
    code: 0,
    stdout: 'the settings are fine\n',
  });
  writeFileSync(fine, '[ccapi]\n idle_timeuot = 5m\n');
  const wrong = await ccapi(['config', '--check'], { env: { ...env, KRB5_CONFIG: fine } });
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining(`${fine}:2: idle_timeuot`) });
});
