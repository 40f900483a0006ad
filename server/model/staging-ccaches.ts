import { isStaging } from '../../proto/staging.ts';
import type { Client } from './cancellation.ts';
import type { CCache } from './ccache.ts';
import type { Collection } from './collection.ts';

/** Destroys a staging ccache with the connection that has made it. */
export function destroyWithClient(ccache: CCache, collection: Collection, client: Client): CCache {
  if (isStaging(ccache.name)) client.cancellables.add({ cancel: () => drop(ccache, collection) });
  return ccache;
}

/** Destroys the staging ccaches that the last server left: the connections that filled them are gone. */
export function destroyStaging(collection: Collection): void {
  for (const ccache of [...collection]) if (isStaging(ccache.name)) drop(ccache, collection);
}

function drop(ccache: CCache, collection: Collection): void {
  if (ccache.removed) return;
  try {
    collection.destroy(ccache);
  } catch {
    // The storage has logged why; the next server drops it.
  }
}
