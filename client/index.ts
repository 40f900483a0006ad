export { CREDENTIALS_V5, type CredentialV5 } from '../proto/credential-v5.ts';
export { CCAPIError, type ErrorName } from '../proto/error.ts';
export type { Data } from '../proto/fields.ts';
export type { Identifier } from '../proto/identifier.ts';
export { CCache } from './ccache.ts';
export { Context } from './context.ts';
export { Credentials } from './credentials.ts';
export type { LocateOptions } from './locate.ts';
export type { RemoteIterator } from './remote-iterator.ts';
