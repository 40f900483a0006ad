import { type MessageName, messages, type Request } from '../proto/ccapi.ts';
import { credentialFields, credentialUnion, onlyV5 } from '../proto/credential.ts';
import { CCAPIError } from '../proto/errors.ts';
import { data, dataArray, type Field, type Layout, string, time, u32 } from '../proto/fields.ts';
import { identifier } from '../proto/identifier.ts';

/** Throws where a value is not what it has to be; `name` is what the caller knows it by. */
type Check = (value: unknown, name: string) => void;

// A message never says what the value is: it may be a key.
function fail(name: string, expected: string, value: unknown): never {
  throw new CCAPIError('ccErrBadParam', `${name} must be ${expected}, not ${value === null ? 'null' : typeof value}`);
}

const isText: Check = (value, name) => {
  if (typeof value !== 'string') fail(name, 'a string', value);
};

/** Signed or unsigned: a KDC offset is the one, flags are the other. */
const is32Bits: Check = (value, name) => {
  if (!Number.isInteger(value) || (value as number) < -(2 ** 31) || (value as number) >= 2 ** 32)
    fail(name, 'a whole number of 32 bits', value);
};

const isData: Check = (value, name) => {
  if (typeof value !== 'object' || value === null) fail(name, 'an object with type and data', value);
  const { type, data } = value as Record<string, unknown>;
  is32Bits(type, `${name}.type`);
  if (!(data instanceof Uint8Array)) fail(`${name}.data`, 'a Buffer', data);
};

const isDataArray: Check = (value, name) => {
  if (!Array.isArray(value)) fail(name, 'an array', value);
  for (const [index, one] of value.entries()) isData(one, `${name}[${index}]`);
};

const isIdentifier: Check = (value, name) => {
  if (typeof value !== 'object' || value === null) fail(name, 'what a context has given', value);
  const { server, object } = value as Record<string, unknown>;
  isText(server, `${name}.server`);
  isText(object, `${name}.object`);
};

const isCredential: Check = (value, name) => {
  if (typeof value !== 'object' || value === null) fail(name, 'a credential', value);
  checkFields(credentialFields, value as Record<string, unknown>, `${name}.`);
};

const checks = new Map<Field<never>, Check>([
  [string, isText],
  [u32, is32Bits],
  [time, is32Bits],
  [onlyV5, is32Bits],
  [data, isData],
  [dataArray, isDataArray],
  [identifier, isIdentifier],
  [credentialUnion, isCredential],
] as [Field<never>, Check][]);

function checkFields(layout: Layout, values: Record<string, unknown>, prefix = ''): void {
  for (const name in layout) (checks.get(layout[name] as Field<never>) as Check)(values[name], `${prefix}${name}`);
}

/**
 * Checks what a message is to carry, for callers in plain JavaScript: throws 202 (`ccErrBadParam`) with the name of what is
 * wrong. Written unchecked a wrong type would be another value: a lock of type 'read' would be one of type 0.
 */
export function checkRequest<Name extends MessageName>(name: Name, request: Request<Name>): void {
  checkFields(messages[name].request, request as Record<string, unknown>);
}

/** Checks what a lock or a wait is told beside its message. */
export function checkWaiting(block: unknown, signal: unknown): void {
  if (typeof block !== 'boolean') fail('block', 'a boolean', block);
  if (signal !== undefined && !(signal instanceof AbortSignal)) fail('signal', 'an AbortSignal', signal);
}

/** Checks that options are an object. */
export function checkOptions(value: unknown): void {
  if (typeof value !== 'object' || value === null) fail('options', 'an object', value);
}

/** Checks that an argument is an object of a class of the library. */
export function checkInstance(value: unknown, type: abstract new (...args: never) => unknown, name: string): void {
  if (!(value instanceof type)) fail(name, `a ${type.name}`, value);
}
