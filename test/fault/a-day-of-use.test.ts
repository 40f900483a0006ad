// Days of normal use, by a clock that the test moves: neither what is held nor the files grow without bound.
import { readdirSync, statSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { Field, Layout } from '../../proto/fields.ts';
import { type OperationName, operations, VERSION } from '../../proto/kcm.ts';
import { fromCredentialV5, marshalled } from '../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { Writer } from '../../proto/writer.ts';
import { Collection } from '../../server/model/collection.ts';
import { KCMNames } from '../../server/protocols/kcm-names.ts';
import { KCMSession } from '../../server/protocols/kcm-session.ts';
import { FileStorage } from '../../server/storage/file-storage.ts';
import { credentialFor } from '../server/model/model.ts';
import { memory, temporaryDirectory } from '../setup/cleanup.ts';
import { sized } from './size.ts';

const DAYS = sized(4, 30);
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const LIFETIME = 10 * HOUR;

it(`${DAYS} days of renewals and service tickets`, { timeout: 600_000 }, () => {
  const clock = { now: 1_700_000_000 };
  const directory = `${temporaryDirectory(memory)}/caches`;
  const log = { info() {}, warning() {}, refusal() {}, error: (line: string) => expect(line).toBe('nothing') };
  const storage = new FileStorage(directory, false, log);
  const { identifiers, kept } = storage.load(() => clock.now);
  const collection = new Collection(identifiers, () => clock.now);
  storage.attach(collection, kept);
  const session = new KCMSession({ collection, names: new KCMNames(collection, 1000) }, log);

  function ask(name: OperationName, request: Record<string, unknown>): void {
    const writer = new Writer().u16(VERSION).u16(operations[name].number);
    const layout: Layout = operations[name].request;
    for (const field in layout) (layout[field] as Field<unknown>).write(writer, request[field]);
    expect(session.answer(writer.finish()).readInt32BE(8)).toBe(0);
  }
  const ticket = (service: string, client: string, endtime = clock.now + LIFETIME) =>
    marshalled(
      fromCredentialV5({
        ...credentialFor(service, endtime),
        client,
        authtime: clock.now,
        ticket: { type: 0, data: Buffer.alloc(1200, clock.now & 0xff) },
      }),
    );

  const bytes = () => readdirSync(directory).reduce((total, name) => total + statSync(`${directory}/${name}`).size, 0);
  const readings: { bytes: number; held: number; files: number }[] = [];
  let service = 0;
  for (let minute = 0; minute < DAYS * 24 * 60; minute++) {
    clock.now += MINUTE;
    const client = `user${minute % 3}@R`;
    const name = `1000:${minute % 3}`;
    const principal = parsePrincipal(client);
    if (minute % 30 < 3) ask('replace', { name, offset: 0, principal, credentials: [ticket('krbtgt/R@R', client)] });
    // Most services are asked for again and again, some once.
    for (let i = 0; i < 3; i++) ask('store', { name, credential: ticket(`host/${(service++ * 7) % 40}@R`, client) });
    ask('store', { name, credential: ticket(`once/${service}@R`, client, clock.now + HOUR) });
    ask('store', { name, credential: ticket('krb5_ccache_conf_data/refresh_time@X-CACHECONF:', client, 0) });
    // Now and then a user logs in, and the tickets are not renewed.
    if (minute % 120 === 0) {
      const guest = `guest${minute}@R`;
      ask('replace', {
        name: `guest ${minute}`,
        offset: 0,
        principal: parsePrincipal(guest),
        credentials: [ticket('krbtgt/R@R', guest)],
      });
    }
    if (minute % 60 === 59) {
      collection.purge(clock.now - 24 * HOUR);
      readings.push({ bytes: bytes(), held: collection.limits.held.credentials, files: readdirSync(directory).length });
    }
  }
  storage.close();
  const quarter = readings.length >> 2;
  for (const what of ['bytes', 'held', 'files'] as const) {
    const most = (from: typeof readings) => Math.max(...from.map((reading) => reading[what]));
    // From the second day on there is as much as on the last, since what has expired for a day goes.
    expect(most(readings.slice(-quarter)), what).toBeLessThan(most(readings.slice(quarter, 2 * quarter)) * 1.15);
  }
  expect(collection.size).toBeLessThan(40);
});
