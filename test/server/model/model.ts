// A collection with identifiers and a clock that a test decides.
import type { CredentialV5 } from '../../../proto/credential.ts';
import type { Identifier } from '../../../proto/identifier.ts';
import { Collection } from '../../../server/model/collection.ts';
import type { IdentifierSource, ListIdentity } from '../../../server/model/identifiers.ts';

/** Identifiers as in the recorded session: a UUID that ends in a number, the server's in 0. */
export function numberedIdentifiers(numbers: Iterator<number>): IdentifierSource {
  const uuid = (number: number) => `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
  const server = uuid(0);
  const next = () => ({ server, object: uuid(numbers.next().value as number) });
  return { server, collection: next, ccache: next, list: () => numberedList(next), transient: next };
}

/** The identifiers of a list's credentials, each drawn when it is first asked for. */
function numberedList(next: () => Identifier): ListIdentity {
  const drawn = new Map<number, Identifier>();
  return {
    listId: 0,
    credential(index) {
      const identifier = drawn.get(index) ?? next();
      drawn.set(index, identifier);
      return identifier;
    },
    indexOf: (object) => [...drawn].find(([, identifier]) => identifier.object === object)?.[0],
  };
}

function* countedFrom(first: number): Generator<number, never> {
  for (let number = first; ; number++) yield number;
}

/** A collection with a clock that stands until the test moves it. */
export function collectionAt(birth: number): { collection: Collection; clock: { now: number } } {
  const clock = { now: birth };
  return { collection: new Collection(numberedIdentifiers(countedFrom(1)), () => clock.now), clock };
}

/** A credential for a service. */
export function credentialFor(server: string, endtime = 2_000_000_000): CredentialV5 {
  const nothing = () => ({ type: 0, data: Buffer.alloc(0) });
  return {
    client: 'alice@R',
    server,
    keyblock: { type: 18, data: Buffer.from('0123456789abcdef') },
    authtime: 1,
    starttime: 1,
    endtime,
    renewTill: 0,
    isSkey: 0,
    ticketFlags: 0,
    addresses: [],
    ticket: { type: 0, data: Buffer.from('ticket') },
    secondTicket: nothing(),
    authdata: [],
  };
}
