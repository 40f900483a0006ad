// kill -9 at random moments, while both faces store, remove, switch and move: what was acknowledged is there afterwards,
// and at the most the one change more that was not.
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { MessageName, Request } from '../../proto/ccapi.ts';
import { CCAPIError } from '../../proto/errors.ts';
import { type Identifier, uninitialised } from '../../proto/identifier.ts';
import { fromCredentialV5, marshalled } from '../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { credentialFor } from '../server/model/model.ts';
import { RawConnection } from '../server/raw-connection.ts';
import { end, memory } from '../setup/cleanup.ts';
import { drawnFrom, seed, tellSeed } from '../setup/seed.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';
import { KCMConnection } from './kcm-connection.ts';
import { sized } from './size.ts';

tellSeed();

const ROUNDS = sized(60, 1000);

/** The ccaches in their order, each with the services of its credentials. */
type State = [name: string, services: string[]][];

interface Connections {
  ccapi: RawConnection;
  kcm: KCMConnection;
}

/** One change: what it makes of a state, and how it is asked for. True once it is acknowledged. */
interface Change {
  title: string;
  after(state: State): State;
  ask(connections: Connections): Promise<boolean>;
}

const credential = (service: string) => ({ ...credentialFor(service), client: 'alice@R' });
const copy = (state: State): State => state.map(([name, services]) => [name, [...services]]);
const of = (state: State, name: string) => state.find((entry) => entry[0] === name)?.[1] as string[];
const without = (state: State, name: string) => copy(state).filter((entry) => entry[0] !== name);
const first = (state: State, name: string): State => [
  [name, of(state, name)],
  ...state.filter((entry) => entry[0] !== name),
];

/** The reply, or undefined where the connection ended before it came. */
async function ccapi<Name extends MessageName>(
  { ccapi: connection }: Connections,
  name: Name,
  object: Identifier,
  request: Request<Name>,
) {
  const asked = connection.ask(name, object, request);
  await Promise.race([asked.answered, connection.closed]);
  if (asked.code) throw new CCAPIError(asked.code);
  return asked.reply;
}

async function onCCache<Name extends MessageName>(
  connections: Connections,
  name: string,
  message: Name,
  request: Request<Name>,
): Promise<boolean> {
  const opened = await ccapi(connections, 'contextOpenCCache', uninitialised, { name });
  return opened !== undefined && (await ccapi(connections, message, opened.ccache, request)) !== undefined;
}

async function kcm(code: Promise<number | undefined>): Promise<boolean> {
  const answered = await code;
  if (answered) throw new CCAPIError(answered);
  return answered === 0;
}

let services = 0;

function draw(state: State, below: (below: number) => number): Change {
  const fresh = `s${services++}@R`;
  const name = 'abcdef'[below(6)] as string;
  const existing = state[below(state.length)]?.[0];
  const other = state[below(state.length)]?.[0];
  const both = below(2) === 0;
  const added = (to: string) => (before: State) => {
    const after = copy(before);
    of(after, to).push(fresh);
    return after;
  };
  if (existing === undefined || other === undefined || below(8) === 0) {
    const after = (before: State): State =>
      before.some((entry) => entry[0] === name)
        ? before.map((entry) => (entry[0] === name ? [name, []] : entry))
        : [...before, [name, []]];
    return {
      title: `create ${name}`,
      after,
      ask: async (c) =>
        both
          ? kcm(c.kcm.ask('initialize', { name, principal: parsePrincipal('alice@R') }))
          : (await ccapi(c, 'contextCreateCCache', uninitialised, { name, version: 2, principal: 'alice@R' })) !==
            undefined,
    };
  }
  const gone = of(state, existing)[below(of(state, existing).length)];
  const changes: Change[] = [
    {
      title: `store in ${existing}`,
      after: added(existing),
      ask: (c) =>
        both
          ? kcm(c.kcm.ask('store', { name: existing, credential: marshalled(fromCredentialV5(credential(fresh))) }))
          : onCCache(c, existing, 'ccacheStoreCredentials', { credentials: credential(fresh) }),
    },
    {
      title: `replace ${name}`,
      after: (before) => {
        const contents: [string, string[]] = [name, [fresh, `${fresh.slice(0, -2)}b@R`]];
        return before.some((entry) => entry[0] === name)
          ? before.map((entry) => (entry[0] === name ? contents : entry))
          : [...before, contents];
      },
      ask: (c) => {
        const credentials = [fresh, `${fresh.slice(0, -2)}b@R`].map((service) =>
          marshalled(fromCredentialV5(credential(service))),
        );
        return kcm(c.kcm.ask('replace', { name, offset: 0, principal: parsePrincipal('alice@R'), credentials }));
      },
    },
    {
      title: `switch to ${existing}`,
      after: (before) => first(before, existing),
      ask: (c) =>
        both ? kcm(c.kcm.ask('setDefaultCache', { name: existing })) : onCCache(c, existing, 'ccacheSetDefault', {}),
    },
    {
      title: `destroy ${existing}`,
      after: (before) => without(before, existing),
      ask: (c) => (both ? kcm(c.kcm.ask('destroy', { name: existing })) : onCCache(c, existing, 'ccacheDestroy', {})),
    },
  ];
  if (gone !== undefined) {
    changes.push({
      title: `remove ${gone} from ${existing}`,
      after: (before) =>
        before.map(([at, all]) => [at, at === existing ? all.filter((service) => service !== gone) : all]),
      ask: (c) => kcm(c.kcm.ask('removeCred', { name: existing, flags: 0, matching: gone })),
    });
  }
  if (other !== existing) {
    changes.push({
      title: `move ${existing} to ${other} by ${both ? 'KCM' : 'CCAPI'}`,
      after: (before) => {
        const after = without(before, existing).map(([at, all]): State[number] => [
          at,
          at === other ? of(before, existing) : all,
        ]);
        return both && before[0]?.[0] === existing ? first(after, other) : after;
      },
      ask: async (c) => {
        if (both) return kcm(c.kcm.ask('moveCache', { name: existing, to: other }));
        const source = await ccapi(c, 'contextOpenCCache', uninitialised, { name: existing });
        return source !== undefined && onCCache(c, other, 'ccacheMove', { source: source.ccache });
      },
    });
  }
  return changes[below(changes.length)] as Change;
}

async function found(ccapi: RawConnection): Promise<State> {
  const state: State = [];
  const { iterator } = await ccapi.get('contextNewCCacheIterator', uninitialised, {});
  for (;;) {
    const next = ccapi.ask('ccacheIteratorNext', iterator, {});
    if ((await next.answered) !== 0) return state;
    const { ccache } = next.reply as { ccache: Identifier };
    const list: string[] = [];
    const over = (await ccapi.get('ccacheNewCredentialsIterator', ccache, {})).iterator;
    for (;;) {
      const each = ccapi.ask('credentialsIteratorNext', over, {});
      if ((await each.answered) !== 0) break;
      list.push(each.reply?.credentials.server as string);
    }
    state.push([(await ccapi.get('ccacheGetName', ccache, {})).name, list]);
  }
}

it(`in each of ${ROUNDS} rounds`, { timeout: 600_000 }, async () => {
  const below = drawnFrom(seed);
  const base = workerDirectory(memory);
  let state: State = [];
  let acknowledged = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { worker, path } = await startWorker(base);
    const connections = { ccapi: await RawConnection.open(path), kcm: new KCMConnection(path) };
    const there = await found(connections.ccapi);
    expect(there, `seed ${seed}, round ${round}`).toEqual(state);
    const killed = delay(below(12)).then(() => end(worker, 'SIGKILL'));
    const taken: string[] = [];
    let unknown: State | undefined;
    while (unknown === undefined) {
      const change = draw(state, below);
      taken.push(change.title);
      if (await change.ask(connections)) {
        state = change.after(state);
        acknowledged++;
      } else unknown = change.after(state);
    }
    await killed;
    for (const connection of [connections.ccapi, connections.kcm])
      'kill' in connection ? connection.kill() : connection.end();
    const next = await startWorker(base);
    const now = await RawConnection.open(next.path);
    const left = await found(now);
    expect([state, unknown], `seed ${seed}, round ${round}: ${taken.join(', ')}`).toContainEqual(left);
    state = left;
    now.kill();
    await end(next.worker, 'SIGKILL');
  }
  expect(acknowledged).toBeGreaterThan(ROUNDS);
});
