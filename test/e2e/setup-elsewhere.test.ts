// Set up by one command, and undone: where systemd starts the launcher, and where an inetd does that has no front door.
import { beforeAll, expect, inject, it } from 'vitest';
import { eventually } from '../setup/cleanup.ts';
import { unpackedPrograms } from '../setup/debian-packages.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { startMachineToSetUp } from '../setup/machine-to-set-up.ts';
import { installed } from '../setup/private-machine.ts';
import { programs } from '../setup/programs.ts';
import { describeWith, type Requirement } from '../setup/requirements.ts';
import { printedUnits, type SystemdMachine, startSystemd, there } from '../setup/systemd.ts';
import type { TestUser } from '../setup/test-users.ts';

const kerberos: Requirement[] = ['root', 'Linux', 'iproute2', 'krb5-kdc', 'krb5-admin-server', 'krb5-user'];
const everything =
  "cd /etc; find . -printf '%p %y %m %U:%G %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum";

describeWith([...kerberos, 'systemd'], 'a machine with systemd', () => {
  const [alice] = inject('users') as [TestUser, TestUser];
  let kdc: Kdc;
  let machine: SystemdMachine;

  const typed = async (line: string, user?: TestUser) => {
    const { code, stdout, stderr } = await machine.run(line, user ? { uid: user.uid } : {});
    expect(code, `${line}: ${stdout}${stderr}`).toBe(0);
    return stdout;
  };
  const setup = (...args: string[]) =>
    typed(`SYSTEMD_UNIT_PATH=/etc/systemd/system ${process.execPath} ${programs.launcher} setup ${args.join(' ')}`);
  const ccapi = (...args: string[]) => typed(`${process.execPath} ${programs.ccapi} ${args.join(' ')}`, alice);

  beforeAll(async () => {
    kdc = await startKdc(['alice']);
    machine = await startSystemd(kdc);
  });

  it('has units written, enabled and answering, and is what it was after --undo', async () => {
    const before = await typed(everything);
    expect(await setup('--dry-run')).toMatch(/^systemctl enable --now ccapi.socket$/m);
    expect(await typed(everything)).toBe(before);
    expect(await setup('--yes')).toMatch(/^found: systemd\n/);
    await typed(`echo '${kdc.password}' | kinit alice`, alice);
    expect(await typed('klist', alice)).toMatch(/^Ticket cache: KCM:\d+\nDefault principal: alice@TEST.EXAMPLE\n/);
    expect(await ccapi('doctor')).not.toContain('WRONG');
    expect(await setup('--yes')).toMatch(/all is set up already\n$/);
    expect(await setup('--undo', '--yes')).toMatch(/this machine is as it was\n$/);
    expect(await typed(everything)).toBe(before);
    expect(await typed('systemctl list-units --plain --no-legend "ccapi.*"')).toBe('');
    expect((await machine.run('klist', { uid: alice.uid })).stderr).toMatch(/^klist: No credentials cache found/);
  });

  it('with sssd-kcm at its front door: that gets it back', async () => {
    // What stands for it closes a connection that does not speak KCM.
    await typed(`cd /etc/systemd/system; cat > sssd-kcm.socket <<'END'
[Socket]
ListenStream=/run/.heim_org.h5l.kcm-socket
[Install]
WantedBy=sockets.target
END
cat > sssd-kcm.service <<'END'
[Service]
ExecStart=${process.execPath} -e 'require("net").createServer((c) => c.once("data", () => c.destroy())).listen({ fd: 3 })'
END
systemctl daemon-reload; systemctl enable --now sssd-kcm.socket; systemctl is-active sssd-kcm.socket`);
    // As after a first klist. Its socket cannot be started while it runs.
    await typed('systemctl start sssd-kcm.service');
    const before = await typed(everything);
    expect(await setup('--yes')).toContain('note: tickets in the server of sssd-kcm.socket stay there: kinit again\n');
    expect((await machine.run('systemctl is-active sssd-kcm.socket')).stdout).toBe('inactive\n');
    await typed(`echo '${kdc.password}' | kinit alice; klist`, alice);
    await setup('--undo', '--yes');
    expect(await typed(everything)).toBe(before);
    expect(await typed('systemctl is-active sssd-kcm.socket')).toBe('active\n');
    await typed('systemctl disable --now sssd-kcm.socket; systemctl stop sssd-kcm.service');
  });

  it('keeps units that an admin has entered by hand, as the manual shows it', async () => {
    const own = (await printedUnits()).filter(({ path }) => path.startsWith('/etc/'));
    for (const { path, content } of own) await typed(`cat > ${path} <<'END'\n${there(content)}\nEND`);
    const before = await typed(everything);
    expect(await setup('--yes')).not.toContain('write /etc/systemd');
    expect(await typed('systemctl is-enabled ccapi.socket')).toBe('enabled\n');
    await setup('--undo', '--yes');
    expect(await typed(everything)).toBe(before);
    await typed(`rm ${own.map(({ path }) => path).join(' ')}; systemctl daemon-reload`);
  });

  it('has klist fail at once where the package is gone, and the reason in the journal', async () => {
    await setup('--yes');
    await typed('klist; :', alice);
    await typed('systemctl stop ccapi.service; mount -t tmpfs tmpfs /opt/ccapi/dist');
    const { code, stderr } = await machine.run('klist', { uid: alice.uid });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^klist: /)]);
    expect(await eventually(() => typed("journalctl -o cat | grep 'Cannot find module' || :"))).toContain(
      there(programs.launcher),
    );
    await typed('umount -l /opt/ccapi/dist');
    await setup('--undo', '--yes');
  });

  it('has a socket and a line for the shell of one user without root, after ccapi setup', async () => {
    const home = `/run/user/${alice.uid}`;
    const variables = { HOME: home, XDG_RUNTIME_DIR: home, SHELL: '/bin/bash', CCAPI_PORT: '1' };
    const set = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
    const asUser = (line: string) => typed(`export ${set.join(' ')}; ${line}`, alice);
    await typed(`install -d -m 700 -o ${alice.uid} -g ${alice.gid} ${home}; cat > /etc/systemd/system/of-alice.service <<'END'
[Service]
User=${alice.uid}
Type=notify
Delegate=yes
Environment=${set.join(' ')} SYSTEMD_UNIT_PATH=${home}/.config/systemd/user:/lib/systemd/user
ExecStart=/lib/systemd/systemd --user --unit=basic.target
END
systemctl daemon-reload && systemctl start of-alice.service; umount -l /run/ccapi/${alice.uid}; rm -rf /run/ccapi/${alice.uid}`);
    const own = `${process.execPath} ${programs.ccapi} setup`;
    const before = await asUser('cd; find .config/systemd .bashrc 2>/dev/null; :');
    expect(await asUser(`${own} --yes`)).toMatch(
      /ccapi.socket\n.*ccapi.service\nsystemctl --user daemon-reload\nsystemctl --user enable --now ccapi.socket\nwrite .*\.bashrc\nset up/,
    );
    expect(await asUser('systemctl --user is-active ccapi.socket')).toBe('active\n');
    const shown = await asUser(`bash -ic 'echo "${kdc.password}" | kinit alice; klist' 2>/dev/null`);
    expect(shown).toContain('Default principal: alice@TEST.EXAMPLE');
    expect(await asUser('systemctl --user is-active ccapi.service')).toBe('active\n');
    expect(await asUser(`${own} --yes`)).toBe('all is set up already\n');
    await asUser(`${own} --undo --yes`);
    expect((await machine.run(`systemctl --user is-active ccapi.socket`, { uid: alice.uid })).stdout).not.toBe(
      'active\n',
    );
    expect(await asUser('cd; find .config/systemd .bashrc 2>/dev/null; :')).toBe(before);
  });
});

describeWith([...kerberos, 'openbsd-inetd', 'socat', 'inetutils-inetd', 'xinetd'], 'a machine with', () => {
  const [alice] = inject('users') as [TestUser, TestUser];

  it.each(['inetutils-inetd', 'xinetd'] as const)(
    '%s has our programs served, and keeps its krb5.conf',
    async (name) => {
      const { directory, libraries } = unpackedPrograms(name);
      const machine = await startMachineToSetUp(
        installed.node,
        "mkdir /etc/xinetd.d; printf 'defaults\\n{\\n}\\nincludedir /etc/xinetd.d\\n' > /etc/xinetd.conf",
        name === 'xinetd'
          ? there(`LD_LIBRARY_PATH=${libraries} ${directory}/usr/sbin/xinetd -dontfork`)
          : there(`LD_LIBRARY_PATH=${libraries} ${directory}/usr/sbin/inetutils-inetd -d`),
      );
      const [before, krb5Conf] = [await machine.etc(), await machine.typed('cat /etc/krb5.conf')];
      const { stdout, stderr } = await machine.setup('--yes');
      expect([stdout, stderr]).toEqual([expect.stringMatching(new RegExp(`^found: ${name}\n`)), '']);
      expect(stdout).toContain(`note: ${name} has no UNIX sockets, and so no front door`);
      expect((await machine.ccapi(alice, ['path'])).stdout).toBe(`/run/ccapi/${alice.uid}/S.ccapi\n`);
      expect(await machine.typed('cat /etc/krb5.conf')).toBe(krb5Conf);
      expect((await machine.setup('--yes')).stdout).toMatch(/all is set up already\n$/);
      expect((await machine.setup('--undo', '--yes')).code).toBe(0);
      expect(await machine.etc()).toBe(before);
      await machine.end();
    },
  );
});
