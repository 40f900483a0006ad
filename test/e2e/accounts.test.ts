// Accounts that go: userdel and usermod are not held up, and the next owner of a uid finds no ticket of the former one's.
import { beforeAll, expect, it } from 'vitest';
import { writeCCacheFile } from '../../proto/ccache-file.ts';
import { fromCredentialV5 } from '../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { credentialFor } from '../server/model/model.ts';
import { eventually } from '../setup/cleanup.ts';
import { installed, type PrivateMachine, startPrivateMachine } from '../setup/private-machine.ts';
import { displaysOf } from '../setup/readme.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

/** What stands in the ticket, and is looked for in files. */
const SECRET = 'secret of a former account';

const env = { KRB5_CONFIG: '/etc/krb5.conf', CCAPI_ALONE_TIMEOUT: '' };

/** The machine's own /etc, and ours in its place. */
const boot = `
mkdir /run/etc
cp -a /etc/. /run/etc || :
mount --bind /run/etc /etc
mkdir -p /tmp/home
printf '[libdefaults]\\n default_ccache_name = KCM:\\n[ccapi]\\n autostart = no\\n' > /etc/krb5.conf`;

const ticket = writeCCacheFile({
  kdcOffset: { seconds: 0, microseconds: 0 },
  otherTags: [],
  principal: parsePrincipal('carol@R'),
  credentials: [
    fromCredentialV5({
      ...credentialFor('krbtgt/R@R'),
      client: 'carol@R',
      endtime: 4_000_000_000,
      ticket: { type: 0, data: Buffer.from(SECRET) },
    }),
  ],
}).toString('base64');

describeWith(['root', 'Linux', 'iproute2', 'krb5-user'], 'an account', () => {
  let machine: PrivateMachine;
  const uid = 50_001;
  const owner: TestUser = { name: 'carol', uid, gid: uid };
  const asRoot = async (script: string) => {
    const outcome = await machine.sh(undefined, script, env);
    expect(outcome, script).toEqual({ code: 0, stdout: expect.any(String), stderr: '' });
    return outcome.stdout;
  };
  const add = (name: string, options = '--create-home') =>
    asRoot(
      `groupadd --force --gid ${uid} shared; useradd ${options} --base-dir /tmp/home --uid ${uid} --gid ${uid} ${name}`,
    );
  const klist = () => machine.sh(owner, 'klist', env);
  const importTicket = async () => {
    const script = `umask 77; echo ${ticket} | base64 -d > /tmp/ticket; exec ${installed.node} ${installed.ccapi} import FILE:/tmp/ticket; `;
    expect(await machine.sh(owner, script, env)).toMatchObject({ code: 0, stderr: '' });
    await machine.sh(undefined, 'rm /tmp/ticket');
    expect((await klist()).stdout).toContain('Default principal: carol@R');
  };
  const servers = async () => (await machine.sh(undefined, `pgrep -u ${uid} -f '[c]capi-server.js' || :`)).stdout;
  /** The server leaves by itself: all others of the user have ended. */
  const left = () => eventually(async () => (await servers()) === '');
  const secrets = async () => (await machine.sh(undefined, `grep -rl '${SECRET}' /run /tmp || :`)).stdout;
  const expectNothing = async () => {
    expect((await klist()).stderr).toContain('not found');
    expect(await machine.sh(owner, `${installed.node} ${installed.ccapi} list -A`, env)).toMatchObject({
      stdout: '',
    });
    expect(await secrets()).toBe('');
  };

  beforeAll(async () => {
    machine = await startPrivateMachine();
    await asRoot(boot);
    await machine.startNode(undefined, [installed.launcher, '--listen', '/run/.heim_org.h5l.kcm-socket', '789'], env);
  });

  it('is changed and removed without a word once its user has gone, and keeps its tickets until then', async () => {
    await add('carol');
    await importTicket();
    await left();
    expect((await klist()).stdout).toContain('krbtgt/R@R');
    await left();
    expect(await asRoot('usermod --home /tmp/home/elsewhere --move-home carol')).toBe('');
    expect((await klist()).stdout).toContain('krbtgt/R@R');
    await left();
    expect(await asRoot('userdel --remove carol 2>/dev/null')).toBe('');
  });

  it('of another name finds nothing of the former owner of its uid', async () => {
    await add('dave');
    await expectNothing();
  });

  it('finds nothing after it was removed and made again', async () => {
    await importTicket();
    await left();
    await asRoot('userdel --remove dave 2>/dev/null');
    await add('dave');
    await expectNothing();
  });

  it('finds nothing after that either where it may not search its own home', async () => {
    await importTicket();
    await left();
    await asRoot('userdel --remove dave 2>/dev/null');
    await add('dave');
    await asRoot('chmod 600 /tmp/home/dave');
    await expectNothing();
  });

  it('keeps its tickets while its home changes, and where that is away', async () => {
    await importTicket();
    await left();
    await asRoot('touch /tmp/home/dave/a; chmod 700 /tmp/home/dave; mv /tmp/home/dave /tmp/home/away');
    expect((await klist()).stdout).toContain('krbtgt/R@R');
    await left();
    await asRoot('mv /tmp/home/away /tmp/home/dave');
    expect((await klist()).stdout).toContain('krbtgt/R@R');
  });

  it('that is renamed is another one', async () => {
    await left();
    await asRoot('usermod --login erin dave');
    await expectNothing();
  });

  it('finds nothing of a former one of which a server still runs', async () => {
    await importTicket();
    const before = await servers();
    const company = await machine.startNode(owner, ['-e', 'console.log("there"); setInterval(() => {}, 1000)']);
    await machine.sh(undefined, 'userdel --force erin');
    await add('frank');
    await eventually(async () => (await klist()).code === 1);
    await expectNothing();
    expect(await servers()).toBe(before);
    await company.end();
  });

  it('takes its directory along where the hook is installed, and only its own', async () => {
    const [lines = []] = displaysOf('ccapi-launcher.8', 'ACCOUNTS');
    expect(lines).toHaveLength(3);
    await asRoot(
      lines.map((line) => line.replace(/^ccapi-launcher/, `${installed.node} ${installed.launcher}`)).join('\n'),
    );
    await importTicket();
    const other: TestUser = { name: 'grace', uid: uid + 1, gid: uid };
    await asRoot(`useradd --no-create-home --uid ${other.uid} --gid ${uid} grace`);
    await machine.sh(other, 'klist', env);
    expect(await asRoot('ls /run/ccapi')).toBe(`${uid}\n${other.uid}\n`);
    // A server of one that is removed by force is ended.
    expect((await machine.sh(undefined, 'userdel --force frank', env)).code).toBe(0);
    expect(await asRoot('ls /run/ccapi')).toBe(`${other.uid}\n`);
    expect([await secrets(), await servers()]).toEqual(['', '']);
    await eventually(async () => (await machine.sh(undefined, 'deluser --quiet grace', env)).code === 0);
    expect(await asRoot('ls /run/ccapi')).toBe('');
  });

  const sweep = `${installed.node} ${installed.launcher} --sweep`;
  const swept = { code: 0, stdout: '', stderr: '' };
  const refused = (why: string) => ({ code: 2, stdout: '', stderr: expect.stringContaining(why) });
  /** The directory of a uid without an account, with something in it. */
  const leave = (of: number) => asRoot(`install -d -m 700 -o ${of} /run/ccapi/${of}; echo > /run/ccapi/${of}/file`);
  const expectKept = async () => expect(await asRoot('ls /run/ccapi/50009')).toBe('file\n');

  it('that is missing is not swept away where uids need none, where directories are elsewhere, and by none but root', async () => {
    await leave(50_009);
    const allow = { ...env, CCAPI_UNKNOWN_UIDS: 'allow' };
    expect(await machine.sh(undefined, sweep, allow)).toEqual(
      refused('with unknown_uids = allow a uid needs no account'),
    );
    expect(await machine.sh(undefined, sweep, { ...env, CCAPI_PATH_TEMPLATE: '/srv/%u' })).toEqual(swept);
    expect(await machine.sh(owner, sweep, env)).toEqual(refused('only root can remove'));
    await expectKept();
  });

  it('that is missing is not swept away while a process of its uid runs', async () => {
    const missing = { name: 'missing', uid: 50_009, gid: uid };
    const company = await machine.startNode(missing, ['-e', 'console.log("there"); setInterval(() => {}, 1000)']);
    expect(await machine.sh(undefined, sweep, env)).toEqual(swept);
    await expectKept();
    await company.end();
  });

  it('that is missing is not swept away where accounts come from a service that may be away, unless it was a local one', async () => {
    const passwdFrom = (services: string) => asRoot(`sed -i 's/^passwd:.*/passwd: ${services}/' /etc/nsswitch.conf`);
    await passwdFrom('files sss [NOTFOUND=return] ldap');
    expect(await machine.sh(undefined, sweep, env)).toEqual(swept);
    await expectKept();
    await asRoot("cp /etc/passwd- /run/passwd-; echo 'missing:x:50009:1::/:/bin/sh' >> /etc/passwd-");
    expect(await machine.sh(undefined, sweep, env)).toEqual(swept);
    expect(await asRoot('ls /run/ccapi')).toBe('');
    await leave(50_009);
    await asRoot('cp /run/passwd- /etc/passwd-');
    await passwdFrom('files systemd # of this machine');
    expect(await machine.sh(undefined, sweep, env)).toEqual(swept);
    expect(await asRoot('ls /run/ccapi')).toBe('');
  });

  it('that is missing takes a file system of its own along, and is not kept by one that cannot be swept away', async () => {
    await asRoot('install -d -m 700 /run/ccapi/50009');
    await asRoot('mount -t tmpfs -o mode=700,uid=50009 tmpfs /run/ccapi/50009; echo > /run/ccapi/50009/file');
    await asRoot('install -d -m 700 -o 50007 /run/ccapi/50008');
    // Without a line for accounts, /etc/passwd is all there is.
    await asRoot("sed -i '/^passwd:/d' /etc/nsswitch.conf");
    expect(await machine.sh(undefined, sweep, env)).toEqual(refused('the worker of uid 50008 could not be started'));
    expect(await asRoot('ls /run/ccapi')).toBe('50008\n');
  });
});
