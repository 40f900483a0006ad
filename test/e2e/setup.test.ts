// One command sets a machine up, and one leaves it as it was.
import { afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { eventually } from '../setup/cleanup.ts';
import { type MachineToSetUp, PASSWORD, startMachineToSetUp } from '../setup/machine-to-set-up.ts';
import { installed } from '../setup/private-machine.ts';
import type { Requirement } from '../setup/requirements.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const needs: Requirement[] = [
  'root',
  'Linux',
  'iproute2',
  'krb5-admin-server',
  'krb5-kdc',
  'krb5-user',
  'openbsd-inetd',
  'socat',
];
const ccapi = `${installed.node} /opt/ccapi/dist/ccapi.js`;

describeWith(needs, 'a machine with inetd', () => {
  const [alice] = inject('users') as [TestUser, TestUser];
  let machine: MachineToSetUp;
  let before: string;

  const fine = async (...args: string[]) => {
    const outcome = await machine.setup(...args);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    return outcome.stdout;
  };
  const undo = () => fine('--undo', '--yes');
  const read = (path: string) => machine.typed(`cat ${path}`);
  const klist = () => machine.sh(alice, 'unset KRB5_CONFIG; klist 2>&1');

  beforeAll(async () => {
    machine = await startMachineToSetUp(installed.node);
  });

  beforeEach(async () => {
    before = await machine.etc();
  });

  afterEach(async () => {
    await machine.setup('--undo', '--yes');
    await machine.restore();
  });

  it('is shown what would be written, and nothing is', async () => {
    const shown = await fine('--dry-run');
    expect(shown).toContain('found: openbsd-inetd\n');
    expect(shown).toMatch(/^--- \/etc\/inetd.conf\n\+\+\+ \/etc\/inetd.conf\n@@ -1,1 \+1,5 @@\n # The services/m);
    expect(shown).toMatch(/^\+ {4}default_ccache_name = KCM:$/m);
    expect(await machine.etc()).toBe(before);
  });

  it('has stock programs and ours served after it, does nothing the second time, and is what it was after --undo', async () => {
    expect(await fine('--yes')).toMatch(
      /write \/etc\/krb5.conf\nset up. Now, as any user: kinit, klist, ccapi doctor\n$/,
    );
    await machine.typed(`echo '${PASSWORD}' | kinit alice`, alice);
    expect(await machine.typed('klist', alice)).toMatch(
      /^Ticket cache: KCM:\d+\nDefault principal: alice@TEST.EXAMPLE\n/,
    );
    expect(await machine.typed(`${ccapi} list`, alice)).toContain('alice@TEST.EXAMPLE');
    expect(await machine.typed(`${ccapi} doctor`, alice)).not.toContain('WRONG');
    const after = await machine.etc();
    expect(await fine('--yes')).toMatch(/all is set up already\n$/);
    expect(await machine.etc()).toBe(after);
    expect(await undo()).toMatch(/this machine is as it was\n$/);
    expect(await machine.etc()).toBe(before);
    expect((await klist()).stdout).toMatch(/^klist: No credentials cache found \(filename: /);
    expect(await fine('--undo', '--yes')).toBe('nothing is set up\n');
  });

  it('keeps what was changed around it meanwhile', async () => {
    await fine('--yes');
    for (const file of ['/etc/krb5.conf', '/etc/inetd.conf']) {
      await machine.typed(
        `sed -i '1i # above' ${file}; printf '# below, without an end' >> ${file}; chmod 600 ${file}`,
      );
    }
    await undo();
    const [krb5Conf, inetdConf] = [await read('/etc/krb5.conf'), await read('/etc/inetd.conf')];
    expect(inetdConf).toBe('# above\n# The services of this machine\n# below, without an end');
    expect(krb5Conf).toMatch(
      /^# above\n# The admin's own.\n\[libdefaults\]\n {4}default_realm[^>]*# below, without an end$/,
    );
    expect(await machine.typed('stat -c %a /etc/krb5.conf /etc/inetd.conf')).toBe('600\n600\n');
    await machine.typed("sed -i '1d; $d' /etc/krb5.conf /etc/inetd.conf; chmod 644 /etc/krb5.conf /etc/inetd.conf");
    expect(await machine.etc()).toBe(before);
  });

  it.each([
    ['has no krb5.conf', 'rm /etc/krb5.conf', '/etc/krb5.conf'],
    ['has one without a last line break', "printf '[libdefaults]\\n a = b' > /etc/krb5.conf", '/etc/krb5.conf'],
    ['has one of words alone', "printf 'no section' > /etc/krb5.conf", '/etc/krb5.conf'],
    ['has one that is a link', 'mv /etc/krb5.conf /etc/its.conf; ln -s its.conf /etc/krb5.conf', '/etc/its.conf'],
    ['names another ccache', "sed -i '/default_realm/i default_ccache_name = DIR:/x' /etc/krb5.conf", '/etc/krb5.conf'],
    ['names another socket', "sed -i '/default_realm/i kcm_socket = /run/other' /etc/krb5.conf", '/etc/krb5.conf'],
    [
      'includes a directory first',
      "mkdir /etc/krb5.conf.d; sed -i '1i includedir /etc/krb5.conf.d' /etc/krb5.conf",
      '/etc/krb5.conf.d/ccapi.conf',
    ],
    [
      'includes one in which another file names a ccache',
      `mkdir /etc/krb5.conf.d; sed -i '1i includedir /etc/krb5.conf.d' /etc/krb5.conf
       printf '[libdefaults]\\n default_ccache_name = KEYRING:x\\n' > /etc/krb5.conf.d/a`,
      '/etc/krb5.conf',
    ],
  ])('that %s', async (_, prepare, written) => {
    await machine.typed(prepare);
    const prepared = await machine.etc();
    const file = written === '/etc/its.conf' ? '/etc/krb5.conf' : written;
    expect(await fine('--yes')).toContain(`write ${file}\n`);
    expect(await read(written)).toContain('default_ccache_name = KCM:');
    expect((await klist()).stdout).toMatch(/^Ticket cache: KCM:|^klist: Credentials cache 'KCM:\d+' not found/);
    await undo();
    expect(await machine.etc()).toBe(prepared);
  });

  it('has no klist that fails or hangs while it is set up and undone', async () => {
    await fine('--yes');
    await machine.typed(`echo '${PASSWORD}' | kinit alice`, alice);
    await undo();
    const looping = machine.typed('until [ -e /run/stop ]; do klist 2>&1 | head -1; done', alice);
    for (let i = 0; i < 3; i++) {
      await fine('--yes');
      await undo();
    }
    await machine.typed('touch /run/stop');
    const lines = new Set(
      (await looping)
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/[\d_]+/g, '')),
    );
    expect([...lines].sort()).toEqual([
      'Ticket cache: KCM:',
      'klist: No credentials cache found (filename: /tmp/krbcc)',
    ]);
  });

  describe('is left alone', () => {
    const refused = async (says: RegExp, ...args: string[]) => {
      const before = await machine.etc();
      const outcome = await machine.setup(...args);
      expect(outcome.stderr).toMatch(says);
      expect(outcome.code).toBe(2);
      expect(await machine.etc()).toBe(before);
    };

    it('where neither --yes is said nor a terminal is there to ask', () =>
      refused(/^ccapi-launcher: error: standard input is no terminal: say --yes, or --dry-run\n$/));

    it('where another program has the front door', async () => {
      const other = await machine.startNode(undefined, [
        '-e',
        "require('node:net').createServer((c) => c.end()).listen('/var/run/.heim_org.h5l.kcm-socket', () => console.log(1))",
      ]);
      await refused(/kcm-socket: another program answers there; stop it, and run setup again\n$/, '--yes');
      await other.end();
      await machine.typed('rm -f /run/.heim_org.h5l.kcm-socket');
    });

    it('where users can write to the program, or cannot run it', async () => {
      await machine.typed('chmod 777 /opt');
      await refused(/ccapi-server.js: root would run what another user can replace: \/opt /, '--yes');
      await machine.typed('chmod 700 /opt');
      await refused(/ccapi-server.js: other users cannot run it: \/opt is closed to them\n$/, '--yes');
      await machine.typed('chmod 755 /opt');
    });

    it('where krb5.conf does not parse, or the marks of setup in it are damaged', async () => {
      await machine.typed("echo '[ccapi' >> /etc/krb5.conf");
      await refused(/\/etc\/krb5.conf:\d+: a section header/, '--yes');
      await machine.restore();
      await machine.typed("echo '# >>> ccapi setup' >> /etc/krb5.conf");
      await refused(/\/etc\/krb5.conf: the marks around the lines of setup are damaged/, '--yes');
      await refused(/\/etc\/krb5.conf: the marks around the lines of setup are damaged/, '--undo', '--yes');
    });

    it('where another setup runs', async () => {
      const program =
        "require('fs').symlinkSync(process.pid + '.' + require('fs').readFileSync('/proc/self/stat', 'latin1')";
      const rest =
        ".split(') ')[1].split(' ')[19], '/run/ccapi-setup.lock'); console.log(1); setInterval(() => {}, 1000)";
      const other = await machine.startNode(undefined, ['-e', `${program}${rest}`]);
      await refused(/^ccapi-launcher: error: another setup runs\n$/, '--yes');
      await other.end();
      await fine('--yes');
    });

    it('where the launcher that it has entered serves no user: it is taken out again', async () => {
      await machine.typed("printf '[ccapi]\\n directory = /proc/ccapi\\n' >> /etc/krb5.conf");
      await refused(/kcm-socket: CCAPI\/1 error code=\w+ message=.* answers; see the system log\n$/, '--yes');
    });
  });

  it('is nothing that a user sets up', async () => {
    const { code, stderr } = await machine.sh(alice, `${installed.node} /opt/ccapi/dist/ccapi-launcher.js setup --yes`);
    expect([code, stderr]).toEqual([2, 'ccapi-launcher: error: setup is for root; for yourself alone: ccapi setup\n']);
  });

  it('gets code that fits, where what is installed was compiled by another Node or for another processor', async () => {
    await machine.typed(`
cp -a /opt/ccapi/dist /run/dist
mount --bind /run/dist /opt/ccapi/dist
sed -i '1s/ ${process.arch} / sparc /' /opt/ccapi/dist/ccapi.bundle.js.compiled
rm /opt/ccapi/dist/ccapi-server.bundle.js.compiled`);
    const said = await fine('--yes');
    expect(said.match(/^compile .*$/gm)).toEqual(
      ['ccapi-server', 'ccapi'].map((name) => `compile /opt/ccapi/dist/${name}.bundle.js for this processor and Node`),
    );
    await machine.typed(
      'umount -l /opt/ccapi/dist; for n in ccapi ccapi-server; do cmp -n 150000 /run/dist/$n.bundle.js.compiled /opt/ccapi/dist/$n.bundle.js.compiled; done',
    );
    await undo();
  });

  describe('killed before any call that changes something', () => {
    const files = ['/etc/krb5.conf', '/etc/inetd.conf', '/etc/ccapi/launcher', '/etc/ccapi/setup.json'];
    const contents = () => Promise.all(files.map(async (file) => machine.typed(`cat ${file} 2>/dev/null || :`)));
    let without: string[];
    let complete: string[];

    /** Each file as it was before or as it is after, and klist has an answer. */
    const expectWhole = async () => {
      for (const [i, content] of (await contents()).entries()) expect([without[i], complete[i]]).toContain(content);
      expect((await klist()).stdout).toMatch(/^Ticket cache: KCM:|^klist: No credentials cache found/);
    };

    beforeAll(async () => {
      without = await contents();
      await fine('--yes');
      await machine.typed(`echo '${PASSWORD}' | kinit alice`, alice);
      complete = await contents();
      await undo();
    });

    it('setup leaves no file half written, and can be done again, or undone', async () => {
      let calls = 0;
      while (await machine.killSetup(calls, '--yes')) {
        await expectWhole();
        if (calls % 4 === 0) {
          await fine('--yes');
          expect(await contents()).toEqual(complete);
        }
        await fine('--undo', '--yes');
        expect(await machine.etc(), `${calls} calls`).toBe(before);
        calls++;
      }
      expect(calls).toBeGreaterThan(25);
    });

    it('--undo leaves none either, and can be done again', async () => {
      let calls = 0;
      do {
        await fine('--yes');
        const isKilled = await machine.killSetup(calls, '--undo', '--yes');
        await expectWhole();
        await fine('--undo', '--yes');
        expect(await machine.etc(), `${calls} calls`).toBe(before);
        if (!isKilled) break;
      } while (++calls);
      expect(calls).toBeGreaterThan(12);
    });
  });

  describe('from which the package is taken away', () => {
    it('has klist fail at once, with the reason in the log, and serves again once it is back', async () => {
      await fine('--yes');
      await machine.typed(`echo '${PASSWORD}' | kinit alice`, alice);
      await machine.typed('pkill -f [c]capi-launcher.js; mount -t tmpfs tmpfs /opt/ccapi/dist');
      const { code, stdout } = await klist();
      expect([code, stdout]).toEqual([1, expect.stringMatching(/^klist: /)]);
      expect((await klist()).code).toBe(1);
      expect(await eventually(() => machine.log())).toMatch(
        /ccapi-launcher: \/opt\/ccapi\/dist\/ccapi-launcher.js or \S+ is gone: install ccapi again, or run ccapi-launcher setup --undo/,
      );
      await machine.typed('umount -l /opt/ccapi/dist');
      await eventually(async () => (await klist()).stdout.startsWith('Ticket cache: KCM:'));
    });

    it('and Node with it: klist fails all the same', async () => {
      await fine('--yes');
      await machine.typed("pkill -f [c]capi-launcher.js; sed -i 's/^node=.*/node=\\/nonexistent/' /etc/ccapi/launcher");
      expect((await klist()).code).toBe(1);
      expect(await machine.log()).toContain('/nonexistent is gone');
    });
  });
});

describeWith(needs, 'a machine on which a user runs what looks like an inetd', () => {
  const [alice] = inject('users') as [TestUser, TestUser];

  it('has its own file set up, and not the one that the user names', async () => {
    const place = '/run/of-alice';
    const prepare = `mkdir -m 755 ${place}; printf '#!/bin/sh\\nsleep 1000\\n' > ${place}/inetd; chmod 755 ${place}/inetd; : > ${place}/conf`;
    const asAlice = `setpriv --reuid=${alice.uid} --regid=${alice.gid} --clear-groups`;
    const machine = await startMachineToSetUp(installed.node, prepare, `${asAlice} ${place}/inetd ${place}/conf`);
    await eventually(async () => (await machine.sh(undefined, 'pgrep -x inetd')).code === 0);
    const { code, stdout } = await machine.setup('--dry-run');
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('\n--- /etc/inetd.conf\n') });
    expect(stdout).not.toContain(place);
    await machine.end();
  });
});
