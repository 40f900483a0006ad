// OpenSSH forwards a worker's socket in either direction, so that klist there shows the tickets here, and ccapi here
// those there. No ccapi is needed at the end that the socket is forwarded to.
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { writeCCacheFile } from '../../proto/ccache-file.ts';
import { fromCredentialV5 } from '../../proto/krb5-credential.ts';
import { credentialFor } from '../server/model/model.ts';
import { end, eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, run, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { startSshd } from '../setup/sshd.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith(['root', 'Linux', 'openssh-server', 'krb5-user'], 'a socket that ssh forwards', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let homes: Record<'alice' | 'bob', string>;
  let ssh: string[];

  beforeAll(async () => {
    const directory = temporaryDirectory();
    const home = (name: string, { uid, gid }: TestUser) => {
      mkdirSync(`${directory}/${name}`, { mode: 0o700 });
      chownSync(`${directory}/${name}`, uid, gid);
      return `${directory}/${name}`;
    };
    homes = { alice: home('alice', alice), bob: home('bob', bob) };
    await succeed('/usr/bin/ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', `${homes.alice}/key`], alice);
    writeFileSync(`${directory}/authorized_keys`, readFileSync(`${homes.alice}/key.pub`));
    const port = await startSshd([`AuthorizedKeysFile ${directory}/authorized_keys`]);
    const options = ['BatchMode=yes', 'StrictHostKeyChecking=no', `UserKnownHostsFile=${homes.alice}/known`];
    ssh = ['-F', '/dev/null', '-i', `${homes.alice}/key`, ...options.flatMap((option) => ['-o', option])];
    ssh = [...ssh, '-N', '-p', String(port), '-l', bob.name, '127.0.0.1', '-o', 'ExitOnForwardFailure=yes'];
  });

  const settingsOf = (who: 'alice' | 'bob') => ({
    CCAPI_DIRECTORY: `${homes[who]}/run`,
    CCAPI_PORT: '1',
    HOME: homes[who],
  });

  /** A worker of the user's with a ticket; returns the path of its socket. */
  async function holding(who: 'alice' | 'bob', user: TestUser): Promise<string> {
    const credential = fromCredentialV5({ ...credentialFor('host/a@R', 4_000_000_000), client: `${who}@R` });
    const file = `${homes[who]}/tickets`;
    writeFileSync(file, writeCCacheFile({ otherTags: [], principal: credential.client, credentials: [credential] }));
    chownSync(file, user.uid, user.gid);
    const options = { ...user, env: settingsOf(who) };
    expect(await ccapi(['import', `FILE:${file}`], options)).toMatchObject({ code: 0, stderr: '' });
    return (await ccapi(['path'], options)).stdout.trim();
  }

  async function forwarding(
    direction: '-L' | '-R',
    at: string,
    to: string,
    action: () => Promise<void>,
  ): Promise<void> {
    const { uid, gid } = alice;
    const args = [direction, `${at}:${to}`, ...ssh];
    const child = start('/usr/bin/ssh', args, { uid, gid, env: cleanEnvironment(), stdio: 'ignore' });
    await eventually(() => existsSync(at));
    await action();
    await end(child);
  }

  it('-R: klist over there shows the tickets here', async () => {
    const forwarded = `${homes.bob}/S.from-afar`;
    await forwarding('-R', forwarded, await holding('alice', alice), async () => {
      const krb5Conf = `${homes.bob}/krb5.conf`;
      writeFileSync(krb5Conf, `[libdefaults]\n default_ccache_name = KCM:\n kcm_socket = ${forwarded}\n`, {
        mode: 0o644,
      });
      const { uid, gid } = bob;
      const { stdout, stderr } = await run('/usr/bin/klist', [], { uid, gid, env: { KRB5_CONFIG: krb5Conf } });
      expect(stderr).toBe('');
      expect(stdout).toMatch(/Default principal: alice@R\n[\s\S]*host\/a@R/);
    });
  });

  it('-L: our command here shows the tickets there', async () => {
    const forwarded = `${homes.alice}/S.over-there`;
    await forwarding('-L', forwarded, await holding('bob', bob), async () => {
      const { uid, gid } = alice;
      const { stdout } = await ccapi(['list'], { uid, gid, env: { CCAPI_SERVER: `unix://${forwarded}` } });
      expect(stdout).toMatch(/Default principal: bob@R\n[\s\S]*host\/a@R/);
    });
  });
});
