// Every way in which people call the stock MIT programs, as a user of a machine with a front door.
import { chownSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { acceptedAs } from '../setup/gssapi.ts';
import { ccapi, type Outcome, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const services = Array.from({ length: 200 }, (_, i) => `svc/${i}.test.example`);

describeWith([...frontDoorRequirements, 'kerberos, built'], 'stock MIT programs at the front door', () => {
  const [user] = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;
  const mit = (program: string, ...args: string[]): Promise<Outcome> => machine.as(user, program, ...args);
  const done = async (program: string, ...args: string[]) => {
    const { code, stdout, stderr } = await mit(program, ...args);
    expect([program, code, stderr]).toEqual([program, 0, '']);
    return stdout;
  };
  const listed = async () => {
    const { uid, gid } = user;
    return JSON.parse((await ccapi(['list', '-A', '--json'], { uid, gid, env: machine.env })).stdout);
  };
  const primary = async () => /Default principal: (\S+)@/.exec((await mit('klist')).stdout)?.[1];

  beforeAll(async () => {
    machine = await startFrontDoor(['alice', 'bob', 'carol', 'host/a.test.example', ...services]);
  });

  beforeEach(async () => {
    expect((await mit('kdestroy', '-A')).code).toBe(0);
  });

  describe('kinit', () => {
    it('takes the lifetime, the renewable time and the flags that it is told', async () => {
      await done('kinit', '-l', '1h', '-r', '2d', '-f', 'alice');
      expect(await done('klist', '-f')).toMatch(/Flags: FRIA?T?A?/);
      const [{ credentials }] = await listed();
      const { starttime, endtime, renewTill } = credentials[0];
      expect((endtime - starttime) / 3600).toBeCloseTo(1, 1);
      expect((renewTill - starttime) / 86_400).toBeCloseTo(2, 1);
    });

    it('stores under a name of any form, and does not switch to it', async () => {
      await done('kinit', 'alice');
      for (const name of ['work', `${user.uid}:more`, `${user.uid}`, '7:x', 'mit spaß']) {
        await done('kinit', '-c', `KCM:${name}`, 'bob');
        expect(await done('klist', '-c', `KCM:${name}`)).toContain(`Ticket cache: KCM:${name}\n`);
      }
      expect((await listed()).map(({ name }: { name: string }) => name)).toEqual([
        `${user.uid}`,
        'work',
        `${user.uid}:more`,
        '7:x',
        'mit spaß',
      ]);
    });

    it('renews', async () => {
      await done('kinit', '-r', '2d', 'alice');
      const [before] = await listed();
      await done('kinit', '-R');
      const [after] = await listed();
      expect(after.name).toBe(before.name);
      expect(after.credentials).toHaveLength(1);
    });

    it('works with a keytab', async () => {
      const keytab = await machine.kdc.keytab('alice.keytab', ['alice']);
      await done('kinit', '-k', '-t', keytab, 'alice');
      expect(await primary()).toBe('alice');
    });

    it('says what the KDC says when the password is wrong, and leaves what is there', async () => {
      await done('kinit', 'alice');
      const keytab = await machine.kdc.keytab('bob.keytab', ['bob']);
      expect((await mit('kinit', '-k', '-t', keytab, 'carol')).code).toBe(1);
      expect(await primary()).toBe('alice');
    });
  });

  it('klist shows it in every way', async () => {
    await done('kinit', '-f', 'alice');
    await done('kinit', '-c', 'KCM:work', 'bob');
    expect(await done('klist', '-l')).toMatch(/alice@TEST.EXAMPLE +KCM:\d+\nbob@TEST.EXAMPLE +KCM:work\n/);
    expect((await done('klist', '-A')).match(/Default principal/g)).toHaveLength(2);
    expect(await done('klist', '-e')).toContain('aes256-cts-hmac-sha1-96');
    expect(await done('klist', '-a')).toContain('Addresses: (none)');
    expect(await done('klist', '-f')).toMatch(/Flags: F/);
    expect(await done('klist', '-C')).toContain('config: pa_type(krbtgt/TEST.EXAMPLE@TEST.EXAMPLE) = 2');
    expect(await done('klist', '-s')).toBe('');
    expect((await mit('klist', '-s', '-c', 'KCM:none')).code).toBe(1);
  });

  it('kvno keeps the tickets for 200 services, and finds each again without the KDC', async () => {
    await done('kinit', 'alice');
    await done('kvno', ...services);
    expect((await done('klist')).match(/svc\/\d+\.test/g)).toHaveLength(200);
    await done('kvno', '--cached-only', ...services);
    const [{ credentials }] = await listed();
    expect(credentials).toHaveLength(201);
  });

  it('kvno finds a ticket for a user-to-user exchange again', async () => {
    await done('kinit', '-c', 'KCM:bob', 'bob');
    await done('kinit', 'alice');
    for (const _ of [1, 2]) await done('kvno', '--u2u', 'KCM:bob', 'bob');
    const [{ credentials }] = await listed();
    expect(credentials.map(({ server }: { server: string }) => server)).toEqual([
      'krbtgt/TEST.EXAMPLE@TEST.EXAMPLE',
      'bob@TEST.EXAMPLE',
    ]);
  });

  it('kswitch switches by principal and by name', async () => {
    await done('kinit', 'alice');
    await done('kinit', 'bob');
    await done('kswitch', '-p', 'alice');
    expect(await primary()).toBe('alice');
    const bobs = /bob@TEST.EXAMPLE +(\S+)/.exec(await done('klist', '-l'))?.[1] as string;
    await done('kswitch', '-c', bobs);
    expect(await primary()).toBe('bob');
    expect((await mit('kswitch', '-p', 'carol')).stderr).toContain('not found while searching for ccache for carol');
  });

  it('kdestroy takes away the primary, one by principal, one by name, and all', async () => {
    for (const [name, principal] of [
      ['a', 'alice'],
      ['b', 'bob'],
      ['c', 'carol'],
      ['d', 'alice'],
    ]) {
      await done('kinit', '-c', `KCM:${name}`, principal as string);
    }
    const names = async () => (await listed()).map(({ name }: { name: string }) => name);
    expect((await mit('kdestroy', '-p', 'bob')).code).toBe(0);
    expect(await names()).toEqual(['a', 'c', 'd']);
    expect((await mit('kdestroy', '-c', 'KCM:d')).code).toBe(0);
    expect(await names()).toEqual(['a', 'c']);
    expect((await mit('kdestroy')).code).toBe(0);
    expect(await names()).toEqual(['c']);
    await done('kdestroy', '-A');
    expect(await names()).toEqual([]);
  });

  it('a name that was destroyed is gone, also that of the first ccache, while another one is the default', async () => {
    await done('kinit', 'alice');
    await done('kinit', '-c', 'KCM:other', 'bob');
    await done('kdestroy', '-c', `KCM:${user.uid}`);
    expect((await mit('klist', '-s', '-c', `KCM:${user.uid}`)).code).toBe(1);
    expect(await primary()).toBe('bob');
  });

  it('klist names what ccapi has imported as a shell can take it up', async () => {
    const file = `${mkdtempSync(join(machine.doorDirectory, '../home-'))}/file`;
    chownSync(join(file, '..'), user.uid, user.gid);
    await done('kinit', '-c', `FILE:${file}`, 'alice');
    const { uid, gid } = user;
    expect((await ccapi(['import', `FILE:${file}`], { uid, gid, env: machine.env })).code).toBe(0);
    const line = `KRB5CCNAME=$(klist | awk '/Ticket cache/ {print $3}'); export KRB5CCNAME; echo "$KRB5CCNAME"; klist`;
    const { code, stdout } = await run('/bin/sh', ['-c', line], { uid, gid, env: machine.env });
    expect([code, stdout.split('\n')[0]]).toEqual([0, `KCM:${uid}`]);
    expect(stdout).toContain('Default principal: alice@TEST.EXAMPLE');
  });

  it('GSSAPI takes the ccache that .k5identity chooses, else the primary', async () => {
    const keytab = await machine.kdc.keytab('host.keytab', ['host/a.test.example']);
    const home = mkdtempSync(join(machine.doorDirectory, '../home-'));
    chownSync(home, user.uid, user.gid);
    const accepted = () => acceptedAs('host@a.test.example', { ...user, env: { ...machine.env, HOME: home }, keytab });
    await done('kinit', 'alice');
    await done('kinit', 'bob');
    expect(await accepted()).toBe('bob@TEST.EXAMPLE');
    writeFileSync(join(home, '.k5identity'), 'alice@TEST.EXAMPLE service=host host=*.test.example\n');
    expect(await accepted()).toBe('alice@TEST.EXAMPLE');
  });
});
