// The same commands over a real sshd, where the tickets are another user's: ssh:// with a banner, a far ccapi outside
// PATH, and everything that can go wrong on the way there.
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { writeCCacheFile } from '../../proto/ccache-file.ts';
import { fromCredentialV5 } from '../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { credentialFor } from '../server/model/model.ts';
import { end, eventually, memory, processesOf, start, temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, type Outcome, programs, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { startSshd } from '../setup/sshd.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith(['root', 'Linux', 'openssh-server'], 'ssh://', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let directory: string;
  let far: string;
  let uri: string;
  let rsh: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    directory = temporaryDirectory();
    // Alice's programs here, bob's tickets over there.
    const home = join(directory, 'home');
    mkdirSync(home, { mode: 0o700 });
    chownSync(home, alice.uid, alice.gid);
    await succeed('/usr/bin/ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', `${home}/key`], alice);
    writeFileSync(`${directory}/authorized_keys`, readFileSync(`${home}/key.pub`));
    far = join(directory, "it's ccapi");
    const base = temporaryDirectory(memory);
    mkdirSync(`${base}/run`, { mode: 0o700 });
    chownSync(`${base}/run`, bob.uid, bob.gid);
    const settings = `CCAPI_DIRECTORY=${base}/run CCAPI_PORT=1 KRB5_CONFIG=/nonexistent`;
    writeFileSync(far, `#!/bin/sh\nexec env ${settings} ${process.execPath} ${programs.ccapi} "$@"\n`, { mode: 0o755 });
    const port = await startSshd([
      `AuthorizedKeysFile ${directory}/authorized_keys`,
      // What a login shell says before it does what it is told, in the place of one.
      `ForceCommand echo "Welcome to the far side"; echo; eval "$SSH_ORIGINAL_COMMAND"`,
    ]);
    uri = `ssh://${bob.name}@127.0.0.1:${port}${far}`;
    rsh = `ssh -F /dev/null -i ${home}/key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=${home}/known`;
    env = { HOME: home, CCAPI_RSH: rsh, CCAPI_SERVER: uri, CCAPI_AUTOSTART: 'no' };
  });

  const here = (...args: string[]): Promise<Outcome> => ccapi(args, { uid: alice.uid, gid: alice.gid, env });
  const at = (server: string, ...args: string[]) =>
    ccapi(args, { uid: alice.uid, gid: alice.gid, env: { ...env, CCAPI_SERVER: server } });

  function file(name: string, services: string[]): string {
    const client = parsePrincipal('bob@R');
    const credentials = services.map((service) => ({ ...fromCredentialV5(credentialFor(service)), client }));
    const path = join(directory, name);
    writeFileSync(path, writeCCacheFile({ otherTags: [], principal: client, credentials }), { mode: 0o644 });
    return `FILE:${path}`;
  }

  it('takes tickets in over there, lists, switches, moves and destroys them', async () => {
    const services = Array.from({ length: 300 }, (_, i) => `host/${i}@R`);
    expect(await here('import', '-c', 'far', file('tickets', services))).toMatchObject({ code: 0, stderr: '' });
    const [listed] = JSON.parse((await here('list', '--json')).stdout);
    expect([listed.name, listed.credentials.length]).toEqual(['far', 300]);
    expect((await here('import', '-c', 'second', file('more', ['x@R']))).code).toBe(0);
    expect((await here('switch', '-c', 'second')).code).toBe(0);
    expect((await here('move', 'far', 'second')).code).toBe(0);
    expect(JSON.parse((await here('list', '-A', '--json')).stdout)).toMatchObject([{ name: 'second' }]);
    expect(await here('destroy', '-A')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('brings changes as they happen', async () => {
    const watching = start(process.execPath, [programs.ccapi, 'watch'], {
      uid: alice.uid,
      gid: alice.gid,
      env: cleanEnvironment(env),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    watching.stdout?.on('data', (chunk) => (printed += chunk));
    await here('import', '-c', 'seen', file('seen', ['x@R']));
    await eventually(() => printed.includes('created KCM:seen (bob@R)'));
    await end(watching, 'SIGKILL');
    // The watcher is gone, and so is the ssh that it had.
    await eventually(() => processesOf('ssh', `UserKnownHostsFile=${directory}`).length === 0);
    await here('destroy', '-A');
  });

  describe('copy', () => {
    it('brings tickets there and back, into the ccache of the same principal', async () => {
      const local = temporaryDirectory();
      chownSync(local, alice.uid, alice.gid);
      const own = {
        ...env,
        CCAPI_SERVER: '',
        CCAPI_AUTOSTART: 'yes',
        CCAPI_PORT: '1',
        CCAPI_DIRECTORY: `${local}/run`,
      };
      const asAlice = (...args: string[]) => ccapi(args, { uid: alice.uid, gid: alice.gid, env: own });
      expect((await asAlice('import', file('copied', ['a@R', 'b@R']))).code).toBe(0);
      for (let i = 0; i < 2; i++) {
        const { code, stdout, stderr } = await asAlice('copy', '--all', '.', uri);
        expect([code, stderr]).toEqual([0, '']);
        expect(stdout).toContain('bob@R: 2 credentials are now in KCM:');
      }
      expect(JSON.parse((await here('list', '-A', '--json')).stdout)).toHaveLength(1);
      expect((await asAlice('destroy', '-A')).code).toBe(0);
      expect((await asAlice('copy', uri, '.')).code).toBe(0);
      expect((await asAlice('copy', '-c', 'no such', uri, '.')).stderr).toContain('there is no ccache "no such"');
      expect((await asAlice('copy', '.', 'elsewhere')).code).toBe(2);
      const [listed] = JSON.parse((await asAlice('list', '--json')).stdout);
      expect([listed.principal, listed.credentials.length]).toEqual(['bob@R', 2]);
      await here('destroy', '-A');
    });
  });

  describe('says what is wrong', () => {
    it.each([
      ['a login that fails', () => uri.replace(bob.name, 'nobody-there'), /the login failed: .*Permission denied/s],
      ['no listener', () => uri.replace(/:\d+/, ':1'), /the login failed: .*Connection refused/s],
      ['a ccapi that is not there', () => uri.replace(/\/[^/]*$/, '/nothing'), /there is no \S+\/nothing over there/],
      ['a ccapi that refuses', () => uri.replace(/:(\d+)\/.*/, ':$1/bin/false'), /ccapi over there ended with 1/],
    ])('%s', async (_, server, message) => {
      const { code, stdout, stderr } = await at(server(), 'list');
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(message);
    });

    it('no ssh', async () => {
      const options = { uid: alice.uid, gid: alice.gid, env: { ...env, CCAPI_RSH: '/no/such/ssh' } };
      expect((await ccapi(['list'], options)).stderr).toContain('/no/such/ssh could not be run');
    });
  });

  it('a connection that breaks in the middle of a store is an error, and there is nothing of it', async () => {
    await here('import', '-c', 'broken', file('broken', ['first@R']));
    const large = { ...credentialFor('large@R'), ticket: { type: 0, data: Buffer.alloc(1_000_000) } };
    await using context = new Context({ env: { ...process.env, CCAPI_SERVER: uri, CCAPI_RSH: cutOffAfter(300_000) } });
    const ccache = await context.openCCache('broken');
    await expect(ccache.storeCredentials(large)).rejects.toThrow('connection to the credential-cache server was lost');
    expect(JSON.parse((await here('list', '-c', 'broken', '--json')).stdout)).toMatchObject([
      { credentials: [{ server: 'first@R' }] },
    ]);
    await here('destroy', '-A');
  });

  it('a copy that breaks off leaves nothing over there', async () => {
    await here('import', '-c', 'kept', file('kept', ['first@R']));
    const services = Array.from({ length: 3000 }, (_, i) => `host/${i}@R`);
    const cut = { uid: alice.uid, gid: alice.gid, env: { ...env, CCAPI_RSH: cutOffAfter(300_000) } };
    const { code, stdout, stderr } = await ccapi(['import', file('many', services)], cut);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('lost');
    const listed = async () => JSON.parse((await here('list', '-A', '--json')).stdout);
    await eventually(async () => (await listed()).length === 1);
    expect(await listed()).toMatchObject([{ name: 'kept', credentials: [{ server: 'first@R' }] }]);
    await here('destroy', '-A');
  });

  /** An ssh that is killed, and its connection with it, once so many bytes have gone into it. */
  function cutOffAfter(bytes: number): string {
    const path = join(directory, `cut-off-after-${bytes}`);
    const script = [
      'exec 3<&0',
      `pipe=${directory}/home/pipe.$$`,
      'mkfifo "$pipe"',
      `{ dd bs=1 count=${bytes} status=none <&3 >"$pipe"; rm "$pipe"; kill -9 $$; } &`,
      `exec ${rsh} "$@" <"$pipe" 3<&-`,
    ];
    writeFileSync(path, ['#!/bin/sh', ...script, ''].join('\n'), { mode: 0o755 });
    return path;
  }
});
