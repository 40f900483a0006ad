// Where a worker is goes by the settings in force, also where these change while a name is being looked up.
import { describe, expect, it } from 'vitest';
import { NO_SESSION } from '../../etc/host/login-session.ts';
import type { NameService } from '../../etc/host/name-service.ts';
import type { User } from '../../etc/host/passwd.ts';
import { WorkerPlaces } from '../../launcher/worker-places.ts';

const user: User = { name: 'alice', uid: 1000, gid: 1000, home: '/home/alice' };

/** A name service that answers when it is told to. */
function slowNames() {
  const waiting: (() => void)[] = [];
  const names = { user: () => new Promise((resolve) => waiting.push(() => resolve(user))) };
  const answer = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  return { names: names as unknown as NameService, answer };
}

describe('the place of a worker', () => {
  it('is below the base, or where the template leads', async () => {
    const { names, answer } = slowNames();
    const places = new WorkerPlaces(names);
    places.configure('/run/ccapi', { pathTemplate: undefined, scope: 'user' });
    expect((await places.ofWorker({ uid: 1000, session: 'a' })).path).toBe('/run/ccapi/1000');
    places.configure('/run/ccapi', { pathTemplate: '~/.cache/ccapi', scope: 'user' });
    const found = places.ofWorker({ uid: 1000, session: undefined });
    answer();
    expect((await found).path).toBe('/home/alice/.cache/ccapi');
  });

  it('is one within the user’s for each session, where each has its own worker', async () => {
    const places = new WorkerPlaces(slowNames().names);
    places.configure('/run/ccapi', { pathTemplate: undefined, scope: 'session' });
    expect((await places.ofWorker({ uid: 1000, session: 'a' })).path).toBe('/run/ccapi/1000/s.a');
    // Also for a client of which no session is known.
    expect((await places.ofWorker({ uid: 1000, session: undefined })).path).toBe(`/run/ccapi/1000/s.${NO_SESSION}`);
  });

  it('is not kept where the template has changed before the name was known', async () => {
    const { names, answer } = slowNames();
    const places = new WorkerPlaces(names);
    places.configure('/run/ccapi', { pathTemplate: '/former/%u', scope: 'user' });
    const former = places.ofUser(1000);
    places.configure('/run/ccapi', { pathTemplate: '/now/%u', scope: 'user' });
    answer();
    expect((await former).path).toBe('/former/1000');
    const now = places.ofUser(1000);
    answer();
    expect((await now).path).toBe('/now/1000');
    // It is known from now on.
    expect((await places.ofUser(1000)).path).toBe('/now/1000');
  });
});
