import { ConfigError } from '../../proto/errors.ts';
import type { SettingsReport } from '../../proto/status.ts';
import { type AccessRule, uidPatternText } from './access-rules.ts';
import { krb5ConfPaths, readSection } from './krb5-conf.ts';
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

/** Text given for settings, by their names: what a command line gave, to be read or to be handed on. */
export type SettingTexts = { [Name in SettingName]?: string };

/** Where {@link loadSettings} looks, in falling order of precedence; krb5.conf is found through the environment. */
interface SettingSources {
  commandLine?: SettingTexts;
  env?: NodeJS.ProcessEnv;
  /** Told each file and directory before it is read, also one that is missing. */
  looked?: (path: string) => void;
}

/** A setting in force, and where it was set: a variable, an option, `file:line`, or nowhere. */
interface SettingInForce {
  value: unknown;
  where: string | undefined;
}

/**
 * The settings in force: command line over environment over the section `[ccapi]` of krb5.conf over defaults; of several
 * lines the first, but for those that add up. Throws
 * 202 (`ccErrBadParam`) naming the file, line and key, the variable or the option, for a key that there is not and for a
 * value that its setting does not allow. An empty variable counts as unset.
 */
export function loadSettings(sources: SettingSources = {}): Settings {
  return settingsOf(settingsInForce(sources));
}

/** The values of settings alone. */
export function settingsOf(inForce: ReadonlyMap<SettingName, SettingInForce>): Settings {
  return Object.fromEntries([...inForce].map(([name, { value }]) => [name, value])) as Settings;
}

/** The same, each with where it was set. */
export function settingsInForce({
  commandLine = {},
  env = process.env,
  looked,
}: SettingSources = {}): Map<SettingName, SettingInForce> {
  const inForce = new Map<SettingName, SettingInForce>(
    names.map((name) => [name, { value: settingsTable[name].default, where: undefined }]),
  );
  const fromFile = valuesInFile(env, looked);
  for (const [i, name] of precedence.entries()) {
    const variable = `CCAPI_${settingNameInFile(name).toUpperCase()}`;
    const option = `--${onCommandLine(name)}`;
    const given = commandLine[name];
    const fromEnv = env[variable];
    const found = fromFile.get(name);
    if (given !== undefined) inForce.set(name, { value: parsed(name, given, option, i), where: option });
    else if (fromEnv) inForce.set(name, { value: parsed(name, fromEnv, variable, i), where: variable });
    else if (found) inForce.set(name, found);
  }
  return inForce;
}

/** Those settings as they are reported: of each key its value as a person writes it, and where it was set. */
export function settingsReport(inForce: ReadonlyMap<SettingName, SettingInForce>): SettingsReport {
  return Object.fromEntries(
    [...inForce].map(([name, { value, where = 'default' }]) => [
      settingNameInFile(name),
      { value: settingText(value), where },
    ]),
  );
}

/** What the file says. A bad line is an error even where something else outranks it: it would stop another program later. */
function valuesInFile(env: NodeJS.ProcessEnv, looked?: (path: string) => void): Map<SettingName, SettingInForce> {
  const found = new Map<SettingName, { value: unknown; where: string }[]>();
  for (const [order, { key, value, file, line }] of readSection(krb5ConfPaths(env), 'ccapi', looked).entries()) {
    const where = `${file}:${line}`;
    const name = names.find((candidate) => settingNameInFile(candidate) === key);
    if (!name) throw new ConfigError(`${where}: ${key}: there is no such setting in [ccapi]`);
    const said = { value: parsed(name, value, `${where}: ${key}`, order), where };
    found.set(name, [...(found.get(name) ?? []), said]);
  }
  return new Map([...found].map(([name, lines]) => [name, joinLines(name, lines)]));
}

/** What several lines come to: all of them where they add up, else the first. */
function joinLines(name: SettingName, lines: { value: unknown; where: string }[]): SettingInForce {
  const { join } = settingsTable[name] as Kind<unknown>;
  const [first] = lines;
  if (!join) return first as SettingInForce;
  return { value: join(lines.map(({ value }) => value)), where: lines.map(({ where }) => where).join(', ') };
}

/** The settings as options for `parseArgs` of `node:util`. */
export function settingOptions(): Record<string, { type: 'string' }> {
  return Object.fromEntries(names.map((name) => [onCommandLine(name), { type: 'string' }]));
}

/** The settings among the values that `parseArgs` found. */
export function settingsFromOptions(values: Record<string, unknown>): SettingTexts {
  const given = names.flatMap((name) => {
    const value = values[onCommandLine(name)];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  return Object.fromEntries(given);
}

/** Setting texts as arguments for another program of ours. */
export function settingArguments(texts: SettingTexts): string[] {
  return names.flatMap((name) => (texts[name] === undefined ? [] : [`--${onCommandLine(name)}=${texts[name]}`]));
}

/** The lines of a usage text that describe the settings. */
export function settingsUsage(): string {
  return names.map((name) => `  --${onCommandLine(name).padEnd(16)} ${settingsTable[name].meaning}`).join('\n');
}

const names = Object.keys(settingsTable) as SettingName[];

/** The order of rules that do not come from a file: `deny` goes first. */
const precedence = [...names].sort((a, b) => Number(b === 'deny') - Number(a === 'deny'));

/** A value as a person would write it. */
function settingText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.map(settingText).join(' ');
  if (value !== null && typeof value === 'object')
    return 'text' in value ? String(value.text) : uidPatternText((value as AccessRule).pattern);
  return value === undefined ? '' : String(value);
}

/** A setting's key in krb5.conf. */
export function settingNameInFile(name: SettingName): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function onCommandLine(name: SettingName): string {
  return settingNameInFile(name).replaceAll('_', '-');
}

function parsed(name: SettingName, text: string, where: string, order: number): unknown {
  const { parse, expected } = settingsTable[name] as Kind<unknown>;
  const value = parse(text, order);
  if (value === undefined) {
    throw new ConfigError(`${where}: ${JSON.stringify(text)} is not ${expected}`);
  }
  return value;
}
