// krb5.conf changes while a launcher runs: what it says holds for the next connection, or, if it is wrong, nothing changes.
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { CurrentSettings } from '../../../etc/config/current-settings.ts';
import { eventually, hasEnded, memory, temporaryDirectory, workersBelow } from '../../setup/cleanup.ts';
import { startInetd } from '../../setup/inetd.ts';
import { cleanEnvironment, freePort, sendBytes, startLauncher } from '../../setup/programs.ts';
import { describeWith } from '../../setup/requirements.ts';
import type { TestUser } from '../../setup/test-users.ts';

const uid = process.getuid?.() as number;
let directory: string;
let conf: string;
beforeEach(() => {
  directory = temporaryDirectory(memory);
  conf = `${directory}/krb5.conf`;
});

/** As an editor does it: the file is another one. */
function replace(text: string, file = conf): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

describe('the settings of a program that runs for long', () => {
  /** A file that has not changed for long enough for a change to show. */
  function settled(file: string): void {
    utimesSync(file, 1, 1);
  }
  const current = () => new CurrentSettings({}, { KRB5_CONFIG: `${conf}:${directory}/second` });
  const untilSettled = (settings: CurrentSettings) =>
    eventually(() => {
      settings.read();
      return !settings.hasChanged();
    });

  it.each([
    ['is written', () => writeFileSync(conf, '[ccapi]\n renew = no\n')],
    ['is replaced by one of the same size', () => replace(`includedir ${directory}/INCLUDED\n`)],
    ['goes', () => rmSync(conf)],
    ['that was missing comes', () => writeFileSync(`${directory}/second`, '')],
    ['that is included changes', () => writeFileSync(`${directory}/included/a`, '[ccapi]\n renew = no\n')],
    ['comes into a directory that is included', () => writeFileSync(`${directory}/included/b`, '')],
  ])('have changed where a file %s', async (_, change) => {
    mkdirSync(`${directory}/included`);
    writeFileSync(`${directory}/included/a`, '');
    writeFileSync(conf, `includedir ${directory}/included\n`);
    settled(conf);
    const settings = current();
    await untilSettled(settings);
    change();
    expect(settings.hasChanged()).toBe(true);
  });

  it('count as changed while a file is so young that a further change would not show', () => {
    writeFileSync(conf, '[ccapi]\n idle_timeout = 1m\n');
    const settings = current();
    expect(settings.read().idleTimeout).toBe(60);
    expect(settings.hasChanged()).toBe(true);
  });
});

describe('a launcher', () => {
  let port: number;
  let launcher: Awaited<ReturnType<typeof startLauncher>>;
  const ask = () => sendBytes({ host: '127.0.0.1', port }, `${uid}\n`);
  const start = async (text: string) => {
    writeFileSync(conf, text);
    launcher = await startLauncher([`--directory=${directory}/run`], { env: { KRB5_CONFIG: conf } });
    port = launcher.port;
  };
  const lines = (what: string) => launcher.stderr().split(what).length - 1;

  it('goes by a changed krb5.conf within two seconds, and back', async () => {
    await start('[ccapi]\n');
    expect(await ask()).toContain('S.ccapi');
    replace(`[ccapi]\n deny = ${uid}\n`);
    const began = performance.now();
    await eventually(async () => (await ask()).includes('is not served'));
    expect(performance.now() - began).toBeLessThan(5000);
    replace('[ccapi]\n');
    await eventually(async () => (await ask()).includes('S.ccapi'));
    expect(lines('settings reloaded')).toBe(2);
  });

  it('keeps what is in force where the file is wrong, and says so once', async () => {
    await start(`[ccapi]\n deny = ${uid}\n`);
    replace('[ccapi]\n no_such_key = 1\n');
    await eventually(async () => {
      expect(await ask()).toContain('is not served');
      return lines('settings stay as they were') > 0;
    });
    const before = performance.now();
    while (performance.now() - before < 2500) expect(await ask()).toContain('is not served');
    expect(launcher.stderr()).toContain(`settings stay as they were: ${conf}:2: no_such_key`);
    expect(lines('settings stay as they were')).toBe(1);
    replace('[ccapi]\n');
    await eventually(async () => (await ask()).includes('S.ccapi'));
  });

  it('reads the settings at SIGHUP', async () => {
    await start('[ccapi]\n');
    expect(await ask()).toContain('S.ccapi');
    replace(`[ccapi]\n deny = ${uid}\n`);
    launcher.launcher.kill('SIGHUP');
    await eventually(() => lines('settings reloaded') === 1);
    expect(await ask()).toContain('is not served');
  });
});

describeWith(['root', 'Linux', 'openbsd-inetd'], 'a launcher of inetd that starts with a wrong krb5.conf', () => {
  it('serves once it is mended, however busy it is meanwhile', async () => {
    const port = await freePort();
    writeFileSync(conf, '[ccapi]\n idle_timeout = nonsense\n');
    const env = cleanEnvironment({ KRB5_CONFIG: conf });
    const args = [`--directory=${directory}/run`, '--launcher-idle=5'];
    await startInetd(directory, [{ address: '127.0.0.1', port, wait: true }], args, { env });
    const ask = () => sendBytes({ host: '127.0.0.1', port }, `${uid}\n`);
    expect(await ask()).toContain(`${conf}:2: idle_timeout`);
    replace('[ccapi]\n');
    // Never idle for the second after which it would leave.
    for (const until = performance.now() + 4000; performance.now() < until; await delay(300)) {
      if ((await ask()).includes('S.ccapi')) return;
    }
    expect(await ask()).toContain('S.ccapi');
  });
});

describeWith(['root', 'Linux', 'openbsd-inetd'], 'a launcher of inetd that has read its settings anew', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];

  it('leaves the workers that run to their users, also the one that was started beside it', async () => {
    const port = await freePort();
    writeFileSync(conf, '[ccapi]\n');
    const env = cleanEnvironment({ KRB5_CONFIG: conf });
    const base = `${directory}/run`;
    const args = [`--directory=${base}`, '--launcher-idle=100'];
    await startInetd(directory, [{ address: '127.0.0.1', port, wait: true }], args, { env });
    const ask = (asked: number) => sendBytes({ host: '127.0.0.1', port }, `${asked}\n`);
    expect(await ask(alice.uid)).toContain('S.ccapi');
    const [first] = workersBelow(base) as [number];
    for (const change of [' deny = 4000000000\n', ' scope = session\n', '']) {
      replace(`[ccapi]\n${change} deny = ${uid}\n`);
      await eventually(async () => (await ask(uid)).includes('is not served'));
      expect(await ask(bob.uid)).toContain('S.ccapi');
      replace(`[ccapi]\n${change}`);
      await eventually(async () => (await ask(uid)).includes('S.ccapi'));
      expect(await ask(bob.uid)).toContain('S.ccapi');
      expect(hasEnded(first)).toBe(false);
    }
  });
});
