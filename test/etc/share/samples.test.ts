// What the launcher prints for admins is right as it stands: it is given to the real programs.
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { placeFaults } from '../../../etc/host/place-faults.ts';
import { eventually, start, temporaryDirectory } from '../../setup/cleanup.ts';
import { unpackedPrograms } from '../../setup/debian-packages.ts';
import { isListening, startInetd } from '../../setup/inetd.ts';
import { ccapi, cleanEnvironment, freePort, programs, run, sendBytes, succeed } from '../../setup/programs.ts';
import { describeWith } from '../../setup/requirements.ts';
import { printedUnits } from '../../setup/systemd.ts';
import type { TestUser } from '../../setup/test-users.ts';

const printed = (option: string) => succeed(process.execPath, [programs.launcher, option]);

describeWith(['systemd'], 'systemd', () => {
  it('finds nothing wrong with the units', async () => {
    const directory = temporaryDirectory();
    const files = await printedUnits();
    expect(files.map(({ path }) => path)).toEqual([
      '/etc/systemd/system/ccapi.slice',
      '/etc/systemd/system/ccapi.socket',
      '/etc/systemd/system/ccapi.service',
      '/etc/systemd/system/ccapi-server.socket',
      '/etc/systemd/system/ccapi-server@.service',
      '/etc/systemd/system/ccapi-space@.service',
      '~/.config/systemd/user/ccapi.socket',
      '~/.config/systemd/user/ccapi.service',
    ]);
    for (const owner of ['system', 'user']) {
      mkdirSync(`${directory}/${owner}`);
      const units = files.filter(({ path }) => path.includes(`/${owner}/`));
      const paths = units.map(({ path }) => `${directory}/${owner}/${path.replace(/.*\//, '')}`);
      for (const [i, { content }] of units.entries()) writeFileSync(paths[i] as string, content);
      const env = cleanEnvironment({ XDG_RUNTIME_DIR: directory, HOME: directory });
      const how = owner === 'user' ? ['--user'] : [];
      const verified = await run('/usr/bin/systemd-analyze', [...how, '--man=no', 'verify', ...paths], { env });
      expect(verified).toEqual({ code: 0, stdout: '', stderr: '' });
    }
  });
});

/** A printed entry, for places of the test's own in the place of the machine's. */
async function entryFor(
  option: string,
  { port, door, base }: { port: number; door: string; base: string },
): Promise<string> {
  const text = await printed(option);
  return text
    .replaceAll('/var/run/.heim_org.h5l.kcm-socket', door)
    .replaceAll(/789\b/g, String(port))
    .replaceAll('--wait', `--wait --directory=${base}`);
}

describeWith(['root', 'Linux', 'openbsd-inetd', 'xinetd'], 'the entries', () => {
  const uid = process.getuid?.();
  const places = async () => {
    const directory = temporaryDirectory();
    return { directory, port: await freePort(), door: `${directory}/door`, base: `${directory}/run` };
  };

  it('of inetd.conf work as they are printed', async () => {
    const { directory, ...place } = await places();
    writeFileSync(`${directory}/inetd.conf`, await entryFor('--print-inetd-entry', place));
    start('/usr/sbin/inetd', ['-i', `${directory}/inetd.conf`], { env: cleanEnvironment(), stdio: 'ignore' });
    await eventually(() => existsSync(place.door) && isListening(place.port));
    for (const address of [{ host: '127.0.0.1', port: place.port }, { path: place.door }]) {
      expect(await sendBytes(address, `${uid}\n`)).toBe(`${place.base}/${uid}/S.ccapi\n`);
    }
  });

  it('of xinetd work as they are printed', async () => {
    const { directory, ...place } = await places();
    const entry = await entryFor('--print-xinetd-entry', place);
    writeFileSync(`${directory}/xinetd.conf`, `defaults\n{\n log_type = FILE ${directory}/log\n}\n${entry}`);
    const { directory: root, libraries } = unpackedPrograms('xinetd');
    const args = ['-dontfork', '-f', `${directory}/xinetd.conf`, '-pidfile', `${directory}/pid`];
    start(`${root}/usr/sbin/xinetd`, args, { env: cleanEnvironment({ LD_LIBRARY_PATH: libraries }), stdio: 'ignore' });
    await eventually(() => isListening(place.port));
    const address = { host: '127.0.0.1', port: place.port };
    expect(await sendBytes(address, `${uid}\n`)).toBe(`${place.base}/${uid}/S.ccapi\n`);
  });
});

describeWith(['root', 'systemd'], 'systemd-tmpfiles', () => {
  it('makes the base directory', async () => {
    const directory = temporaryDirectory();
    writeFileSync(`${directory}/ccapi.conf`, await printed('--print-tmpfiles-conf'));
    const args = ['--create', `--root=${directory}`, `${directory}/ccapi.conf`];
    expect(await run('/usr/bin/systemd-tmpfiles', args)).toMatchObject({ code: 0, stderr: '' });
    expect(statSync(`${directory}/run/ccapi`).mode & 0o777).toBe(0o755);
  });
});

describeWith(['apparmor'], 'apparmor_parser', () => {
  it('understands the profile', async () => {
    const profile = `${temporaryDirectory()}/ccapi`;
    writeFileSync(profile, await printed('--print-apparmor-profile'));
    const parsed = await run('/sbin/apparmor_parser', ['--skip-kernel-load', '--skip-cache', '--names', profile]);
    // On standard error it tells what this kernel lacks, as well.
    expect([parsed.code, parsed.stdout]).toEqual([0, 'ccapi-launcher\nccapi-server\n']);
  });
});

it('the entry of /etc/services has the port that clients try', async () => {
  expect(await printed('--print-services-entry')).toMatch(/^ccapi\s+789\/tcp\b/m);
});

describeWith(['krb5-user'], 'stock klist', () => {
  it('reads the krb5.conf, and we do', async () => {
    const krb5Conf = `${temporaryDirectory()}/krb5.conf`;
    writeFileSync(krb5Conf, await printed('--print-krb5-conf'));
    const env = { KRB5_CONFIG: krb5Conf };
    expect((await run('/usr/bin/klist', [], { env })).stderr).not.toMatch(/krb5\.conf|Improper format|parse/);
    const { stdout, stderr } = await ccapi(['config'], { env });
    expect(stderr).toBe('');
    expect(stdout).toContain(`# ${krb5Conf}:`);
  });
});

describeWith(['root', 'Linux', 'openbsd-inetd'], 'of what root may, the launcher', () => {
  it('needs no more than the units leave it', async () => {
    const [alice] = inject('users') as [TestUser, TestUser];
    const directory = temporaryDirectory();
    const port = await freePort();
    const [, listed = ''] = /^CapabilityBoundingSet=(.*)$/m.exec(await printed('--print-systemd-units')) ?? [];
    const bounds = ['-all', ...listed.split(' ').map((name) => name.toLowerCase().replace('cap_', '+'))].join(',');
    const wrapper = ['/usr/bin/setpriv', '--bounding-set', bounds, '--no-new-privs'];
    const entry = { address: '127.0.0.1', port, wait: true };
    await startInetd(directory, [entry], [`--directory=${directory}/run`], { wrapper });
    const env = { CCAPI_PORT: String(port), CCAPI_DIRECTORY: `${directory}/run`, CCAPI_AUTOSTART: 'no' };
    const { stdout, stderr } = await ccapi(['path'], { uid: alice.uid, gid: alice.gid, env });
    expect([stdout, stderr]).toEqual([`${directory}/run/${alice.uid}/S.ccapi\n`, '']);
  });
});

describeWith(['root', 'Linux'], 'the place of a program', () => {
  const [alice] = inject('users') as [TestUser, TestUser];
  const programIn = (mode: number, owner = 0) => {
    const directory = `${temporaryDirectory()}/lib`;
    mkdirSync(directory);
    writeFileSync(`${directory}/node`, '', { mode: 0o755 });
    chownSync(directory, owner, owner);
    chmodSync(directory, mode);
    return `${directory}/node`;
  };

  it("is fine where it is root's and open to all", () => {
    expect(placeFaults(programIn(0o755))).toEqual([]);
  });

  it.each([
    ['other users cannot go there', () => programIn(0o700), 'other users cannot run it'],
    ["it is a user's", () => programIn(0o755, alice.uid), 'root would run what another user can replace'],
    ['all can write there', () => programIn(0o777), 'root would run what another user can replace'],
  ])('is named where %s', (_, make, fault) => {
    expect(placeFaults(make())).toEqual([expect.stringContaining(fault)]);
  });

  it('is where a link to it leads', () => {
    const link = `${temporaryDirectory()}/node`;
    symlinkSync(programIn(0o755, alice.uid), link);
    expect(placeFaults(link)).toEqual([expect.stringContaining('root would run what another user can replace')]);
  });

  it('is said of the server too, which each user runs', async () => {
    const closed = `${temporaryDirectory()}/closed`;
    mkdirSync(closed, { mode: 0o700 });
    const dist = dirname(programs.launcher);
    cpSync(dist, `${closed}/dist`, { recursive: true });
    cpSync(join(dist, '../etc/share/samples'), `${closed}/etc/share/samples`, { recursive: true });
    const { stderr } = await run(process.execPath, [`${closed}/dist/ccapi-launcher.js`, '--print-inetd-entry']);
    expect(stderr).toContain(`${closed}/dist/ccapi-server.js: other users cannot run it`);
  });

  it('is said beside the entry, and not in it', async () => {
    const closed = `${temporaryDirectory()}/closed`;
    mkdirSync(closed, { mode: 0o700 });
    copyFileSync(process.execPath, `${closed}/node`);
    const { stdout, stderr } = await run(`${closed}/node`, [programs.launcher, '--print-inetd-entry']);
    expect(stdout).toContain(`wait root ${closed}/node node`);
    expect(stderr).toContain(`${closed}/node: other users cannot run it`);
  });
});
