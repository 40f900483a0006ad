// What KCM's operations do to a collection that holds what no KCM client put there, or awaits what is not there yet.
import { beforeEach, expect, it } from 'vitest';
import { matchFlags } from '../../../proto/kcm.ts';
import { unmarshalled } from '../../../proto/krb5-credential.ts';
import { parsePrincipal, unparsePrincipal } from '../../../proto/principal.ts';
import type { CCache } from '../../../server/model/ccache.ts';
import { hostClock } from '../../../server/model/change-time.ts';
import { Collection } from '../../../server/model/collection.ts';
import { Identifiers } from '../../../server/model/identifiers.ts';
import { type KCMContext, kcmHandlers } from '../../../server/protocols/kcm-handlers.ts';
import { KCMNames } from '../../../server/protocols/kcm-names.ts';
import { credentialFor } from '../model/model.ts';

let collection: Collection;
let context: KCMContext;

beforeEach(() => {
  collection = new Collection(new Identifiers(), hostClock);
  context = { collection, names: new KCMNames(collection, 1000) };
});

/** A matching credential that all credentials match. */
const anything = {
  client: undefined,
  server: undefined,
  enctype: 0,
  authtime: 0,
  starttime: 0,
  endtime: 0,
  renewTill: 0,
  isSkey: 0,
  ticketFlags: 0,
  authdata: [],
  secondTicket: Buffer.alloc(0),
};

it('RETRIEVE finds a ticket behind one that has no form in KCM', () => {
  const ccache = collection.create('a', 2, 'alice@R');
  collection.store(ccache, { ...credentialFor('no principal'), ticket: { type: 7, data: Buffer.alloc(3) } });
  const request = { name: 'a', flags: 0, matching: anything };
  expect(() => kcmHandlers.retrieve(request, context)).toThrow(expect.objectContaining({ code: -1765328243 }));
  collection.store(ccache, credentialFor('host/a@R'));
  expect(kcmHandlers.retrieve(request, context).credential.includes('host')).toBe(true);
});

it('RETRIEVE finds one of many for a service, without its client and with the realms of others', () => {
  const ccache = collection.create('a', 2, 'alice@R');
  for (let i = 0; i < 200; i++) collection.store(ccache, { ...credentialFor('host/a@R'), client: `client${i}@R` });
  const clientFound = (flags: number, client: string | undefined, server: string) => {
    const matching = { ...anything, client, server };
    const { credential } = kcmHandlers.retrieve({ name: 'a', flags, matching }, context);
    return unparsePrincipal(unmarshalled(credential).client);
  };
  expect(clientFound(0, undefined, 'host/a@R')).toBe('client0@R');
  expect(clientFound(0, 'client150@R', 'host/a@R')).toBe('client150@R');
  expect(clientFound(matchFlags.dontMatchRealm, 'client150@Q', 'host/a@Q')).toBe('client150@R');
});

it('a name with the uid before it leads to the one without, and one of as many other letters does not', () => {
  kcmHandlers.initialize({ name: 'work', principal: parsePrincipal('alice@R') }, context);
  expect(kcmHandlers.getName({ name: '1000:work' }, context)).toEqual({ name: 'work' });
  expect(() => kcmHandlers.getName({ name: '2000:work' }, context)).toThrow();
  expect(() => kcmHandlers.getName({ name: 'home-work' }, context)).toThrow();
});

it('a name that the collection lacks is looked for elsewhere without the uid, and as it is where it has none', () => {
  const asked: string[] = [];
  const names = new KCMNames(collection, 1000, (name) => void asked.push(name));
  for (const name of ['1000:login', 'KCM:login', '2000:login']) expect(names.resolve(name)).toBeUndefined();
  expect(asked).toEqual(['login', 'login', '2000:login']);
});

it('a default ccache that is awaited is so until it is destroyed by its name, and no other', () => {
  const awaited = () => kcmHandlers.getDefaultCache({}, context).name;
  const destroy = (name: string) => kcmHandlers.destroy({ name }, context);
  kcmHandlers.initialize({ name: 'a', principal: parsePrincipal('alice@R') }, context);
  kcmHandlers.setDefaultCache({ name: 'later' }, context);
  destroy('a');
  expect(awaited()).toBe('later');
  expect(() => destroy('other')).toThrow();
  expect(awaited()).toBe('later');
  expect(() => destroy('later')).toThrow();
  expect(awaited()).toBe('1000');
});

it('REPLACE keeps an offset below zero as the CCAPI and SET_KDC_OFFSET do', () => {
  const [name, principal] = ['a', parsePrincipal('alice@R')];
  kcmHandlers.replace({ name, offset: -7, principal, credentials: [] }, context);
  const { contents } = collection.findByName(name) as CCache;
  expect(contents.kdcOffset).toBe(2 ** 32 - 7);
  kcmHandlers.setKDCOffset({ name, offset: -7 }, context);
  expect(contents.kdcOffset).toBe(2 ** 32 - 7);
});
