// With path_template the user's directory is where the template says, also where others than root can put things.
import { chownSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, freePort, sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith(['root', 'Linux'], 'path_template', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let directory: string;
  let homes: string;

  beforeAll(() => {
    directory = temporaryDirectory();
    homes = `${directory}/homes`;
    mkdirSync(homes, { mode: 0o755 });
    for (const { name, uid, gid } of [alice, bob]) {
      mkdirSync(`${homes}/${name}`, { mode: 0o755 });
      chownSync(`${homes}/${name}`, uid, gid);
    }
  });

  const ask = async (template: string, { uid }: TestUser) => {
    const { port } = await startLauncher([`--path-template=${template}`, `--directory=${directory}/unused`]);
    return sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${uid}\n`);
  };

  it('has root make it with the rights of the user, and the client find it without asking', async () => {
    const template = `${homes}/%n/ccapi`;
    const own = `${homes}/${alice.name}/ccapi`;
    expect(await ask(template, alice)).toBe(`CCAPI/1 ok path=${own}/S.ccapi\n`);
    const { uid, gid, mode } = statSync(own);
    expect([uid, gid, mode & 0o7777]).toEqual([alice.uid, alice.gid, 0o700]);
    expect(readdirSync(`${homes}/${alice.name}`)).toEqual(['ccapi']);
    expect(existsSync(`${directory}/unused`)).toBe(false);
    const env = { CCAPI_PATH_TEMPLATE: template, CCAPI_PORT: String(await freePort()), CCAPI_AUTOSTART: 'no' };
    const { stdout } = await ccapi(['path'], { uid: alice.uid, gid: alice.gid, env });
    expect(stdout).toBe(`${own}/S.ccapi\n`);
  });

  it("makes it as root where the place is root's", async () => {
    mkdirSync(`${directory}/run`);
    expect(await ask(`${directory}/run/%u`, bob)).toBe(`CCAPI/1 ok path=${directory}/run/${bob.uid}/S.ccapi\n`);
    expect(statSync(`${directory}/run/${bob.uid}`).uid).toBe(bob.uid);
  });

  it('follows no link that was planted in its place', async () => {
    mkdirSync(`${directory}/target`, { mode: 0o700 });
    symlinkSync(`${directory}/target`, `${homes}/${bob.name}/ccapi`);
    expect(await ask(`${homes}/%n/ccapi`, bob)).toContain('error code=insecure');
    const { uid, mode } = statSync(`${directory}/target`);
    expect([uid, mode & 0o777]).toEqual([0, 0o700]);
  });

  it('does nothing behind a link that the user could not do', async () => {
    mkdirSync(`${directory}/closed`, { mode: 0o755 });
    symlinkSync(`${directory}/closed`, `${homes}/${bob.name}/link`);
    symlinkSync('/etc', `${homes}/${bob.name}/etc`);
    for (const link of ['link', 'etc']) {
      // The place behind the link is root's, and the way to it is not.
      expect(await ask(`${homes}/%n/${link}/%u`, bob)).toContain('error code=');
    }
    expect(readdirSync(`${directory}/closed`)).toEqual([]);
    expect(existsSync(`/etc/${bob.uid}`)).toBe(false);
  });
});
