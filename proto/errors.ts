import { errorCodes } from './error-codes.ts';

/** A code of the table in `error-codes.ts`, by its name. */
export type ErrorName = keyof typeof errorCodes;

const nameOf = new Map<number, ErrorName>(
  (Object.keys(errorCodes) as ErrorName[]).map((name) => [errorCodes[name].code, name]),
);

/**
 * The one error of this project: a code of the protocol, its name, and a message that says what was wrong, where, and
 * what to do. A server may answer any signed 32-bit number; one that the table does not know is named `error <code>`.
 */
export class CCAPIError extends Error {
  readonly code: number;

  constructor(code: ErrorName | number, message?: string, options?: ErrorOptions) {
    const number = typeof code === 'number' ? code : errorCodes[code].code;
    const name = nameOf.get(number);
    super(message ?? (name ? errorCodes[name].meaning : `the server answered error ${number}`), options);
    this.code = number;
    this.name = name ?? `error ${number}`;
  }

  /** Whether `error` is a CCAPIError, with this code if one is named. */
  static is(error: unknown, name?: ErrorName): error is CCAPIError {
    return error instanceof CCAPIError && (name === undefined || error.code === errorCodes[name].code);
  }
}
