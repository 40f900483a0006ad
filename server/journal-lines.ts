import type { KeptLine, Lines } from './kept-state.ts';

type Check = (value: unknown) => boolean;

const MAX_U32 = 0xffff_ffff;

const isNumber =
  (least: number, most: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
const isText: Check = (value) => typeof value === 'string';
const matches =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

const u32 = isNumber(0, MAX_U32);
/** Lists are numbered below this (`identifiers.ts`); ccaches have 48 bits. */
const listNumber = isNumber(0, 2 ** 39 - 1);
const ccacheNumber = isNumber(0, 2 ** 48 - 1);
const count = isNumber(0, Number.MAX_SAFE_INTEGER);
const nameType = optional(isNumber(-(2 ** 31), MAX_U32));

const contents = { list: listNumber, principal: isText, type: nameType, offset: optional(u32) };

/** What each key of a line has to be, by the kind of the line, which is its first key. */
const keys: { readonly [Kind in keyof Lines]: Readonly<Record<string, Check>> } = {
  ccapi: {
    ccapi: isNumber(1, 1),
    server: matches(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
    seed: matches(/^[0-9a-f]{8}$/),
    ccaches: ccacheNumber,
    lists: listNumber,
    changed: u32,
    unique: count,
    awaited: orNull(isText),
  },
  made: {
    made: ccacheNumber,
    name: isText,
    lastDefault: u32,
    first: optional((value) => typeof value === 'boolean'),
    unique: optional(count),
    changed: optional(u32),
    changes: optional(count),
    ...contents,
  },
  replaced: { replaced: ccacheNumber, ...contents },
  destroyed: { destroyed: ccacheNumber },
  moved: { moved: ccacheNumber, to: ccacheNumber, name: optional(isText), at: optional(u32) },
  default: { default: ccacheNumber, at: u32 },
  awaited: { awaited: orNull(isText) },
  principal: { principal: isText, of: ccacheNumber },
  offset: { offset: orNull(u32), of: ccacheNumber },
};

/** A line of a journal with the keys of its kind and no others. Throws `SyntaxError` where one is missing or is wrong. */
export function checkedLine(line: unknown): KeptLine {
  const given = typeof line === 'object' && line !== null ? (line as Record<string, unknown>) : {};
  const [kind = ''] = Object.keys(given);
  if (!Object.hasOwn(keys, kind)) throw new SyntaxError(`a line of kind ${JSON.stringify(kind)}`);
  const checked: Record<string, unknown> = {};
  for (const [key, check] of Object.entries(keys[kind as keyof Lines])) {
    const value = Object.hasOwn(given, key) ? given[key] : undefined;
    if (!check(value)) throw new SyntaxError(`a line of kind ${kind} with ${key} = ${JSON.stringify(value)}`);
    if (value !== undefined) checked[key] = value;
  }
  return checked as unknown as KeptLine;
}

/** What the header of a list's file says of it; undefined where that is not what this program writes. */
export function checkedOrigin(origin: unknown): { server: string; list: number; name: string } | undefined {
  const { server, list, name } = (origin ?? {}) as Record<string, unknown>;
  return isText(server) && isText(name) && listNumber(list) ? (origin as ReturnType<typeof checkedOrigin>) : undefined;
}
