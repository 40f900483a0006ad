import { Context } from '../index.ts';
import { Locator } from '../locator.ts';
import { waitForExit } from '../worker-status.ts';
import { print, printJSON, UsageError } from './command.ts';
import { iterateFinished } from './open-ccache.ts';

/** Prints what the login sessions hold that have anything. */
export async function listSessions(json: boolean): Promise<void> {
  const locator = new Locator();
  const own = sessionOf(locator);
  const listings = [];
  for (const session of locator.sessions()) {
    await using context = new Context({ session });
    const ccaches: { name: string; principal: string }[] = [];
    for await (const ccache of iterateFinished(context)) {
      ccaches.push({ name: await ccache.getName(), principal: await ccache.getPrincipal() });
    }
    listings.push({ session, current: session === own, ccaches });
  }
  if (json) {
    printJSON(listings);
    return;
  }
  for (const { session, current, ccaches } of listings) {
    print(`Session ${session}${current ? ' (this one)' : ''}`);
    for (const { name, principal } of ccaches) print(`  KCM:${name}  ${principal}`);
  }
}

/** Destroys the ccaches of a login session, and has its server leave; nothing is left of it then. */
export async function endSession(named: string | undefined): Promise<void> {
  const session = named ?? sessionOf(new Locator());
  const locator = new Locator({ session });
  sessionOf(locator);
  await using context = new Context({ session });
  const destroyed: Promise<void>[] = [];
  for await (const ccache of context.ccaches()) destroyed.push(ccache.destroy());
  await Promise.all(destroyed);
  // What a server left that was killed is cleared away by the next one.
  const isLeft = locator.sessions().includes(session);
  const found = await locator.find({ launch: isLeft });
  if (found) await waitForExit(found);
}

function sessionOf(locator: Locator): string {
  const { session } = locator;
  if (session === undefined)
    throw new UsageError('all login sessions share their tickets here; see scope in krb5.conf');
  return session;
}
