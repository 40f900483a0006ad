// Heimdal's programs, with their socket compiled in, at the front door; and MIT's beside them.
import { beforeAll, expect, inject, it } from 'vitest';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { heimdal } from '../setup/heimdal.ts';
import { ccapi, type Outcome } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith([...frontDoorRequirements, 'heimdal'], "Heimdal's programs at the front door", () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;
  const as = ({ uid, gid }: TestUser, program: string, ...args: string[]): Promise<Outcome> => {
    const { doorDirectory, env, kdc } = machine;
    return heimdal(doorDirectory, program, args, { uid, gid, env, input: `${kdc.password}\n` });
  };
  const h = (program: string, ...args: string[]) => as(alice, program, ...args);
  const mit = (program: string, ...args: string[]): Promise<Outcome> => machine.as(alice, program, ...args);
  const done = async (outcome: Promise<Outcome>) => {
    const { code, stdout, stderr } = await outcome;
    expect([code, stderr]).toEqual([0, '']);
    return stdout;
  };

  beforeAll(async () => {
    machine = await startFrontDoor(['alice', 'bob', 'host/a.test.example', 'host/b.test.example']);
  });

  it('kinit, klist and kgetcred work, and MIT sees the same tickets', async () => {
    await done(h('kinit', 'alice'));
    expect(await done(h('klist'))).toMatch(/Credentials cache: KCM:\d+:\d+\n +Principal: alice@TEST.EXAMPLE/);
    await done(h('kgetcred', 'host/a.test.example'));
    expect(await done(h('klist', '-v'))).toContain('Server: host/a.test.example@TEST.EXAMPLE');
    expect(await done(mit('klist'))).toMatch(/Default principal: alice@TEST.EXAMPLE[\s\S]*host\/a.test.example/);
    expect((await mit('kvno', '--cached-only', 'host/a.test.example')).code).toBe(0);
  });

  it('get on with what MIT stored', async () => {
    await done(mit('kinit', '-c', 'KCM:work', 'bob'));
    expect(await done(h('klist', '-c', 'KCM:work'))).toContain('Principal: bob@TEST.EXAMPLE');
    await done(h('kgetcred', '-c', 'KCM:work', 'host/b.test.example'));
    expect(await done(mit('klist', '-c', 'KCM:work'))).toContain('host/b.test.example@TEST.EXAMPLE');
  });

  it('list and switch among the ccaches of the collection', async () => {
    const listed = await done(h('klist', '-l'));
    expect(listed).toMatch(/^\* +alice@TEST.EXAMPLE/m);
    expect(listed).toMatch(/^ +bob@TEST.EXAMPLE +KCM:work/m);
    await done(h('kswitch', '-p', 'bob@TEST.EXAMPLE'));
    expect(await done(h('klist'))).toContain('Principal: bob@TEST.EXAMPLE');
    expect(await done(mit('klist'))).toContain('Default principal: bob@TEST.EXAMPLE');
  });

  it('kinit into a named ccache makes that the primary, and kinit -R renews it', async () => {
    await done(h('kinit', '-c', 'KCM:named', '--renewable', 'alice'));
    expect(await done(mit('klist'))).toContain('Ticket cache: KCM:named\n');
    await done(h('kinit', '-R'));
    const [named] = JSON.parse((await ccapi(['list', '--json'], { ...alice, env: machine.env })).stdout);
    expect([named.name, named.principal]).toEqual(['named', 'alice@TEST.EXAMPLE']);
  });

  it('take single tickets and whole ccaches away', async () => {
    await done(mit('kvno', 'host/a.test.example', 'host/b.test.example'));
    await done(h('kdestroy', '--credential=host/a.test.example@TEST.EXAMPLE'));
    const left = await done(mit('klist'));
    expect(left).toContain('host/b.test.example');
    expect(left).not.toContain('host/a.test.example');
    await done(h('kdestroy'));
    expect(await done(h('klist', '-l'))).not.toContain('KCM:named');
    await done(h('kdestroy', '-A'));
    expect((await mit('klist', '-A')).stdout).toBe('');
  });

  it('find nothing where there is nothing, and nothing of another user', async () => {
    await done(h('kinit', 'alice'));
    const none = await as(bob, 'klist');
    expect([none.code, none.stdout]).toEqual([1, '']);
    expect(none.stderr).toMatch(/No credentials cache .*found/);
  });
});
