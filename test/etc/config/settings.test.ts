import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSettings, settingArguments, settingsFromOptions } from '../../../etc/config/settings.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';

function configured(...lines: string[]): { KRB5_CONFIG: string } {
  const path = join(temporaryDirectory(), 'krb5.conf');
  writeFileSync(path, ['[ccapi]', ...lines, ''].join('\n'));
  return { KRB5_CONFIG: path };
}

describe('the settings', () => {
  it('have defaults', () => {
    expect(loadSettings({ env: { KRB5_CONFIG: '/nonexistent' } })).toEqual({
      port: undefined,
      directory: undefined,
      pathTemplate: undefined,
      scope: 'user',
      userSpace: 'no',
      idleTimeout: 600,
      aloneTimeout: 2,
      launcherIdle: 600,
      persist: 'auto',
      verifyUid: true,
      allow: [],
      deny: [],
      unknownUids: 'refuse',
      rootAccess: false,
      maxCaches: 10_000,
      maxCredentials: 1_000_000,
      maxBytes: 2 ** 30,
      maxConnections: 4096,
      maxSessions: 32,
      maxFrame: 2 ** 24,
      maxOutput: 2 ** 20,
      purgeExpired: 86_400,
      renew: false,
      maxLauncherConnections: 4096,
      maxLauncherConnectionsPerUid: 1024,
      server: undefined,
      redirect: [],
      rsh: ['ssh'],
      autostart: true,
    });
  });

  it('are read from krb5.conf, the first value of a key', () => {
    const env = configured(
      'port = 1234',
      'idle_timeout = 1h30m',
      'verify_uid = no',
      'port = 5',
      'unknown_uids = allow',
    );
    expect(loadSettings({ env })).toMatchObject({
      port: 1234,
      idleTimeout: 5400,
      verifyUid: false,
      unknownUids: 'allow',
    });
  });

  it('are taken from the command line before the environment before the file', () => {
    const env = {
      ...configured('port = 1', 'idle_timeout = 1', 'launcher_idle = 1'),
      CCAPI_PORT: '2',
      CCAPI_IDLE_TIMEOUT: '2',
    };
    expect(loadSettings({ env, commandLine: { port: '3' } })).toMatchObject({
      port: 3,
      idleTimeout: 2,
      launcherIdle: 1,
    });
  });

  it('take an empty variable for none', () => {
    expect(loadSettings({ env: { ...configured('port = 1'), CCAPI_PORT: '' } })).toMatchObject({ port: 1 });
  });

  it.each([
    ['90', 90],
    ['90s', 90],
    ['10m', 600],
    ['1h', 3600],
    ['1d', 86400],
    ['1d2h3m4s', 93784],
    ['1h 30m', 5400],
    ['1:30', 5400],
    ['0:01:30', 90],
  ])('read the duration %s as %i seconds', (text, seconds) => {
    expect(loadSettings({ env: configured(`idle_timeout = ${text}`) }).idleTimeout).toBe(seconds);
  });

  it.each(['y', 'yes', 'true', 't', '1', 'on', 'YES'])('read %s as yes', (text) => {
    expect(loadSettings({ env: configured(`autostart = ${text}`) }).autostart).toBe(true);
  });

  it.each([
    ['port = 0', 'port: "0" is not a number from 1 to 65535'],
    ['port = 65536', 'port: "65536" is not a number from 1 to 65535'],
    ['port = http', 'port: "http" is not a number'],
    ['directory = run/ccapi', 'directory: "run/ccapi" is not an absolute path'],
    ['directory = /run/../etc', 'directory: "/run/../etc" is not an absolute path'],
    [`directory = /${'x'.repeat(80)}`, 'is not an absolute path of at most 80 bytes'],
    ['directory = /run/a:b', 'is not an absolute path'],
    ['directory = "/run/a\\nCCAPI/1 ok path=/tmp"', 'is not an absolute path'],
    ['path_template = "/run/a\\n/%u"', 'is not an absolute path'],
    ['path_template = /run/ccapi', 'path_template: "/run/ccapi" is not an absolute path, or one below ~'],
    ['path_template = ~/../%u', 'is not an absolute path'],
    ['path_template = /run/%x/%u', 'is not an absolute path'],
    ['path_template = /run/%u%', 'is not an absolute path'],
    ['path_template = run/%u', 'is not an absolute path'],
    ['scope = machine', 'scope: "machine" is not user or session'],
    ['idle_timeout = soon', 'idle_timeout: "soon" is not a duration'],
    ['idle_timeout = 0', 'idle_timeout: "0" is not a duration'],
    ['idle_timeout = -1', 'idle_timeout: "-1" is not a duration'],
    ['verify_uid = perhaps', 'verify_uid: "perhaps" is not yes or no'],
    ['max_bytes = 1', 'max_bytes: "1" is not a number of bytes'],
    ['max_frame = 2 g', 'max_frame: "2 g" is not a number of bytes'],
    ['max_frame = 257m', 'max_frame: "257m" is not a number of bytes'],
    ['allow = 5-3', 'allow: "5-3" is not users, @groups and ranges'],
    ['deny = a:b', 'deny: "a:b" is not users'],
    ['redirect = ssh://x', 'redirect: "ssh://x" is not users, @groups, ranges of uids and service:NAME'],
    ['redirect = alice gopher://x', 'redirect: "alice gopher://x" is not users'],
    ['server = gopher://x', 'server: "gopher://x" is not inetd://HOST'],
    ['unknown_uids = yes', 'unknown_uids: "yes" is not refuse or allow'],
    ['idle-timeout = 1', 'idle-timeout: there is no such setting'],
    ['colour = blue', 'colour: there is no such setting'],
  ])('refuse %j, naming file, line and key', (line, message) => {
    const env = configured('', line);
    expect(() => loadSettings({ env })).toThrow(
      expect.objectContaining({ code: 202, message: expect.stringContaining(message) }),
    );
    expect(() => loadSettings({ env })).toThrow(`${env.KRB5_CONFIG}:3: `);
  });

  it('refuse a bad line also where something outranks it', () => {
    expect(() => loadSettings({ env: { ...configured('port = x'), CCAPI_PORT: '1' } })).toThrow(':2: port');
  });

  it('name the variable or the option that is wrong', () => {
    expect(() => loadSettings({ env: { KRB5_CONFIG: '/x', CCAPI_PORT: 'x' } })).toThrow('CCAPI_PORT: "x" is not');
    expect(() => loadSettings({ env: { KRB5_CONFIG: '/x' }, commandLine: { launcherIdle: 'x' } })).toThrow(
      '--launcher-idle: ',
    );
  });

  it.each([
    ['max_frame = 65536', 65_536],
    ['max_frame = 64k', 65_536],
    ['max_frame = 256M', 2 ** 28],
    ['max_bytes = 1g', 2 ** 30],
  ])('read %s as %i bytes', (line, size) => {
    const { maxFrame, maxBytes } = loadSettings({ env: configured(line) });
    expect(line.startsWith('max_frame') ? maxFrame : maxBytes).toBe(size);
  });

  it('add the lines of allow and deny up, and know their order', () => {
    const { allow, deny } = loadSettings({ env: configured('allow = alice @staff', 'deny = 0-999, bob', 'allow = *') });
    expect(allow).toEqual([
      { pattern: { user: 'alice' }, order: 0 },
      { pattern: { group: 'staff' }, order: 0 },
      { pattern: { from: 0, to: 2 ** 32 - 2 }, order: 2 },
    ]);
    expect(deny).toEqual([
      { pattern: { from: 0, to: 999 }, order: 1 },
      { pattern: { user: 'bob' }, order: 1 },
    ]);
  });

  it('go from one program to another as they were given', () => {
    const given = settingsFromOptions({ 'idle-timeout': '10m', help: true });
    expect(given).toEqual({ idleTimeout: '10m' });
    expect(settingArguments({ ...given, directory: '/d' })).toEqual(['--directory=/d', '--idle-timeout=10m']);
  });
});
