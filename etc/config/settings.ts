import { ConfigError } from '../../proto/errors.ts';
import type { SettingsReport } from '../../proto/status.ts';
import { type AccessRule, uidPatternText } from './access-rules.ts';
import { krb5ConfPaths, readSection } from './krb5-conf.ts';
import type { Kind } from './setting-types.ts';
import {
  type SettingName,
  type Settings,
  settingNameInFile,
  settingNameOnCommandLine,
  settingNames,
  settingsTable,
} from './settings-table.ts';

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
    settingNames.map((name) => [name, { value: settingsTable[name].default, where: undefined }]),
  );
  const fromFile = valuesInFile(env, looked);
  for (const [i, name] of precedence.entries()) {
    const variable = `CCAPI_${settingNameInFile(name).toUpperCase()}`;
    const option = `--${settingNameOnCommandLine(name)}`;
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
    const name = settingNames.find((candidate) => settingNameInFile(candidate) === key);
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
  return Object.fromEntries(settingNames.map((name) => [settingNameOnCommandLine(name), { type: 'string' }]));
}

/** The settings among the values that `parseArgs` found. */
export function settingsFromOptions(values: Record<string, unknown>): SettingTexts {
  const given = settingNames.flatMap((name) => {
    const value = values[settingNameOnCommandLine(name)];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  return Object.fromEntries(given);
}

/** Setting texts as arguments for another program of ours. */
export function settingArguments(texts: SettingTexts): string[] {
  return settingNames.flatMap((name) =>
    texts[name] === undefined ? [] : [`--${settingNameOnCommandLine(name)}=${texts[name]}`],
  );
}

/** The lines of a usage text that describe the settings. */
export function settingsUsage(): string {
  return settingNames
    .map((name) => `  --${settingNameOnCommandLine(name).padEnd(16)} ${settingsTable[name].meaning}`)
    .join('\n');
}

/** The order of rules that do not come from a file: `deny` goes first. */
const precedence = [...settingNames].sort((a, b) => Number(b === 'deny') - Number(a === 'deny'));

/** A value as a person would write it. */
function settingText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.map(settingText).join(' ');
  if (value !== null && typeof value === 'object')
    return 'text' in value ? String(value.text) : uidPatternText((value as AccessRule).pattern);
  return value === undefined ? '' : String(value);
}

function parsed(name: SettingName, text: string, where: string, order: number): unknown {
  const { parse, expected } = settingsTable[name] as Kind<unknown>;
  const value = parse(text, order);
  if (value === undefined) {
    throw new ConfigError(`${where}: ${JSON.stringify(text)} is not ${expected}`);
  }
  return value;
}
