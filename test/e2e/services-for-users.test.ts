// Services of root's that act for users: each finds the tickets of the user in the server, or keeps its own there.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { beforeAll, expect, inject, it } from 'vitest';
import { startApache } from '../setup/apache.ts';
import { afterwards, eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { unpackedPrograms } from '../setup/debian-packages.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { cleanEnvironment, run, succeed } from '../setup/programs.ts';
import { describeWith, type Requirement } from '../setup/requirements.ts';
import { startSystemLog } from '../setup/system-log.ts';
import type { TestUser } from '../setup/test-users.ts';

/** The host of the services; the kernel's part is played here, since no test may mount anything machine-wide. */
const SERVER = 'files.test.example';
const web: Requirement[] = ['apache2-bin', 'libapache2-mod-auth-gssapi', 'curl'];
const needs: Requirement[] = ['gssproxy', 'nfs-common', 'cifs-utils', 'keyutils', 'socat', ...web];

describeWith([...frontDoorRequirements, ...needs], 'with the front door', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;
  let keytab: string;
  const klist = async (user: TestUser | undefined) => (await machine.as(user, 'klist', '-A')).stdout;

  beforeAll(async () => {
    machine = await startFrontDoor(['alice', 'bob', `nfs/${SERVER}`, `cifs/${SERVER}`, 'HTTP/localhost']);
    keytab = await machine.kdc.keytab('http', ['HTTP/localhost']);
    expect((await machine.as(alice, 'kinit', '-f', 'alice')).code).toBe(0);
  });

  const serve = (...lines: string[]) =>
    startApache(keytab, { KRB5_CONFIG: machine.env.KRB5_CONFIG, KRB5RCACHENAME: 'none:' }, lines);
  /** The headers of a page that asks for a ticket. */
  const get = async ({ uid, gid }: TestUser, port: number, env: NodeJS.ProcessEnv = {}, ...args: string[]) => {
    const words = ['-sSI', '--negotiate', '-u', ':', ...args, `http://localhost:${port}/`];
    return (await run('/usr/bin/curl', words, { uid, gid, env: { ...machine.env, ...env } })).stdout;
  };

  it('rpc.gssd, asked for a user, has that user’s ticket', async () => {
    const { directory, libraries } = unpackedPrograms('nfs-common');
    const pipes = temporaryDirectory();
    const mount = `${pipes}/nfs/clnt0`;
    mkdirSync(mount, { recursive: true });
    let asked = () => {};
    const token = new Promise<void>((resolve) => {
      asked = resolve;
    });
    // What the ticket is for is sent to it, and that is enough.
    const server = createServer((socket) =>
      socket.on('error', () => {}).once('data', () => socket.destroy(void asked())),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    afterwards(() => void server.close());
    const { port } = server.address() as { port: number };
    const info = [`RPC server: ${SERVER}`, 'service: nfs (100003) version 4', 'address: 127.0.0.1', 'protocol: tcp'];
    writeFileSync(`${mount}/info`, [...info, `port: ${port}`, ''].join('\n'));
    await succeed('/usr/bin/mkfifo', [`${mount}/gssd`]);
    const env = cleanEnvironment({ ...machine.env, LD_LIBRARY_PATH: libraries });
    start(`${directory}/usr/sbin/rpc.gssd`, ['-f', '-p', pipes], { env, stdio: 'ignore' });
    await succeed('/bin/sh', ['-c', `echo "mech=krb5 uid=${alice.uid} enctypes=18,17" > ${mount}/gssd`]);
    await token;
    expect(await klist(alice)).toContain(`nfs/${SERVER}`);
  });

  it('cifs.upcall, asked for a user, has that user’s ticket, and for one without has none', async () => {
    const { directory, libraries } = unpackedPrograms('cifs-utils');
    const env = { ...machine.env, LD_LIBRARY_PATH: libraries };
    const ask = async ({ uid }: TestUser) => {
      const log = await startSystemLog();
      const [program = '', ...wrapper] = log.wrapper;
      const number = `0x${uid.toString(16)}`;
      const key = `ver=0x2;host=${SERVER};ip4=127.0.0.1;sec=krb5;uid=${number};creduid=${number};pid=0x${process.pid.toString(16)}`;
      const upcall = `exec "$0" $(keyctl add user "${key}" - @s)`;
      const args = ['keyctl', 'session', '-', 'sh', '-c', upcall, `${directory}/usr/sbin/cifs.upcall`];
      await run(program, [...wrapper, ...args], { env });
      await eventually(() => log.text().includes('Exit status'));
      return log.text();
    };
    const said = await ask(alice);
    expect(said).toContain('obtained service ticket');
    // Only a key that the kernel has asked for can be given what was found.
    expect(said).toContain('keyctl_instantiate: Operation not permitted');
    expect(await klist(alice)).toContain(`cifs/${SERVER}`);
    expect(await ask(bob)).not.toContain('obtained service ticket');
  });

  it('gssproxy keeps what it fetches in root’s server, and gives it to a user without one', async () => {
    const { directory, libraries } = unpackedPrograms('gssproxy');
    const place = temporaryDirectory();
    const lines = ['[gssproxy]', '[service/web]', 'mechs = krb5', `socket = ${place}/socket`, `euid = ${alice.uid}`];
    lines.push(`cred_store = client_keytab:${await machine.kdc.keytab('bob', ['bob'])}`);
    lines.push('cred_store = ccache:KCM:client_%U', 'cred_usage = initiate', '');
    writeFileSync(`${place}/gssproxy.conf`, lines.join('\n'));
    const plugin = `${libraries}/gssproxy/proxymech.so`;
    writeFileSync(`${place}/mech`, `gssproxy_v1 2.16.840.1.113730.3.8.15.1 ${plugin} <interposer>\n`);
    start(`${directory}/usr/sbin/gssproxy`, ['-i', '-c', `${place}/gssproxy.conf`, '-s', `${place}/other`], {
      env: cleanEnvironment({ ...machine.env, LD_LIBRARY_PATH: libraries }),
      stdio: 'ignore',
    });
    await eventually(async () => (await run('/usr/bin/test', ['-S', `${place}/socket`])).code === 0);
    const port = await serve();
    const env = { GSS_USE_PROXY: 'yes', GSSPROXY_SOCKET: `${place}/socket`, GSS_MECH_CONFIG: `${place}/mech` };
    const ownFirst = { ...env, GSSPROXY_BEHAVIOR: 'LOCAL_FIRST' };
    expect(await get(alice, port, ownFirst)).toContain('X-Principal: alice@');
    expect(await get(alice, port, env)).toContain('X-Principal: bob@');
    expect(await klist(undefined)).toMatch(/^Ticket cache: KCM:client_\d+\nDefault principal: bob@/m);
    expect(await get(bob, port, env)).not.toContain('X-Principal');
    // What it leaves with the user is sealed for gssproxy alone, and is the default ccache from then on.
    const left = await machine.as(alice, 'klist');
    expect(left.stdout).toMatch(/^Default principal: bob@.* Encrypted\/Credentials\/v1@X-GSSPROXY:$/ms);
    await machine.as(alice, 'kdestroy');
    expect((await machine.as(alice, 'klist')).stdout).toContain('Default principal: alice@');
    await machine.as(alice, 'kdestroy');
    expect(await get(alice, port, ownFirst)).toContain('X-Principal: bob@');
    expect((await machine.as(alice, 'kinit', '-f', 'alice')).code).toBe(0);
  });

  it('Apache needs no ticket of its own, and names a file of what a client delegates', async () => {
    const place = temporaryDirectory();
    const nobody = { uid: 65_534, gid: 65_534, name: 'nobody' };
    await succeed('/usr/bin/install', ['-d', '-o', 'nobody', '-m', '700', `${place}/delegated`]);
    const port = await serve(
      ` GssapiDelegCcacheDir ${place}/delegated`,
      ' Header set X-CCache "expr=%{reqenv:KRB5CCNAME}"',
    );
    const headers = await get(alice, port, {}, '--delegation', 'always');
    expect(headers).toContain('X-Principal: alice@');
    const [, ccache = ''] = /^X-CCache: (FILE:\S+)/m.exec(headers) ?? [];
    expect((await machine.as(nobody, 'klist', ccache)).stdout).toContain('Default principal: alice@');
    expect((await machine.as(nobody, 'klist', '-s')).code).toBe(1);
  });
});
