// What each stock program asks, and what it is told.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { acceptedAs } from '../setup/gssapi.ts';
import { heimdal } from '../setup/heimdal.ts';
import { startTrace, type Trace } from '../setup/kcm-trace.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { run } from '../setup/programs.ts';
import { describeWith, type Requirement } from '../setup/requirements.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';

/** A KDC, and a worker behind a socket that notes what is said; the name is the one that is compiled into Heimdal. */
async function start(): Promise<{ kdc: Kdc; trace: Trace; env: NodeJS.ProcessEnv; directory: string }> {
  const kdc = await startKdc(['alice', 'bob', 'host/a.test.example']);
  const base = workerDirectory();
  const directory = `${base}/door`;
  mkdirSync(directory);
  const trace = await startTrace(`${directory}/.heim_org.h5l.kcm-socket`, (await startWorker(base)).path);
  const krb5Conf = `${kdc.krb5Conf}.kcm`;
  const ours = `[libdefaults]\n default_ccache_name = KCM:\n default_cc_type = KCM\n kcm_socket = ${trace.path}\n`;
  writeFileSync(krb5Conf, ours + readFileSync(kdc.krb5Conf));
  return { kdc, trace, env: { KRB5_CONFIG: krb5Conf }, directory };
}

/** One command after the other, each in the state that those before it have left. */
type Rows = [command: string, when: string, ...requests: string[]][];

const cursor = ['A getCacheUUIDList', 'A getDefaultCache', 'A getPrincipal'];
const cursorOfB = ['B getCacheUUIDList', 'B getDefaultCache', 'B getPrincipal'];
const shown = (letter: string) => ['getPrincipal', 'getKDCOffset', 'getCredList'].map((name) => `${letter} ${name}`);

const mit: Rows = [
  ['klist', 'nothing is there', 'A getDefaultCache', 'A getPrincipal NOFILE'],
  [
    'kinit -r 2d alice',
    'nothing is there',
    'A getDefaultCache',
    'A getPrincipal NOFILE',
    'B getCacheUUIDList',
    'B getDefaultCache',
    'B getPrincipal NOFILE',
    'A replace',
  ],
  ['klist', 'one ccache', 'A getDefaultCache', ...shown('A')],
  ['klist -A', 'one ccache', ...cursor, ...shown('B'), 'A getCacheByUUID'],
  ['klist -l', 'one ccache', ...cursor, 'B getPrincipal', ...shown('B'), 'A getCacheByUUID'],
  [
    'kvno host/a.test.example',
    'not there yet',
    'A getDefaultCache',
    'A getPrincipal',
    'A getPrincipal',
    'A retrieve NOTFOUND',
    'B retrieve NOTFOUND',
    'B retrieve',
    'B store',
  ],
  [
    'kvno host/a.test.example',
    'there by now',
    'A getDefaultCache',
    'A getPrincipal',
    'A getPrincipal',
    'A retrieve NOTFOUND',
    'B retrieve',
  ],
  [
    'kvno -e aes128-cts host/a.test.example',
    'there, with another enctype',
    'A getDefaultCache',
    'A getPrincipal',
    'A getPrincipal',
    'A retrieve NOTFOUND',
    'B retrieve NOTFOUND',
    'B retrieve',
    'B store',
  ],
  ['kinit -R', 'renewable', 'A getDefaultCache', 'A getPrincipal', 'A retrieve', 'A replace'],
  [
    'kinit alice',
    'the primary is hers',
    'A getDefaultCache',
    'A getPrincipal',
    ...cursorOfB,
    'C getPrincipal',
    'C replace',
    'C setDefaultCache',
  ],
  [
    'kinit bob',
    'the primary is not his, and he has none',
    'A getDefaultCache',
    'A getPrincipal',
    ...cursorOfB,
    'C getPrincipal',
    'B getCacheByUUID',
    'D genNew',
    'D replace',
    'D setDefaultCache',
  ],
  ['klist -A', 'two ccaches', ...cursor, ...shown('B'), 'A getCacheByUUID', 'A getCacheByUUID', ...shown('C')],
  [
    'kinit alice',
    'the primary is not hers, and she has one',
    'A getDefaultCache',
    'A getPrincipal',
    ...cursorOfB,
    'C getPrincipal',
    'B getCacheByUUID',
    'B getCacheByUUID',
    'D getPrincipal',
    'D replace',
    'D setDefaultCache',
  ],
  ['kinit -c KCM:work bob', 'there is none of that name', 'A replace'],
  [
    'kswitch -p bob',
    'the primary is not his',
    ...cursor,
    'B getPrincipal',
    'A getCacheByUUID',
    'A getCacheByUUID',
    'C getPrincipal',
    'C setDefaultCache',
  ],
  ['kswitch -c KCM:work', 'another is the primary', 'A setDefaultCache'],
  ['kdestroy -c KCM:work', 'it is the primary', 'A destroy', 'B getPrincipal NOFILE'],
  [
    'kdestroy -p alice',
    'bob has become the primary again',
    ...cursor,
    'B getPrincipal',
    'A getCacheByUUID',
    'A getCacheByUUID',
    'C getPrincipal',
    'C destroy',
  ],
  ['kdestroy', 'the last', 'A getDefaultCache', 'A destroy', ...cursorOfB.slice(0, 2), 'B getPrincipal NOFILE'],
  [
    'kdestroy',
    'nothing is there',
    'A getDefaultCache',
    'A destroy NOFILE',
    ...cursorOfB.slice(0, 2),
    'B getPrincipal NOFILE',
  ],
  ['kinit -c KCM:one alice', 'nothing is there', 'A replace'],
  ['kinit -c KCM:two bob', 'one is there', 'A replace'],
  ['kdestroy -A', 'two ccaches', ...cursor, 'B destroy', 'A getCacheByUUID END', 'A getCacheByUUID', 'C destroy'],
];

const programs: Requirement[] = ['krb5-kdc', 'krb5-admin-server', 'krb5-user'];

describeWith(programs, "the requests of MIT's programs", () => {
  let machine: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    machine = await start();
  });

  it.each(mit)('%s (%s)', async (command, _, ...requests) => {
    const [program, ...args] = command.split(' ');
    await run(`/usr/bin/${program}`, args, { env: machine.env, input: `${machine.kdc.password}\n` });
    expect(await machine.trace.taken()).toEqual(requests);
  });
});

/** Heimdal has one connection, and looks credentials up by going through them. */
const iterate = 'iterate';
const setConfig = ['getPrincipal', 'removeCred NOTFOUND', 'store'];
const matched = ['getPrincipal', 'getPrincipal', iterate, iterate];

const ofHeimdal: Rows = [
  [
    'kinit --renewable alice',
    'nothing is there',
    'getDefaultCache',
    'getDefaultCache',
    'getCacheUUIDList',
    'getDefaultCache',
    'genNew',
    'genNew',
    'initialize',
    'store',
    ...setConfig,
    ...setConfig,
    'moveCache',
    'setDefaultCache',
  ],
  [
    'klist',
    'one ccache',
    'getDefaultCache',
    'getPrincipal',
    'getPrincipal',
    iterate,
    'getPrincipal',
    'setFlags',
    'getKDCOffset',
    iterate,
  ],
  [
    'klist -l',
    'one ccache',
    ...Array(3).fill('getDefaultCache'),
    'getCacheUUIDList',
    'getCacheByUUID',
    'getPrincipal',
    iterate,
    iterate,
    'getPrincipal',
    iterate,
    'getPrincipal',
  ],
  [
    'kgetcred host/a.test.example',
    'not there yet',
    'getDefaultCache',
    'getPrincipal',
    iterate,
    'getKDCOffset',
    iterate,
    'store',
  ],
  ['kgetcred host/a.test.example', 'there by now', 'getDefaultCache', 'getPrincipal', iterate],
  ['kdestroy --credential=host/a.test.example@TEST.EXAMPLE', 'there', 'getDefaultCache', 'removeCred'],
  ['kdestroy --credential=host/a.test.example@TEST.EXAMPLE', 'gone', 'getDefaultCache', 'removeCred NOTFOUND'],
  [
    'kinit -c KCM:work bob',
    'there is none of that name',
    'genNew',
    'initialize',
    'store',
    ...setConfig,
    ...setConfig,
    'moveCache',
    'setDefaultCache',
  ],
  [
    'kswitch -p alice@TEST.EXAMPLE',
    'the primary is not hers',
    'getDefaultCache',
    'getDefaultCache',
    'getCacheUUIDList',
    'getCacheByUUID',
    'getPrincipal',
    'getCacheByUUID',
    ...matched,
    'setDefaultCache',
  ],
  ['kdestroy', 'two ccaches', 'getDefaultCache', 'destroy'],
  ['kdestroy -A', 'one ccache', 'getDefaultCache', 'getDefaultCache', 'getCacheUUIDList', 'getCacheByUUID', 'destroy'],
  ['kdestroy', 'nothing is there', 'getDefaultCache', 'destroy NOFILE'],
];

/** Without the letter, and each walk over the credentials as one. */
function withoutWalks(requests: string[]): string[] {
  return requests
    .map((request) => request.slice(2))
    .filter((request) => request !== 'getCredByUUID')
    .map((request) => (request === 'getCredUUIDList' ? iterate : request));
}

describeWith(['root', 'Linux', 'heimdal', ...programs], "the requests of Heimdal's programs", () => {
  let machine: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    machine = await start();
  });

  it.each(ofHeimdal)('%s (%s)', async (command, _, ...requests) => {
    const { directory, env, kdc, trace } = machine;
    const [program = '', ...args] = command.split(' ');
    await heimdal(directory, program, args, { env, input: `${kdc.password}\n`, uid: 0, gid: 0 });
    const asked = await trace.taken();
    expect(asked.filter((request) => !request.startsWith('A '))).toEqual([]);
    expect(withoutWalks(asked)).toEqual(requests);
  });
});

describeWith(['kerberos, built', ...programs], 'the requests of a GSSAPI initiator', () => {
  it('walk over the ccaches twice, then over the tickets, then look for one', async () => {
    const { kdc, env, trace } = await start();
    const keytab = await kdc.keytab('host.keytab', ['host/a.test.example']);
    await run('/usr/bin/kinit', ['alice'], { env, input: `${kdc.password}\n` });
    await trace.taken();
    expect(await acceptedAs('host@a.test.example', { env, keytab })).toBe('alice@TEST.EXAMPLE');
    expect(await trace.taken()).toEqual([
      ...cursor,
      'B getPrincipal',
      ...cursor.map((request) => request.replace('A', 'C')),
      'D getPrincipal',
      ...shown('D'),
      'D getPrincipal',
      'D retrieve NOTFOUND',
      // The host-based name has no realm at first, then that of the client.
      'E retrieve NOTFOUND',
      'E retrieve NOTFOUND',
      'E retrieve',
      'E store',
    ]);
  });
});
