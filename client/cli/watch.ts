import { parseArgs } from 'node:util';
import { isStaging } from '../../proto/staging.ts';
import { CCAPIError, type CCache, Context } from '../index.ts';
import { type Command, type Options, print, printJSON } from './command.ts';

interface Seen {
  name: string;
  principal: string;
  changed: number;
}

interface Event {
  event: 'created' | 'changed' | 'destroyed' | 'default';
  name: string;
  principal: string;
}

/** The collection at one moment: its ccaches by what identifies them, in their order. */
type Snapshot = Map<string, Seen>;

const options = {
  json: { type: 'boolean', summary: 'as JSON', help: 'as JSON, an object a line' },
} as const satisfies Options;

export const watch: Command = {
  synopsis: ['[--json]'],
  about: `Prints what changes in your ccaches as it happens, until it is interrupted. What is there at the beginning comes first.`,
  options,
  example: 'ccapi watch --json | while read -r event; do …; done',

  async run(args) {
    const { json } = parseArgs({ args, options }).values;
    await using context = new Context();
    let before: Snapshot = new Map();
    for (;;) {
      await waitForChange(context);
      const after = await look(context);
      for (const event of difference(before, after)) {
        if (json) printJSON(event, 0);
        else print(asText(event));
      }
      before = after;
    }
  },
};

/** A server that goes is a change too: its ccaches are gone. */
async function waitForChange(context: Context): Promise<void> {
  try {
    await context.waitForChange();
  } catch (error) {
    if (!isServerGone(error)) throw error;
  }
}

/** What there is now; where the server goes while it is looked at, what its successor has. */
async function look(context: Context): Promise<Snapshot> {
  try {
    return await readSnapshot(context);
  } catch (error) {
    if (!isServerGone(error)) throw error;
    // Where no server can be had at all this is an error, and not a change.
    await context.getServerPath();
    return readSnapshot(context);
  }
}

function isServerGone(error: unknown): boolean {
  const gone = ['ccErrInvalidContext', 'ccErrInvalidCCacheIterator', 'ccErrServerUnavailable'] as const;
  return gone.some((name) => CCAPIError.is(error, name));
}

async function readSnapshot(context: Context): Promise<Snapshot> {
  const seen: Snapshot = new Map();
  for await (const ccache of context.ccaches()) {
    const state = await stateOf(ccache);
    if (state) seen.set(`${ccache.identifier.server} ${ccache.identifier.object}`, state);
  }
  return seen;
}

async function stateOf(ccache: CCache): Promise<Seen | undefined> {
  try {
    const [name, principal, changed] = await Promise.all([
      ccache.getName(),
      ccache.getPrincipal(),
      ccache.getChangeTime(),
    ]);
    return isStaging(name) ? undefined : { name, principal, changed };
  } catch (error) {
    // It went while it was looked at; the next change will say so.
    if (CCAPIError.is(error, 'ccErrInvalidCCache')) return undefined;
    throw error;
  }
}

function difference(before: Snapshot, after: Snapshot): Event[] {
  const events: Event[] = [];
  const note = (event: Event['event'], { name, principal }: Seen) => events.push({ event, name, principal });
  for (const [key, seen] of before) if (!after.has(key)) note('destroyed', seen);
  for (const [key, seen] of after) {
    const known = before.get(key);
    if (!known) note('created', seen);
    else if (known.changed !== seen.changed) note('changed', seen);
  }
  const [first] = after;
  if (first && first[0] !== before.keys().next().value) note('default', first[1]);
  return events;
}

function asText({ event, name, principal }: Event): string {
  return `${event} KCM:${name} (${principal})`;
}
