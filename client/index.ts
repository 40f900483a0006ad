export { CREDENTIALS_V5, type CredentialV5 } from '../proto/credential.ts';
export { CCAPIError, type ErrorName } from '../proto/errors.ts';
export type { Data } from '../proto/fields.ts';
export type { Identifier } from '../proto/identifier.ts';
export { CCache, Credentials } from './ccache.ts';
export { LockType } from './connection-pool.ts';
export { Context } from './context.ts';
export type { LocateOptions } from './locator.ts';
export type { RemoteIterator } from './remote-iterator.ts';
