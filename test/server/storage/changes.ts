// A collection on disk, and every kind of change to it.
import type { CCache } from '../../../server/model/ccache.ts';
import { Collection } from '../../../server/model/collection.ts';
import { FileStorage } from '../../../server/storage/file-storage.ts';
import { credentialFor } from '../model/model.ts';

const now = () => 1_700_000_000;

/** What a worker makes of a directory, and the lines of its log. */
export function open(directory: string, sync = true): { collection: Collection; said: string[] } {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const storage = new FileStorage(directory, sync, { info: say, warning: say, error: say, refusal: say });
  const { identifiers, kept } = storage.load(now);
  const collection = new Collection(identifiers, now);
  storage.attach(collection, kept);
  return { collection, said };
}

/** Three ccaches of two tickets each, and an awaited default. */
export function prepare(directory: string, sync = true): Collection {
  const { collection } = open(directory, sync);
  for (const name of ['a', 'b', 'c']) {
    const ccache = collection.create(name, 2, `${name}@R`);
    for (const i of [0, 1]) collection.store(ccache, secret(`${name}${i}@R`));
  }
  collection.awaitDefault('d');
  return collection;
}

/** All that a client can see of a collection but its change times. */
export const seen = (collection: Collection) => ({
  server: collection.identifier.server,
  awaited: collection.awaitedDefault,
  ccaches: [...collection].map(
    ({ name, identifier, lastDefault, contents: { principal, kdcOffset, credentials } }) => ({
      ...{ name, identifier: identifier.object, lastDefault, principal, kdcOffset },
      tickets: [...credentials].map(({ identifier, value }) => [identifier.object, value.server]),
    }),
  ),
});

/** A credential with a secret that is found again in files. */
export const secret = (service: string) => ({
  ...credentialFor(service),
  ticket: { type: 0, data: Buffer.from(`secret of ${service}.`) },
});

/** The services of a collection's tickets, sorted. */
export const servicesOf = (collection: Collection) =>
  [...collection].flatMap(({ contents }) => [...contents.credentials].map(({ value }) => value.server)).sort();

/** The services of the secrets that stand in files, sorted. */
export const secretsIn = (files: string[]) =>
  [...files.join().matchAll(/secret of (\w+@R)\./g)].map(([, service]) => service).sort();

/** Every kind of change; `a` is the default. */
export const changes: Record<string, (collection: Collection, a: CCache, b: CCache) => void> = {
  create: (collection) => collection.create('e', 2, 'e@R'),
  'create of the awaited default': (collection) => collection.create('d', 2, 'd@R'),
  replace: (collection, _, b) => {
    const contents = collection.emptyContents('n@R');
    contents.credentials.append(secret('n0@R'));
    collection.replace(b.name, contents);
  },
  destroy: (collection, a) => collection.destroy(a),
  move: (collection, a, b) => collection.move(a, b),
  'move to a name': (collection, a) => collection.moveTo(a, 'c'),
  'move to a new name': (collection, _, b) => collection.moveTo(b, 'n'),
  'move of the default to a new name': (collection, a) => collection.moveTo(a, 'n'),
  default: (collection, _, b) => collection.setDefault(b),
  'default, of what is so': (collection, a) => collection.setDefault(a),
  await: (collection) => collection.awaitDefault('n'),
  'await none': (collection) => collection.awaitDefault(undefined),
  principal: (collection, a) => collection.setPrincipal(a, 2, 'p@R'),
  offset: (collection, a) => collection.setKDCOffset(a, 7),
  store: (collection, a) => collection.store(a, secret('n@R')),
  'store in the place of two': (collection, a) => collection.store(a, secret('n@R'), [...a.contents.credentials]),
  remove: (collection, a) =>
    collection.remove(
      a,
      [...a.contents.credentials].map(({ identifier }) => identifier),
    ),
};
