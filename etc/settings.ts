import { CCAPIError } from '../proto/error.ts';
import { type AccessRule, parseWhom } from './access-rules.ts';
import { krb5ConfPaths, readSection } from './krb5-conf.ts';
import { isPathTemplate } from './path-template.ts';
import { parseServerURI, parseServerURIs, type ServerURI } from './server-uri.ts';

/** A kind of value: how its text is read, and how a person is told what is allowed. */
interface Kind<T> {
  expected: string;
  /** The value, or undefined where the text is none. `order` is the line's place among those of the file. */
  parse(text: string, order: number): T | undefined;
  /** Joins what several lines of the file say; without it the first line counts. */
  join?(values: T[]): T;
}

interface Setting<T> extends Kind<T> {
  default: T;
  /** One sentence for a person, with the unit. */
  meaning: string;
}

function setting<T>(kind: Kind<T>, initial: NoInfer<T>, meaning: string): Setting<T> {
  return { ...kind, default: initial, meaning };
}

const boolean: Kind<boolean> = {
  expected: 'yes or no',
  parse: (text) =>
    /^(y|yes|t|true|1|on)$/i.test(text) ? true : /^(n|no|f|false|nil|0|off)$/i.test(text) ? false : undefined,
};

function choice<const T extends string>(...words: T[]): Kind<T> {
  return { expected: words.join(' or '), parse: (text) => words.find((word) => word === text) };
}

function integer(min: number, max: number): Kind<number> {
  return {
    expected: `a number from ${min} to ${max}`,
    parse: (text) =>
      /^[0-9]{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined,
  };
}

/** Seconds, from the forms that libkrb5 takes for durations: `90`, `1h30m`, `1:30`, `1:30:00`. */
function duration(min: number, max: number): Kind<number> {
  return {
    expected: `a duration such as 90, 10m, 1h30m or 1:30:00, from ${min} to ${max} seconds`,
    parse: (text) => {
      const seconds = durationInSeconds(text);
      return seconds !== undefined && seconds >= min && seconds <= max ? seconds : undefined;
    },
  };
}

/** A number of bytes, from `1048576`, `1024k`, `256m`, `1g`. */
function bytes(min: number, max: number): Kind<number> {
  return {
    expected: `a number of bytes such as 65536, 64k, 256m or 1g, from ${min} to ${max}`,
    parse: (text) => {
      const [, digits, unit = ''] = /^([0-9]{1,12})([kmg]?)$/i.exec(text) ?? [];
      const size = Number(digits) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
      return size >= min && size <= max ? size : undefined;
    },
  };
}

/** Rules of who is served; each line adds to those before it. */
const accessRules: Kind<AccessRule[]> = {
  expected: 'users, @groups and ranges of uids, such as "alice @staff 1000-60000 *"',
  parse: (text, order) => parseWhom(text)?.map((whom) => ({ whom, order })),
  join: (values) => values.flat(),
};

/** Where clients go. */
const serverURIs: Kind<ServerURI[] | undefined> = {
  expected:
    'inetd://HOST[:PORT], unix:///PATH, ssh://[USER@]HOST[:PORT][/PATH/TO/ccapi] or exec:COMMAND, or several of them',
  parse: parseServerURIs,
};

/** A program and its arguments. */
const command: Kind<readonly [string, ...string[]]> = {
  expected: 'a program and its arguments',
  parse: (text) => {
    const uri = parseServerURI(`exec:${text}`);
    return uri?.scheme === 'exec' ? uri.command : undefined;
  },
};

const absolutePath: Kind<string | undefined> = {
  // A socket's path is at most 107 bytes on Linux, and `/<uid>/S.ccapi` comes behind the directory.
  expected: 'an absolute path of at most 80 bytes without "." and ".."',
  parse: (text) =>
    /^(\/[^/]+)+$/.test(text) && !/\/\.{1,2}(\/|$)/.test(text) && Buffer.byteLength(text) <= 80 ? text : undefined,
};

const pathTemplate: Kind<string | undefined> = {
  expected: 'an absolute path, or one below ~, of at most 80 bytes with %u or %n in it where it is not below ~',
  parse: (text) => (isPathTemplate(text) ? text : undefined),
};

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
  scope: setting(
    choice('user', 'session'),
    'user',
    'whether all login sessions of a user share their ccaches, or each has its own',
  ),
  idleTimeout: setting(duration(1, 31_536_000), 600, 'seconds without a request after which a worker may leave'),
  launcherIdle: setting(duration(1, 31_536_000), 60, 'seconds without a connection after which a launcher leaves'),
  persist: setting(
    choice('auto', 'always', 'never'),
    'auto',
    'whether ccaches are kept in files: where the directory is in memory, always, or never',
  ),
  verifyUid: setting(boolean, true, "whether the launcher holds a claim against the kernel's word on the peer's uid"),
  allow: setting(
    accessRules,
    [],
    'whom the launcher serves; of allow and deny the first line that means somebody decides',
  ),
  deny: setting(accessRules, [], 'whom it does not serve; on a command line and in the environment this goes first'),
  unknownUids: setting(choice('refuse', 'allow'), 'refuse', 'what is done for a uid that the passwd database lacks'),
  rootAccess: setting(boolean, false, 'whether a worker serves root beside its owner'),
  maxCaches: setting(integer(1, 1_000_000), 10_000, 'ccaches that a worker holds'),
  maxCredentials: setting(integer(1, 100_000_000), 1_000_000, 'credentials in all of them together'),
  maxBytes: setting(bytes(65_536, 2 ** 40), 2 ** 30, 'bytes of all credentials together'),
  maxConnections: setting(integer(1, 1_000_000), 4096, 'connections that a worker has at once'),
  maxFrame: setting(bytes(65_536, 2 ** 28), 2 ** 24, 'bytes of one request; whoever sends a longer one is cut off'),
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
  maxLauncherConnections: setting(integer(1, 100_000), 1000, 'connections that a launcher has at once'),
  maxLauncherConnectionsPerUid: setting(
    integer(1, 100_000),
    200,
    'connections that a launcher has at once with one uid',
  ),
  server: setting(
    serverURIs,
    undefined,
    'where a client finds its server, in the place of all else; several are tried in turn',
  ),
  rsh: setting(command, ['ssh'], 'the program that logs in for ssh://'),
  autostart: setting(boolean, true, 'whether a client starts a launcher of its own where none answers'),
};

/** The name of a setting in the code. */
export type SettingName = keyof typeof settingsTable;

/** Every setting with its value. Durations are seconds; `port` and `directory` are undefined where nobody set them. */
export type Settings = { [Name in SettingName]: (typeof settingsTable)[Name]['default'] };

/** Text given for settings, by their names: what a command line gave, to be read or to be handed on. */
export type SettingTexts = { [Name in SettingName]?: string };

/** Where {@link loadSettings} looks, in falling order of precedence; krb5.conf is found through the environment. */
export interface SettingSources {
  commandLine?: SettingTexts;
  env?: NodeJS.ProcessEnv;
}

/**
 * The settings in force: command line over environment over the section `[ccapi]` of krb5.conf over defaults; of several
 * lines the first, but for those that add up. Throws
 * 202 (`ccErrBadParam`) naming the file, line and key, the variable or the option, for a key that there is not and for a
 * value that its setting does not allow. An empty variable counts as unset.
 */
export function loadSettings({ commandLine = {}, env = process.env }: SettingSources = {}): Settings {
  const values: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, settingsTable[name].default]));
  const fromFile = valuesInFile(env);
  for (const [i, name] of precedence.entries()) {
    const variable = `CCAPI_${inFile(name).toUpperCase()}`;
    const option = commandLine[name];
    const fromEnv = env[variable];
    if (option !== undefined) values[name] = parsed(name, option, `--${onCommandLine(name)}`, i);
    else if (fromEnv) values[name] = parsed(name, fromEnv, variable, i);
    else if (fromFile.has(name)) values[name] = fromFile.get(name);
  }
  return values as Settings;
}

/** What the file says. A bad line is an error even where something else outranks it: it would bite somebody else later. */
function valuesInFile(env: NodeJS.ProcessEnv): Map<SettingName, unknown> {
  const found = new Map<SettingName, unknown[]>();
  for (const [order, { key, value, file, line }] of readSection(krb5ConfPaths(env), 'ccapi').entries()) {
    const where = `${file}:${line}: ${key}`;
    const name = names.find((candidate) => inFile(candidate) === key);
    if (!name) throw new CCAPIError('ccErrBadParam', `${where}: there is no such setting in [ccapi]`);
    found.set(name, [...(found.get(name) ?? []), parsed(name, value, where, order)]);
  }
  return new Map(
    [...found].map(([name, values]) => [name, (settingsTable[name] as Kind<unknown>).join?.(values) ?? values[0]]),
  );
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

/** What no file puts into an order stands in this: whom to deny is asked first. */
const precedence = [...names].sort((a, b) => Number(b === 'deny') - Number(a === 'deny'));

function inFile(name: SettingName): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function onCommandLine(name: SettingName): string {
  return inFile(name).replaceAll('_', '-');
}

function parsed(name: SettingName, text: string, where: string, order: number): unknown {
  const { parse, expected } = settingsTable[name] as Kind<unknown>;
  const value = parse(text, order);
  if (value === undefined) {
    throw new CCAPIError('ccErrBadParam', `${where}: ${JSON.stringify(text)} is not ${expected}`);
  }
  return value;
}

function durationInSeconds(text: string): number | undefined {
  const clock = /^(\d{1,6}):(\d{1,2})(?::(\d{1,2}))?$/.exec(text);
  if (clock) return Number(clock[1]) * 3600 + Number(clock[2]) * 60 + Number(clock[3] ?? 0);
  const parts = /^(?:(\d{1,6})d)?\s*(?:(\d{1,7})h)?\s*(?:(\d{1,9})m)?\s*(?:(\d{1,10})s?)?$/.exec(text);
  if (!parts || text.trim() === '') return undefined;
  const [days, hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
  ];
  return ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
}
