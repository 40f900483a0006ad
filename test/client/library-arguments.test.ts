// What a program in JavaScript may pass by mistake: each is refused by name, before a server is started or told of it.
import { beforeAll, expect, it } from 'vitest';
import { CCAPIError, type CCache, Context, type Credentials } from '../../client/index.ts';
import { credentialFor } from '../server/model/model.ts';
import { afterwards, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { collected } from '../setup/collected.ts';
import { programs } from '../setup/programs.ts';

// biome-ignore lint/suspicious/noExplicitAny: no compiler keeps a wrong argument from such a program.
type Unchecked = any;

let base: string;
let context: Context;
let ccache: CCache;
const ticket = credentialFor('s@R');

const open = (directory: string) =>
  new Context({
    env: { KRB5_CONFIG: '/nonexistent', CCAPI_DIRECTORY: directory, CCAPI_PORT: '1' },
    launcher: [process.execPath, programs.launcher, `--directory=${directory}`],
  });

beforeAll(async () => {
  base = temporaryDirectory();
  context = open(`${base}/run`);
  afterwards(() => context.close());
  ccache = await context.createCCache('kept', 'alice@R');
  await ccache.storeCredentials(ticket);
});

const calls: [call: string, names: string, (context: Unchecked, ccache: Unchecked) => unknown][] = [
  ['new Context(text)', 'options', () => new (Context as Unchecked)('x')],
  ['openCCache()', 'name', (on) => on.openCCache()],
  ['openCCache(number)', 'name', (on) => on.openCCache(5)],
  ['createCCache without a principal', 'principal', (on) => on.createCCache('name')],
  ['createCCache with a version in words', 'version', (on) => on.createCCache('name', 'alice@R', '2')],
  ['createNewCCache(object)', 'principal', (on) => on.createNewCCache({})],
  ['lock of a context by name', 'type', (on) => on.lock('read')],
  ['lock of a context with a number for block', 'block', (on) => on.lock(0, 1)],
  ['lock of a context with options', 'signal', (on) => on.lock(0, true, { timeout: 5 })],
  ['waitForChange with a number', 'signal', (on) => on.waitForChange(5)],
  ['compare with a ccache', 'other', (on, ccache) => on.compare(ccache)],
  ['setPrincipal(null)', 'principal', (_, ccache) => ccache.setPrincipal(null)],
  ['setKDCTimeOffset(fraction)', 'offset', (_, ccache) => ccache.setKDCTimeOffset(1.5)],
  ['setKDCTimeOffset of milliseconds', 'offset', (_, ccache) => ccache.setKDCTimeOffset(2 ** 32)],
  ['setKDCTimeOffset(NaN)', 'offset', (_, ccache) => ccache.setKDCTimeOffset(Number.NaN)],
  ['lock of a ccache by name', 'type', (_, ccache) => ccache.lock('write')],
  ['lock of a ccache with a text for block', 'block', (_, ccache) => ccache.lock(0, 'no')],
  ['move to a name', 'destination', (_, ccache) => ccache.move('other')],
  ['compare of a ccache with nothing', 'other', (_, ccache) => ccache.compare()],
  ['removeCredentials of what was stored', 'credentials', (_, ccache) => ccache.removeCredentials(ticket)],
  ['storeCredentials()', 'credentials', (_, ccache) => ccache.storeCredentials()],
  ['storeCredentials of a ticket alone', 'credentials.client', (_, ccache) => ccache.storeCredentials({ ticket })],
  ...(
    [
      ['a key that is text', 'keyblock.data', { keyblock: { type: 18, data: 'secret' } }],
      ['a time that is a Date', 'endtime', { endtime: new Date() }],
      ['flags by name', 'ticketFlags', { ticketFlags: ['forwardable'] }],
      ['one address and no array', 'addresses', { addresses: { type: 2, data: Buffer.alloc(4) } }],
      ['an address without a type', 'addresses[1].type', { addresses: [ticket.ticket, { data: Buffer.alloc(4) }] }],
      ['no ticket', 'ticket', { ticket: null }],
    ] as const
  ).map(
    ([what, name, fields]) =>
      [
        `storeCredentials with ${what}`,
        `credentials.${name}`,
        (_: Unchecked, ccache: Unchecked) => ccache.storeCredentials({ ...ticket, ...fields }),
      ] as (typeof calls)[number],
  ),
];

it.each(calls)('%s is refused with the name of it: %s', async (_, name, call) => {
  const failure = await Promise.resolve()
    .then(() => call(context, ccache))
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CCAPIError);
  expect(failure).toMatchObject({ code: 202, name: 'ccErrBadParam' });
  expect((failure as Error).message).toMatch(new RegExp(`^${name.replace(/[.[\]]/g, '\\$&')} must be `));
  expect((failure as Error).message).not.toContain('secret');
});

it('nothing of all that has changed anything, and the context is of use', async () => {
  await ccache.lock(1, false);
  await ccache.unlock();
  await expect(ccache.getKDCTimeOffset()).rejects.toMatchObject({ name: 'ccErrTimeOffsetNotSet' });
  expect((await collected<Credentials>(ccache.credentials())).map(({ data }) => data)).toEqual([ticket]);
  expect(await collected(context.ccaches())).toHaveLength(1);
});

it('no server is started for them', async () => {
  await using alone = open(`${base}/none`);
  for (const [, , call] of calls.slice(0, 10)) {
    await Promise.resolve()
      .then(() => call(alone, undefined))
      .catch(() => {});
  }
  expect(workersBelow(`${base}/none`)).toEqual([]);
});

it('bytes of any kind, and numbers of either sign, are taken', async () => {
  const stored = { ...ticket, isSkey: -1, keyblock: { type: -1, data: new Uint8Array([1, 2]) as Buffer } };
  await ccache.storeCredentials(stored);
  const [, last] = await collected<Credentials>(ccache.credentials());
  expect(last?.data.keyblock).toEqual({ type: 0xffffffff, data: Buffer.from([1, 2]) });
  await expect(ccache.setPrincipal('a@R', 3)).rejects.toMatchObject({ name: 'ccErrBadCredentialsVersion' });
});
