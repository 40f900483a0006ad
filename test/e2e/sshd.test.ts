// A real sshd on loopback: login by the tickets in the user's worker, and tickets that go along.
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, inject, it } from 'vitest';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { ccapi, type Outcome, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { gssapiOnly, sshCommand, startSshd } from '../setup/sshd.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith([...frontDoorRequirements, 'openssh-client', 'openssh-server'], 'ssh with GSSAPI', () => {
  const [user] = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;
  let port: number;
  let home: string;

  beforeAll(async () => {
    machine = await startFrontDoor([user.name, 'host/localhost']);
    const directory = temporaryDirectory();
    home = join(directory, 'home');
    mkdirSync(home, { mode: 0o700 });
    chownSync(home, user.uid, user.gid);
    const keytab = await machine.kdc.keytab('host.keytab', ['host/localhost']);
    port = await startSshd(gssapiOnly, { KRB5_CONFIG: machine.env.KRB5_CONFIG, KRB5_KTNAME: keytab });
  });

  const ssh = (options: string[], command: string): Promise<Outcome> => {
    const [program = '', ...args] = [...sshCommand(port, `${home}/known_hosts`), ...options, 'localhost', command];
    return run(program, args, { uid: user.uid, gid: user.gid, env: { ...machine.env, HOME: home } });
  };

  it('does not let in who has no ticket', async () => {
    expect((await ssh([], 'true')).code).toBe(255);
  });

  it('lets in who has one, and keeps the ticket for the host with the others', async () => {
    expect((await machine.as(user, 'kinit', '-f', user.name)).code).toBe(0);
    expect(await ssh([], 'echo "in, with $KRB5CCNAME"')).toMatchObject({ code: 0, stdout: 'in, with \n' });
    expect((await machine.as(user, 'klist')).stdout).toContain('host/localhost@TEST.EXAMPLE');
  });

  it('takes the tickets along, and what sshd leaves in a file can be taken in over there', async () => {
    const take = `${process.execPath} ${join(import.meta.dirname, '../../dist/ccapi.js')} import -c forwarded`;
    const settings = `KRB5_CONFIG=${machine.env.KRB5_CONFIG} CCAPI_PORT=1`;
    const outcome = await ssh(['-o', 'GSSAPIDelegateCredentials=yes'], `${settings} ${take} "$KRB5CCNAME"`);
    expect(outcome).toMatchObject({ code: 0 });
    const { uid, gid } = user;
    const [listed] = JSON.parse(
      (await ccapi(['list', '--json', '-c', 'forwarded'], { uid, gid, env: machine.env })).stdout,
    );
    expect(listed.principal).toBe(`${user.name}@TEST.EXAMPLE`);
    expect(listed.credentials[0].server).toBe('krbtgt/TEST.EXAMPLE@TEST.EXAMPLE');
    expect((await machine.as(user, 'klist', '-f', '-c', 'KCM:forwarded')).stdout).toMatch(/Flags: Ff/);
  });
});
