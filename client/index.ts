/**
 * The client library of ccapi: the calls of MIT's CCAPI on the ccaches of a user's credential-cache server. Begin with
 * {@link Context}.
 *
 * @packageDocumentation
 */
export { CREDENTIALS_V5, type CredentialV5 } from '../proto/credential.ts';
export { CCAPIError, type ErrorName } from '../proto/errors.ts';
export type { Data } from '../proto/fields.ts';
export type { Identified, Identifier } from '../proto/identifier.ts';
export { CCache, Credentials, type CredentialsOptions } from './ccache.ts';
export { LockType } from './connection-pool.ts';
export { Context } from './context.ts';
export type { LocateOptions } from './locator.ts';
export type { RemoteIterator } from './remote-iterator.ts';
