/**
 * Every error that travels or is thrown: the CCAPI's own (201 to 229), the few errno values that MIT's server sends
 * beside them, and those of libkrb5 that KCM carries, signed. Source: CCAPI.md#errors, KCM.md#errors;
 * MIT's `CredentialsCache.h` and `krb5_err.et`.
 */
export const errorCodes = {
  notSupported: { code: 11, meaning: 'the server does not support this request' },
  outOfMemory: { code: 12, meaning: 'a received string could not be allocated' },
  malformed: { code: 22, meaning: 'a message is short or malformed' },
  ccIteratorEnd: { code: 201, meaning: 'nothing more to iterate' },
  ccErrBadParam: { code: 202, meaning: 'an argument is missing or makes no sense' },
  ccErrNoMem: { code: 203, meaning: 'out of memory' },
  ccErrInvalidContext: { code: 204, meaning: 'the collection belongs to another server or is gone' },
  ccErrInvalidCCache: { code: 205, meaning: 'the ccache is unknown or gone' },
  ccErrInvalidString: { code: 206, meaning: 'the string is invalid' },
  ccErrInvalidCredentials: { code: 207, meaning: 'the credential is not in this ccache' },
  ccErrInvalidCCacheIterator: { code: 208, meaning: 'the ccache iterator belongs to another server' },
  ccErrInvalidCredentialsIterator: { code: 209, meaning: 'the credentials iterator is unknown or gone' },
  ccErrInvalidLock: { code: 210, meaning: 'the lock is invalid' },
  ccErrBadName: { code: 211, meaning: 'the ccache name is not acceptable' },
  ccErrBadCredentialsVersion: { code: 212, meaning: 'only version 5 credentials are supported' },
  ccErrBadAPIVersion: { code: 213, meaning: 'the API version is not supported' },
  ccErrContextLocked: { code: 214, meaning: 'the collection is locked' },
  ccErrContextUnlocked: { code: 215, meaning: 'the caller holds no lock on the collection' },
  ccErrCCacheLocked: { code: 216, meaning: 'the ccache is locked' },
  ccErrCCacheUnlocked: { code: 217, meaning: 'the caller holds no lock on the ccache' },
  ccErrBadLockType: { code: 218, meaning: 'the lock request makes no sense in this state' },
  ccErrNeverDefault: { code: 219, meaning: 'the ccache was never the default' },
  ccErrCredentialsNotFound: { code: 220, meaning: 'no credential matches' },
  ccErrCCacheNotFound: { code: 221, meaning: 'there is no ccache of that name' },
  ccErrContextNotFound: { code: 222, meaning: 'there is no such collection' },
  ccErrServerUnavailable: { code: 223, meaning: 'no credential-cache server can be reached' },
  ccErrServerInsecure: { code: 224, meaning: 'the place of the server is not safe' },
  ccErrServerCantBecomeUID: { code: 225, meaning: 'the server cannot run as the user' },
  ccErrTimeOffsetNotSet: { code: 226, meaning: 'no KDC offset is stored' },
  ccErrBadInternalMessage: { code: 227, meaning: 'the message is unknown; the two ends do not match' },
  ccErrNotImplemented: { code: 228, meaning: 'not implemented' },
  ccErrClientNotFound: { code: 229, meaning: 'the server does not know the client' },
  KRB5_CC_BADNAME: { code: -1765328245, meaning: 'the ccache name is not acceptable' },
  KRB5_CC_NOTFOUND: { code: -1765328243, meaning: 'no credential matches' },
  KRB5_CC_END: { code: -1765328242, meaning: 'there is nothing with this UUID any more' },
  KRB5_FCC_NOFILE: { code: -1765328189, meaning: 'there is no such ccache' },
  KRB5_FCC_INTERNAL: { code: -1765328188, meaning: 'the operation is not served' },
  KRB5_CC_WRITE: { code: -1765328187, meaning: 'the ccache could not be written' },
  KRB5_CC_FORMAT: { code: -1765328185, meaning: 'the arguments are malformed' },
  KRB5_CC_NOSUPP: { code: -1765328137, meaning: 'the operation is not supported here; do it step by step' },
} as const satisfies Record<string, { code: number; meaning: string }>;

/**
 * The name of an error's code: the CCAPI's own, and those that libkrb5 has for what KCM carries.
 *
 * @useDeclaredType
 */
export type ErrorName = keyof typeof errorCodes;

const nameOf = new Map<number, ErrorName>(
  (Object.keys(errorCodes) as ErrorName[]).map((name) => [errorCodes[name].code, name]),
);

/**
 * The one error of this project: a code of the protocol, its name, and a message that says what was wrong, where, and
 * what to do. A server may answer any signed 32-bit number; one that the table does not know is named `error <code>`.
 */
export class CCAPIError extends Error {
  /** The number of the error: of the CCAPI 201 to 229, of libkrb5 a negative one. */
  readonly code: number;

  /** Makes the error of this name or number; without a message its own is what the code means. */
  constructor(code: ErrorName | number, message?: string, options?: ErrorOptions) {
    const number = typeof code === 'number' ? code : errorCodes[code].code;
    const name = nameOf.get(number);
    super(message ?? (name ? errorCodes[name].meaning : `the server answered error ${number}`), options);
    this.code = number;
    this.name = name ?? `error ${number}`;
  }

  /** The message, where it says more than the meaning of the code. */
  get reason(): string | undefined {
    const meaning = (errorCodes as Record<string, { meaning: string }>)[this.name]?.meaning;
    return this.message === meaning ? undefined : this.message;
  }

  /** Whether `error` is a CCAPIError, with this code if one is named. */
  static is(error: unknown, name?: ErrorName): error is CCAPIError {
    return error instanceof CCAPIError && (name === undefined || error.code === errorCodes[name].code);
  }
}

/** The arguments of a command are not what it takes (202). */
export class UsageError extends CCAPIError {
  constructor(message: string, options?: ErrorOptions) {
    super('ccErrBadParam', message, options);
  }
}

/** A setting, or a file or directory that it names, is wrong (202); the message says where it stands. */
export class ConfigError extends CCAPIError {
  constructor(message: string, options?: ErrorOptions) {
    super('ccErrBadParam', message, options);
  }
}

/** A path that another user could have put there, or could replace (224). */
export class InsecurePathError extends CCAPIError {
  constructor(message: string, options?: ErrorOptions) {
    super('ccErrServerInsecure', message, options);
  }
}
