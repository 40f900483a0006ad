// What is left of a key after its ccache was destroyed: nothing in the worker's memory, nothing in the files.

import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import type { CredentialV5 } from '../../../proto/credential.ts';
import { uninitialised } from '../../../proto/identifier.ts';
import { fromCredentialV5, marshalled } from '../../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../../proto/principal.ts';
import { KCMConnection } from '../../fault/kcm-connection.ts';
import { eventually, memory } from '../../setup/cleanup.ts';
import { describeWith } from '../../setup/requirements.ts';
import { type RunningWorker, startWorker, workerDirectory } from '../../setup/worker.ts';
import { RawConnection } from '../raw-connection.ts';
import { credentialFor } from './model.ts';

let running: RunningWorker;
let kcm: KCMConnection;
let ccapi: RawConnection;

/** In how many places of the worker's memory some bytes are. */
function copiesOf(bytes: Buffer): number {
  const pid = running.worker.pid;
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  let copies = 0;
  for (const [, from = '', to = ''] of readFileSync(`/proc/${pid}/maps`, 'utf8').matchAll(/^(\w+)-(\w+) rw.*$/gm)) {
    const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
    const region = Buffer.alloc(end - start);
    try {
      const length = readSync(memory, region, 0, region.length, start);
      for (let at = region.indexOf(bytes); at >= 0 && at < length; at = region.indexOf(bytes, at + 1)) copies++;
    } catch {
      // Not every region can be read.
    }
  }
  closeSync(memory);
  return copies;
}

const secret = () => randomBytes(32);
const withKey = (key: Buffer, ticket = Buffer.from('ticket')): CredentialV5 => ({
  ...credentialFor('s@R'),
  keyblock: { type: 18, data: key },
  ticket: { type: 0, data: ticket },
});
const inKCM = (credential: CredentialV5) => marshalled(fromCredentialV5(credential));

describeWith(['root', 'Linux'], 'the memory of a worker', () => {
  beforeEach(async () => {
    running = await startWorker(workerDirectory(memory));
    kcm = new KCMConnection(running.path);
    ccapi = await RawConnection.open(running.path);
    expect(await kcm.ask('initialize', { name: 'a', principal: parsePrincipal('alice@R') })).toBe(0);
  });

  async function expectGone(key: Buffer): Promise<void> {
    expect(await kcm.ask('destroy', { name: 'a' })).toBe(0);
    // A reply is overwritten once it is sent, which may be a moment after it has come.
    await eventually(() => copiesOf(key) === 0);
  }

  it('holds a key while it is kept, so that this is found', async () => {
    const key = secret();
    expect(await kcm.ask('store', { name: 'a', credential: inKCM(withKey(key)) })).toBe(0);
    expect(copiesOf(key)).toBeGreaterThan(0);
    await expectGone(key);
  });

  it.each([
    ['with a short ticket', 100],
    ['with a ticket that comes in several pieces', 300_000],
  ])('holds none that came by KCM %s, was asked for and was destroyed', async (_, length) => {
    const key = secret();
    const credential = inKCM(withKey(key, randomBytes(length)));
    expect(await kcm.ask('store', { name: 'a', credential })).toBe(0);
    // Again, in its own place: both the removal of the one and the other are written at once.
    expect(await kcm.ask('store', { name: 'a', credential })).toBe(0);
    expect(await kcm.ask('retrieve', { name: 'a', flags: 0, matching: 's@R' })).toBe(0);
    expect(await kcm.ask('getCredList', { name: 'a' })).toBe(0);
    expect(
      await kcm.ask('replace', {
        name: 'a',
        offset: 0,
        principal: parsePrincipal('alice@R'),
        credentials: [credential],
      }),
    ).toBe(0);
    await expectGone(key);
  });

  it.each([
    ['that KCM can have', 0],
    ['that only the CCAPI has', 256],
  ])('holds none of a credential %s', async (_, isSkey) => {
    const key = secret();
    const { ccache } = await ccapi.get('contextOpenCCache', uninitialised, { name: 'a' });
    await ccapi.get('ccacheStoreCredentials', ccache, { credentials: { ...withKey(key), isSkey } });
    const { iterator } = await ccapi.get('ccacheNewCredentialsIterator', ccache, {});
    expect((await ccapi.get('credentialsIteratorNext', iterator, {})).credentials.keyblock.data).toEqual(key);
    expect(await kcm.ask('getCredList', { name: 'a' })).toBe(0);
    await expectGone(key);
  });

  it('holds none of requests that are refused', async () => {
    const key = secret();
    const credentials = withKey(key);
    const { ccache } = await ccapi.get('contextOpenCCache', uninitialised, { name: 'a' });
    const unknown = { ...ccache, object: ccache.object.replace(/.$/, 'f') };
    expect(await ccapi.ask('ccacheStoreCredentials', unknown, { credentials }).answered).toBe(205);
    const tooLong = { ...credentials, authdata: [], server: 'x'.repeat(70_000) };
    expect(await ccapi.ask('ccacheStoreCredentials', ccache, { credentials: tooLong }).answered).toBe(202);
    const credential = inKCM(credentials);
    expect(await kcm.ask('store', { name: 'none', credential })).toBeLessThan(0);
    expect(await kcm.ask('store', { name: 'a', credential: credential.subarray(0, -1) })).toBeLessThan(0);
    await expectGone(key);
  });

  it('holds none that was sent behind a request that waits, or in half a frame, once the connection is gone', async () => {
    const key = secret();
    const credential = withKey(key);
    const { ccache } = await ccapi.get('contextOpenCCache', uninitialised, { name: 'a' });
    const waiting = await RawConnection.open(running.path);
    waiting.ask('contextWaitForChange', uninitialised, { last: 0xffffffff });
    waiting.ask('ccacheStoreCredentials', ccache, { credentials: credential });
    await eventually(() => copiesOf(key) > 0);
    waiting.kill();
    await expectGone(key);
  });
});
