import {
  absolutePath,
  accessRules,
  boolean,
  bytes,
  choice,
  command,
  duration,
  integer,
  type Kind,
  pathTemplate,
  redirectRules,
  serverURIs,
  userSpace,
} from './setting-types.ts';

interface Setting<T> extends Kind<T> {
  default: T;
  /** One sentence for a person, with the unit. */
  meaning: string;
}

function setting<T>(kind: Kind<T>, initial: NoInfer<T>, meaning: string): Setting<T> {
  return { ...kind, default: initial, meaning };
}

/**
 * Every setting, once. A key is written with underscores in krb5.conf (`idle_timeout`), in capitals behind `CCAPI_` in
 * the environment (`CCAPI_IDLE_TIMEOUT`), with hyphens on a command line (`--idle-timeout`).
 */
export const settingsTable = {
  port: setting(
    integer(1, 65535) as Kind<number | undefined>,
    undefined,
    'TCP port of the launcher on the loopback addresses; 789, or 7789 for a launcher without root',
  ),
  directory: setting(
    absolutePath,
    undefined,
    "where each user's directory is made; /run/ccapi, or $XDG_RUNTIME_DIR/ccapi for a launcher without root",
  ),
  pathTemplate: setting(
    pathTemplate,
    undefined,
    "the user's directory, in the place of the one of that number in directory: %u is the uid, %n the name, ~ the home",
  ),
  userSpace: setting(
    userSpace,
    'no',
    "bytes of a tmpfs that a launcher of root mounts for each user's directory below directory, by memory with auto",
  ),
  scope: setting(
    choice('user', 'session'),
    'user',
    'whether all login sessions of a user share their ccaches, or each has its own',
  ),
  idleTimeout: setting(duration(1, 31_536_000), 600, 'seconds without a request after which a worker may leave'),
  aloneTimeout: setting(
    duration(1, 31_536_000),
    2,
    'seconds without a request after which a worker may leave where its user has no other process',
  ),
  launcherIdle: setting(duration(1, 31_536_000), 600, 'seconds without a connection after which a launcher leaves'),
  persist: setting(
    choice('auto', 'always', 'never'),
    'auto',
    'whether ccaches are kept in files: where the directory is in memory, always, or never',
  ),
  verifyUid: setting(boolean, true, "whether the launcher holds a claim against the kernel's word on the peer's uid"),
  allow: setting(
    accessRules,
    [],
    'who is served: users, @groups, ranges of uids; the first matching allow or deny line wins',
  ),
  deny: setting(accessRules, [], 'who is not served; on a command line and in the environment this goes first'),
  unknownUids: setting(choice('refuse', 'allow'), 'refuse', 'what is done for a uid that the passwd database lacks'),
  rootAccess: setting(boolean, false, 'whether a worker serves root beside its owner'),
  maxCaches: setting(integer(1, 1_000_000), 10_000, 'ccaches that a worker holds'),
  maxCredentials: setting(integer(1, 100_000_000), 1_000_000, 'credentials in all of them together'),
  maxBytes: setting(bytes(65_536, 2 ** 40), 2 ** 30, 'bytes of all credentials together'),
  maxConnections: setting(integer(1, 1_000_000), 4096, 'connections that a worker has at once'),
  maxSessions: setting(
    integer(1, 10_000),
    32,
    'login sessions of a user that have a worker at once, with scope = session',
  ),
  maxFrame: setting(bytes(65_536, 2 ** 28), 2 ** 24, 'bytes of one request; a connection with a longer one is closed'),
  maxOutput: setting(
    bytes(65_536, 2 ** 30),
    2 ** 20,
    'bytes of replies that a connection may leave unread; until it reads, no more of its requests are answered',
  ),
  purgeExpired: setting(
    duration(0, 315_360_000),
    86_400,
    'seconds after its end time at which a credential is removed',
  ),
  renew: setting(
    boolean,
    false,
    "whether a worker has the system's kinit renew tickets at half their life, and stays for it",
  ),
  maxLauncherConnections: setting(integer(1, 100_000), 4096, 'connections that a launcher has at once'),
  maxLauncherConnectionsPerUid: setting(
    integer(1, 100_000),
    1024,
    'connections that a launcher has at once with one uid',
  ),
  server: setting(
    serverURIs,
    undefined,
    'where a client finds its server, in the place of all else; several are tried in turn',
  ),
  redirect: setting(
    redirectRules,
    [],
    'which clients use which server, "." for the usual one; the first matching rule wins',
  ),
  rsh: setting(command, ['ssh'], 'the program that logs in for ssh://'),
  autostart: setting(boolean, true, 'whether a client starts a launcher of its own where none answers'),
};

/** The name of a setting in the code. */
export type SettingName = keyof typeof settingsTable;

/** Every setting with its value. Durations are seconds; `port` and `directory` are undefined where they are not set. */
export type Settings = { [Name in SettingName]: (typeof settingsTable)[Name]['default'] };

/** The names of all settings, in the order of the table. */
export const settingNames = Object.keys(settingsTable) as SettingName[];

/** A setting's key in krb5.conf. */
export function settingNameInFile(name: SettingName): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Its name as an option, without the two hyphens. */
export function settingNameOnCommandLine(name: SettingName): string {
  return settingNameInFile(name).replaceAll('_', '-');
}
