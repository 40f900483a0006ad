import { credentialUnion, onlyV5 } from './credential.ts';
import { type Layout, string, time, u32, type Values } from './fields.ts';
import { identifier } from './identifier.ts';

/** What the header of a message names; decides how its object is looked up and which error says that it is not there. */
export type ObjectClass = 'context' | 'ccache' | 'ccacheIterator' | 'credentialsIterator';

interface Message<Class extends ObjectClass, Request extends Layout, Reply extends Layout> {
  readonly number: number;
  readonly object: Class;
  readonly request: Request;
  readonly reply: Reply;
  /** Whether a client starts a server for it where none runs (CCAPI.md#messages). */
  readonly launches: boolean;
}

const none = {};

function message<Class extends ObjectClass, Request extends Layout, Reply extends Layout>(
  number: number,
  object: Class,
  request: Request,
  reply: Reply,
  launches = true,
): Message<Class, Request, Reply> {
  return { number, object, request, reply, launches };
}

/** Every message of the CCAPI, once (CCAPI.md#messages). The numbers are MIT's and have stood since 2007. */
export const messages = {
  contextUnusedRelease: message(1, 'context', none, none, false),
  contextSync: message(2, 'context', none, { collection: identifier }, false),
  contextGetChangeTime: message(3, 'context', none, { time }, false),
  contextWaitForChange: message(4, 'context', { last: time }, { time }),
  contextGetDefaultCCacheName: message(5, 'context', none, { name: string }, false),
  contextOpenCCache: message(6, 'context', { name: string }, { ccache: identifier }, false),
  contextOpenDefaultCCache: message(7, 'context', none, { ccache: identifier }, false),
  contextCreateCCache: message(8, 'context', { name: string, version: u32, principal: string }, { ccache: identifier }),
  contextCreateDefaultCCache: message(9, 'context', { version: u32, principal: string }, { ccache: identifier }),
  contextCreateNewCCache: message(10, 'context', { version: u32, principal: string }, { ccache: identifier }),
  contextNewCCacheIterator: message(11, 'context', none, { iterator: identifier }, false),
  contextLock: message(12, 'context', { type: u32, block: u32 }, none),
  contextUnlock: message(13, 'context', none, none),
  ccacheDestroy: message(16, 'ccache', none, none),
  ccacheSetDefault: message(17, 'ccache', none, none),
  ccacheGetCredentialsVersion: message(18, 'ccache', none, { version: u32 }),
  ccacheGetName: message(19, 'ccache', none, { name: string }),
  ccacheGetPrincipal: message(20, 'ccache', { version: u32 }, { principal: string }),
  ccacheSetPrincipal: message(21, 'ccache', { version: u32, principal: string }, none),
  ccacheStoreCredentials: message(22, 'ccache', { credentials: credentialUnion }, none),
  ccacheRemoveCredentials: message(23, 'ccache', { credentials: identifier }, none),
  ccacheNewCredentialsIterator: message(24, 'ccache', none, { iterator: identifier }),
  /** The header names the destination, the argument the source. */
  ccacheMove: message(25, 'ccache', { source: identifier }, none),
  ccacheLock: message(26, 'ccache', { type: u32, block: u32 }, none),
  ccacheUnlock: message(27, 'ccache', none, none),
  ccacheGetLastDefaultTime: message(28, 'ccache', none, { time }),
  ccacheGetChangeTime: message(29, 'ccache', none, { time }),
  ccacheWaitForChange: message(30, 'ccache', { last: time }, { time }),
  ccacheGetKDCTimeOffset: message(31, 'ccache', { version: onlyV5 }, { offset: time }),
  ccacheSetKDCTimeOffset: message(32, 'ccache', { version: onlyV5, offset: time }, none),
  ccacheClearKDCTimeOffset: message(33, 'ccache', { version: onlyV5 }, none),
  ccacheIteratorRelease: message(36, 'ccacheIterator', none, none),
  ccacheIteratorNext: message(37, 'ccacheIterator', none, { ccache: identifier }),
  ccacheIteratorClone: message(38, 'ccacheIterator', none, { iterator: identifier }),
  credentialsIteratorRelease: message(41, 'credentialsIterator', none, none),
  credentialsIteratorNext: message(42, 'credentialsIterator', none, {
    identifier,
    credentials: credentialUnion,
  }),
  credentialsIteratorClone: message(43, 'credentialsIterator', none, { iterator: identifier }),
} as const;

/** The name of a message of the table. */
export type MessageName = keyof typeof messages;

/** What a message carries to the server. */
export type Request<Name extends MessageName> = Values<(typeof messages)[Name]['request']>;

/** What a success carries back. */
export type Reply<Name extends MessageName> = Values<(typeof messages)[Name]['reply']>;

/** The messages with an object of class `Class` in their header. */
export type MessagesOn<Class extends ObjectClass> = {
  [Name in MessageName]: (typeof messages)[Name]['object'] extends Class ? Name : never;
}[MessageName];

const names = new Map(Object.entries(messages).map(([name, { number }]) => [number, name as MessageName]));

/** The message with this number, or undefined: 0, 14, 15, 34, 35, 39, 40 and 44 on are never valid. */
export function messageNumbered(number: number): MessageName | undefined {
  return names.get(number);
}
