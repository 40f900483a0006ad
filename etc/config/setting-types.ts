import { type AccessRule, parseUidPatterns } from './access-rules.ts';
import { isPathTemplate, isPlainPath } from './path-template.ts';
import { parseRedirect, type Redirect } from './redirect.ts';
import { parseServerURI, parseServerURIs, type ServerURI } from './server-uri.ts';

/** A kind of value: how its text is read, and how a person is told what is allowed. */
export interface Kind<T> {
  expected: string;
  /** The value, or undefined where the text is none. `order` is the line's place among those of the file. */
  parse(text: string, order: number): T | undefined;
  /** Joins what several lines of the file say; without it the first line counts. */
  join?(values: T[]): T;
}

/** A switch, in the words that libkrb5 takes. */
export const boolean: Kind<boolean> = {
  expected: 'yes or no',
  parse: (text) =>
    /^(y|yes|t|true|1|on)$/i.test(text) ? true : /^(n|no|f|false|nil|0|off)$/i.test(text) ? false : undefined,
};

/** One of a few words. */
export function choice<const T extends string>(...words: T[]): Kind<T> {
  return { expected: words.join(' or '), parse: (text) => words.find((word) => word === text) };
}

/** A number. */
export function integer(min: number, max: number): Kind<number> {
  return {
    expected: `a number from ${min} to ${max}`,
    parse: (text) =>
      /^[0-9]{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined,
  };
}

/** Seconds, from the forms that libkrb5 takes for durations: `90`, `1h30m`, `1:30`, `1:30:00`. */
export function duration(min: number, max: number): Kind<number> {
  return {
    expected: `a duration such as 90, 10m, 1h30m or 1:30:00, from ${min} to ${max} seconds`,
    parse: (text) => {
      const seconds = durationInSeconds(text);
      return seconds !== undefined && seconds >= min && seconds <= max ? seconds : undefined;
    },
  };
}

/** A number of bytes, from `1048576`, `1024k`, `256m`, `1g`. */
export function bytes(min: number, max: number): Kind<number> {
  return {
    expected: `a number of bytes such as 65536, 64k, 256m or 1g, from ${min} to ${max}`,
    parse: (text) => {
      const [, digits, unit = ''] = /^([0-9]{1,12})([kmg]?)$/i.exec(text) ?? [];
      const size = Number(digits) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
      return size >= min && size <= max ? size : undefined;
    },
  };
}

/** How much space a user's directory has: a file system of its own of that size, of one chosen by the memory, or none. */
export const userSpace: Kind<'no' | 'auto' | number> = {
  expected: 'no, auto, or a number of bytes such as 64m or 1g, from 1048576',
  parse: (text, order) => (text === 'no' || text === 'auto' ? text : bytes(2 ** 20, 2 ** 40).parse(text, order)),
};

/** Rules of who is served; each line adds to those before it. */
export const accessRules: Kind<AccessRule[]> = {
  expected: 'users, @groups and ranges of uids, such as: alice @staff @domain\\ users 1000-60000 *',
  parse: (text, order) => parseUidPatterns(text)?.map((pattern) => ({ pattern, order })),
  join: (values) => values.flat(),
};

/** Where clients go. */
export const serverURIs: Kind<ServerURI[] | undefined> = {
  expected:
    'inetd://HOST[:PORT], unix:///PATH, ssh://[USER@]HOST[:PORT][/PATH/TO/ccapi] or exec:COMMAND, or several of them',
  parse: parseServerURIs,
};

/** Rules of where clients go; each line adds to those before it. */
export const redirectRules: Kind<Redirect[]> = {
  expected: 'users, @groups, ranges of uids and service:NAME, and behind them a URI or "."',
  parse: (text) => {
    const rule = parseRedirect(text);
    return rule && [rule];
  },
  join: (values) => values.flat(),
};

/** A program and its arguments. */
export const command: Kind<readonly [string, ...string[]]> = {
  expected: 'a program and its arguments',
  parse: (text) => {
    const uri = parseServerURI(`exec:${text}`);
    return uri?.scheme === 'exec' ? uri.command : undefined;
  },
};

/** A place for the users' directories. */
export const absolutePath: Kind<string | undefined> = {
  // A socket's path is at most 107 bytes on Linux, and `/<uid>/S.ccapi` comes behind the directory.
  expected: 'an absolute path of at most 80 bytes without "." and "..", ":" and control characters',
  parse: (text) => (isPlainPath(text) && Buffer.byteLength(text) <= 80 ? text : undefined),
};

/** The place of a user's directory. */
export const pathTemplate: Kind<string | undefined> = {
  expected:
    'an absolute path, or one below ~, of at most 80 bytes without ":" and control characters, with %u or %n in it where it is not below ~',
  parse: (text) => (isPathTemplate(text) ? text : undefined),
};

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
