import { isStaging } from '../../proto/staging.ts';
import type { Holder } from './cancellation.ts';
import type { CCache } from './ccache.ts';
import type { Collection } from './collection.ts';

/** Has a ccache that is still being filled go with the connection that has made it. */
export function heldIfUnfinished(ccache: CCache, collection: Collection, holder: Holder): CCache {
  if (isStaging(ccache.name)) holder.holdings.add({ abandon: () => drop(ccache, collection) });
  return ccache;
}

/** Whoever was filling them when the last server ended has no connection that could end. */
export function dropUnfinished(collection: Collection): void {
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
