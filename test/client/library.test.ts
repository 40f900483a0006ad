// The library against a real worker, which its own launcher starts.
import { mkdirSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CCAPIError, Context, type Credentials } from '../../client/index.ts';
import { credentialFor } from '../server/model/model.ts';
import { afterwards, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { collected } from '../setup/collected.ts';
import { freePort, programs } from '../setup/programs.ts';

let base: string;
let port: number;

const open = (settings: NodeJS.ProcessEnv = {}) =>
  new Context({
    env: { KRB5_CONFIG: '/nonexistent', CCAPI_DIRECTORY: base, CCAPI_PORT: String(port), ...settings },
    launcher: [process.execPath, programs.launcher, `--directory=${base}`],
  });

beforeAll(async () => {
  base = `${temporaryDirectory()}/run`;
  port = await freePort();
});

const code = (name: string) => expect.objectContaining({ name });

describe('without a server', () => {
  it('the calls that only look say what there is, and start none', async () => {
    await using context = open();
    await using other = open();
    expect(await context.getDefaultCCacheName()).toBe('Initial default ccache');
    await expect(context.openCCache('any')).rejects.toThrow(code('ccErrCCacheNotFound'));
    await expect(context.openDefaultCCache()).rejects.toThrow(code('ccErrCCacheNotFound'));
    expect(await collected(context.ccaches())).toEqual([]);
    const iterator = await context.newCCacheIterator();
    expect(await (await iterator.clone()).next()).toEqual({ done: true, value: undefined });
    expect(await context.compare(other)).toBe(true);
    expect(workersBelow(base)).toEqual([]);
  });
});

describe('a context', () => {
  let context: Context;

  beforeEach(async () => {
    context = open();
    afterwards(() => context.close());
    for await (const ccache of context.ccaches()) await ccache.destroy();
  });

  it('makes, opens, resets and destroys ccaches', async () => {
    const made = await context.createCCache('work', 'alice@R');
    await made.storeCredentials(credentialFor('s@R'));
    const opened = await context.openCCache('work');
    expect(opened.compare(made)).toBe(true);
    expect(await opened.getName()).toBe('work');
    expect(await opened.getPrincipal()).toBe('alice@R');
    expect(await opened.getCredentialsVersion()).toBe(2);
    expect((await context.createCCache('work', 'bob@R')).compare(made)).toBe(true);
    expect(await made.getPrincipal()).toBe('bob@R');
    expect(await collected(made.credentials())).toEqual([]);
    await made.destroy();
    await expect(made.getName()).rejects.toThrow(code('ccErrInvalidCCache'));
    await expect(opened.getName()).rejects.toThrow(code('ccErrInvalidCCache'));
  });

  it('gives names that were not in use, and text of any kind back', async () => {
    expect(await (await context.createNewCCache('a@R')).getName()).toBe('Initial default ccache');
    const name = 'Jürgens Tickets 🎫 \udcff';
    const odd = await context.createCCache(name, 'jürgen@R');
    expect(await odd.getName()).toBe(name);
    expect(await odd.getPrincipal()).toBe('jürgen@R');
    expect((await context.openCCache(name)).compare(odd)).toBe(true);
    await expect(context.createCCache('a\0b', 'a@R')).rejects.toThrow(code('ccErrBadParam'));
  });

  it('has a default ccache, which is the first', async () => {
    const [first, second] = [await context.createCCache('1', 'a@R'), await context.createCCache('2', 'a@R')];
    expect((await context.openDefaultCCache()).compare(first)).toBe(true);
    await expect(second.getLastDefaultTime()).rejects.toThrow(code('ccErrNeverDefault'));
    await second.setDefault();
    expect(await context.getDefaultCCacheName()).toBe('2');
    expect(await second.getLastDefaultTime()).toBeGreaterThan(1_700_000_000);
    const names = await Promise.all((await collected(context.ccaches())).map((ccache) => ccache.getName()));
    expect(names).toEqual(['2', '1']);
  });

  it('stores, returns and removes credentials with every field', async () => {
    const ccache = await context.createNewCCache('alice@R');
    const full = {
      ...credentialFor('full@R'),
      renewTill: 0xffffffff,
      isSkey: 8,
      ticketFlags: 0x80e10000,
      addresses: [{ type: 2, data: Buffer.from([127, 0, 0, 1]) }],
      authdata: [{ type: 0xffffffff, data: Buffer.alloc(0) }],
    };
    await Promise.all([ccache.storeCredentials(credentialFor('1@R')), ccache.storeCredentials(full)]);
    const [one, two, ...more] = await collected(ccache.credentials());
    expect(more).toEqual([]);
    expect(two?.data).toEqual(full);
    if (!one || !two) throw new Error('two were stored');
    expect([one.compare(two), two.compare(two)]).toEqual([false, true]);
    await ccache.removeCredentials(one);
    await expect(ccache.removeCredentials(one)).rejects.toThrow(code('ccErrInvalidCredentials'));
    expect((await collected(ccache.credentials())).map(({ data }) => data.server)).toEqual(['full@R']);
  });

  it('keeps a KDC offset, of either sign, until the principal is set anew', async () => {
    const ccache = await context.createNewCCache('alice@R');
    await expect(ccache.getKDCTimeOffset()).rejects.toThrow(code('ccErrTimeOffsetNotSet'));
    await ccache.setKDCTimeOffset(-5);
    expect(await ccache.getKDCTimeOffset()).toBe(-5);
    await ccache.clearKDCTimeOffset();
    await expect(ccache.getKDCTimeOffset()).rejects.toThrow(code('ccErrTimeOffsetNotSet'));
    await ccache.setKDCTimeOffset(0);
    await ccache.setPrincipal('bob@R');
    await expect(ccache.getKDCTimeOffset()).rejects.toThrow(code('ccErrTimeOffsetNotSet'));
  });

  it('moves a ccache into another; its handle is dead then', async () => {
    const [source, destination] = [await context.createCCache('s', 's@R'), await context.createCCache('d', 'd@R')];
    await source.storeCredentials(credentialFor('kept@R'));
    await expect(source.move(source)).rejects.toThrow(code('ccErrBadParam'));
    await source.move(destination);
    expect(await destination.getPrincipal()).toBe('s@R');
    expect((await collected(destination.credentials())).map(({ data }) => data.server)).toEqual(['kept@R']);
    await expect(source.getName()).rejects.toThrow(code('ccErrInvalidCCache'));
    expect(await collected(context.ccaches())).toHaveLength(1);
  });

  it('refuses versions that there are none of', async () => {
    await expect(context.createNewCCache('a@R', 1)).rejects.toThrow(code('ccErrBadCredentialsVersion'));
    const ccache = await context.createNewCCache('a@R');
    await expect(ccache.getPrincipal(3)).rejects.toThrow(code('ccErrBadCredentialsVersion'));
    await expect(ccache.setKDCTimeOffset(1, 1)).rejects.toThrow(code('ccErrBadCredentialsVersion'));
  });

  it('has a change time that grows with every change and with none else', async () => {
    const ccache = await context.createNewCCache('a@R');
    const times = [await context.getChangeTime(), await context.getChangeTime()];
    await ccache.storeCredentials(credentialFor('s@R'));
    const changed = await ccache.getChangeTime();
    times.push(await context.getChangeTime());
    expect(times[0]).toBe(times[1]);
    expect(times[2]).toBeGreaterThan(times[1] as number);
    expect(await ccache.getChangeTime()).toBe(changed);
  });

  it('throws errors that are one type, with code, name and meaning', async () => {
    const error = await context.openCCache('none').catch((thrown) => thrown);
    expect(error).toBeInstanceOf(CCAPIError);
    expect(error).toMatchObject({ code: 221, name: 'ccErrCCacheNotFound', message: 'there is no ccache of that name' });
  });

  it('says so once it is closed', async () => {
    await context.close();
    await expect(context.getDefaultCCacheName()).rejects.toThrow(code('ccErrInvalidContext'));
  });
});

describe('an iteration', () => {
  it('over 10,000 credentials takes few turns of the conversation, and gives each once, in order', async () => {
    const counted = await countingProxy();
    await using context = open();
    const ccache = await context.createCCache('many', 'alice@R');
    await Promise.all(Array.from({ length: 10_000 }, (_, i) => ccache.storeCredentials(credentialFor(`${i}@R`))));
    await using throughProxy = new Context({
      env: { KRB5_CONFIG: '/nonexistent', CCAPI_DIRECTORY: counted.base, CCAPI_AUTOSTART: 'no', CCAPI_PORT: '1' },
    });
    const seen = [];
    for await (const { data } of (await throughProxy.openCCache('many')).credentials()) seen.push(data.server);
    expect(seen).toEqual(Array.from({ length: 10_000 }, (_, i) => `${i}@R`));
    // One by one it would be 10,000: each request would leave only when the reply before it is there.
    expect(counted.turns()).toBeLessThan(1000);
  });

  it('has no notes of libkrb5 unless they are asked for, which are removed as tickets are', async () => {
    await using context = open();
    const ccache = await context.createCCache('with notes', 'alice@R');
    const note = 'krb5_ccache_conf_data/pa_type/krbtgt\\/R\\@R@X-CACHECONF:';
    for (const server of [note, 's@R', note]) await ccache.storeCredentials(credentialFor(server));
    const servers = async (from: AsyncIterable<Credentials>) => (await collected(from)).map(({ data }) => data.server);
    expect(await servers(ccache.credentials())).toEqual(['s@R']);
    await using iterator = await ccache.newCredentialsIterator();
    expect(await servers(await iterator.clone())).toEqual(['s@R']);
    expect(await servers(ccache.credentials({ all: true }))).toEqual([note, 's@R', note]);
    for await (const one of ccache.credentials({ all: true })) await ccache.removeCredentials(one);
    expect(await servers(ccache.credentials({ all: true }))).toEqual([]);
  });

  it('may be cloned in its middle, and both go on alike', async () => {
    await using context = open();
    const ccache = await context.createCCache('cloned', 'alice@R');
    for (let i = 0; i < 20; i++) await ccache.storeCredentials(credentialFor(`${i}@R`));
    await using iterator = await ccache.newCredentialsIterator();
    for (let i = 0; i < 6; i++) await iterator.next();
    await using clone = await iterator.clone();
    const rest = async (from: AsyncIterable<Credentials>) => (await collected(from)).map(({ data }) => data.server);
    const expected = Array.from({ length: 14 }, (_, i) => `${i + 6}@R`);
    expect(await rest(iterator)).toEqual(expected);
    expect(await rest(clone)).toEqual(expected);
  });

  it('finds what is stored after it had come to its end', async () => {
    await using context = open();
    const ccache = await context.createCCache('growing', 'alice@R');
    await ccache.storeCredentials(credentialFor('1@R'));
    await using iterator = await ccache.newCredentialsIterator();
    const next = async () => (await iterator.next()).value?.data.server;
    expect([await next(), await next(), await next()]).toEqual(['1@R', undefined, undefined]);
    await ccache.storeCredentials(credentialFor('2@R'));
    const later = [];
    while (later.at(-1) !== '2@R' && later.length < 200) later.push(await next());
    expect(later.filter(Boolean)).toEqual(['2@R']);
  });

  it('that is left early is released', async () => {
    await using context = open();
    const ccache = await context.createCCache('left', 'alice@R');
    for (let i = 0; i < 5; i++) await ccache.storeCredentials(credentialFor(`${i}@R`));
    for await (const _ of ccache.credentials()) break;
    const iterator = await ccache.newCredentialsIterator();
    await iterator.release();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    await ccache.destroy();
  });

  it('ends with 209 where its ccache is reset', async () => {
    await using context = open();
    const ccache = await context.createCCache('reset', 'alice@R');
    await ccache.storeCredentials(credentialFor('1@R'));
    const iterator = await ccache.newCredentialsIterator();
    await context.createCCache('reset', 'alice@R');
    await expect(iterator.next()).rejects.toThrow(code('ccErrInvalidCredentialsIterator'));
  });
});

/**
 * A socket of our own before the worker's, which counts how often the conversation turns: that is, how many batches of
 * bytes come from the client, of which none leaves before its predecessor's reply is there unless it was sent ahead.
 */
async function countingProxy(): Promise<{ base: string; turns(): number }> {
  const proxied = `${temporaryDirectory()}/run`;
  mkdirSync(`${proxied}/${process.getuid?.()}`, { recursive: true, mode: 0o700 });
  let turns = 0;
  const server: Server = createServer((near: Socket) => {
    const far = connect(`${base}/${process.getuid?.()}/S.ccapi`);
    near.on('data', (chunk) => {
      turns++;
      far.write(chunk);
    });
    far.on('data', (chunk) => near.write(chunk));
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(`${proxied}/${process.getuid?.()}/S.ccapi`, resolve));
  afterwards(() => void server.close());
  return { base: proxied, turns: () => turns };
}
