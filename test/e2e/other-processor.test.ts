// The package as it is made here, installed where the processor is another one: compiled code of this one would kill Node.
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { arm64Node, arm64Packages, startArm64 } from '../setup/arm64.ts';
import {
  afterwards,
  endWorkersBelow,
  eventually,
  hasEnded,
  memory,
  temporaryDirectory,
  workersBelow,
} from '../setup/cleanup.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { cleanEnvironment, freePort, type Outcome, run, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const repository = join(import.meta.dirname, '../..');
const needs = [
  'root',
  'Linux',
  'qemu',
  'arm64',
  'Node for arm64',
  'krb5-user',
  'krb5-kdc',
  'krb5-admin-server',
] as const;

describeWith([...needs], 'packed here and installed on arm64', () => {
  const [alice] = inject('users') as [TestUser, TestUser];
  let kdc: Kdc;
  let dist: string;
  let base: string;
  let inside: string[];
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    kdc = await startKdc(['alice']);
    const directory = temporaryDirectory();
    await succeed('/bin/sh', ['-c', `cd "$0" && npm pack --pack-destination "$1"`, repository, directory], {
      env: { PATH: process.env.PATH },
    });
    const archive = readdirSync(directory).find((name) => name.endsWith('.tgz')) as string;
    const offline = ['--offline', '--cache', `${directory}/cache`, '--os=linux', '--cpu=arm64'];
    const install = ['install', '-g', ...offline, '--prefix', directory, `${directory}/${archive}`];
    await succeed('/usr/bin/env', ['npm', ...install], { env: { PATH: process.env.PATH } });
    const installed = `${directory}/lib/node_modules/ccapi`;
    // What npm leaves out without a network.
    for (const name of ['koffi', '@koromix']) {
      cpSync(`${arm64Packages}/${name}`, `${installed}/node_modules/${name}`, { recursive: true });
    }
    [dist, base] = [`${installed}/dist`, `${temporaryDirectory(memory)}/run`];
    const settings = `[ccapi]\n port = ${await freePort()}\n directory = ${base}\n`;
    writeFileSync(`${directory}/krb5.conf`, `${settings}${readFileSync(kdc.krb5Conf, 'utf8')}`);
    env = cleanEnvironment({ KRB5_CONFIG: '/etc/krb5.conf', CCAPI_AUTOSTART: 'no' });
    inside = await startArm64(`
# What another program removes meanwhile is no fault.
cp -a /etc /run/etc 2>/dev/null || :
mount --bind /run/etc /etc
rm -rf /etc/krb5.conf.d /etc/inetd.conf
cp ${directory}/krb5.conf /etc/krb5.conf`);
    afterwards(() => endWorkersBelow(base));
  });

  const asRoot = (...command: string[]): Promise<Outcome> => {
    const [program = '', ...words] = inside;
    return run(program, [...words, ...command], { env, input: `${kdc.password}\n` });
  };
  const there = (...command: string[]): Promise<Outcome> =>
    asRoot('setpriv', `--reuid=${alice.uid}`, `--regid=${alice.gid}`, '--clear-groups', ...command);

  it('has no use for what was compiled here', async () => {
    expect(readFileSync(`${dist}/ccapi.bundle.js.compiled`, 'latin1')).toMatch(`compiled linux ${process.arch} `);
    for (const name of ['ccapi', 'ccapi-launcher', 'ccapi-server']) {
      const { code, stdout } = await there(arm64Node, `${dist}/${name}.js`, '--version');
      expect([code, stdout]).toEqual([
        0,
        expect.stringMatching(/^ccapi\S* .*\(Node v.*, linux arm64, with koffi\)\n$/),
      ]);
    }
  });

  it('is set up by its own command, which compiles it for this processor', async () => {
    const { stdout, stderr } = await asRoot(arm64Node, `${dist}/ccapi-launcher.js`, 'setup', '--yes');
    expect([stdout, stderr]).toEqual([expect.stringMatching(/\/init\.d\/openbsd-inetd start\n[\s\S]*\nset up\. /), '']);
    for (const name of ['ccapi', 'ccapi-launcher', 'ccapi-server']) {
      expect(readFileSync(`${dist}/${name}.bundle.js.compiled`, 'latin1')).toMatch('compiled linux arm64 ');
    }
  });

  it('stock programs come through the front door to a server there, also after it was killed', async () => {
    expect(await there('kinit', 'alice')).toMatchObject({ code: 0, stderr: '' });
    expect((await there('klist')).stdout).toContain('Default principal: alice@TEST.EXAMPLE');
    const [worker] = workersBelow(base) as [number];
    process.kill(worker, 'SIGKILL');
    await eventually(() => hasEnded(worker));
    expect((await there('klist')).stdout).toContain('Default principal: alice@TEST.EXAMPLE');
    expect(workersBelow(base)).not.toContain(worker);
  });

  it('programs of ours find the same tickets', async () => {
    expect((await there(arm64Node, `${dist}/ccapi.js`, 'list')).stdout).toContain('alice@TEST.EXAMPLE');
  });
});
