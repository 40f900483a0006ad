// A file system that is full, a small tmpfs of the test's own: a clear error, what was there stays, and it goes on.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CCAPIError, errorCodes } from '../../proto/errors.ts';
import { uninitialised } from '../../proto/identifier.ts';
import { fromCredentialV5, marshalled } from '../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { credentialFor } from '../server/model/model.ts';
import { RawConnection } from '../server/raw-connection.ts';
import { end, temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';
import { startWorker } from '../setup/worker.ts';
import { KCMConnection } from './kcm-connection.ts';

describeWith(['root', 'Linux'], 'where there is no room', () => {
  let base: string;
  beforeEach(() => {
    base = `${temporaryDirectory()}/small`;
    mkdirSync(base);
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=755', 'tmpfs', base]);
    mkdirSync(`${base}/0`, { mode: 0o700 });
  });
  afterEach(() => execFileSync('/bin/umount', ['--lazy', base]));

  const large = (service: string) => ({
    ...credentialFor(service),
    ticket: { type: 0, data: Buffer.alloc(50_000, 1) },
  });

  it('both faces say so, what was kept stays, and it goes on once there is room', async () => {
    const first = await startWorker(base);
    const ccapi = await RawConnection.open(first.path);
    const kcm = new KCMConnection(first.path);
    const { ccache } = await ccapi.get('contextCreateCCache', uninitialised, {
      name: 'a',
      version: 2,
      principal: 'a@R',
    });
    let stored = 0;
    for (;;) {
      const code = await ccapi.ask('ccacheStoreCredentials', ccache, { credentials: large(`${stored}@R`) }).answered;
      if (code !== 0) {
        expect(code).toBe(errorCodes.ccErrNoMem.code);
        break;
      }
      stored++;
    }
    expect(stored).toBeGreaterThan(10);
    // The reason reaches the person: the protocol's own word for it is "out of memory".
    const refused = ccapi.get('ccacheStoreCredentials', ccache, { credentials: large('refused@R') });
    await expect(refused).rejects.toThrow(/no space left on device/);
    writeFileSync(`${base}/rest`, '');
    const credential = marshalled(fromCredentialV5({ ...large('more@R'), client: 'a@R' }));
    expect(await kcm.ask('store', { name: 'a', credential })).toBe(errorCodes.KRB5_CC_WRITE.code);
    const principal = parsePrincipal('b@R');
    const replacing = { name: 'a', offset: 0, principal, credentials: Array(9).fill(credential) };
    expect(await kcm.ask('replace', replacing)).toBe(errorCodes.KRB5_CC_WRITE.code);
    // Nothing of what was refused is there, neither now nor after an end.
    const services = Array.from({ length: stored }, (_, i) => `${i}@R`);
    expect(await servicesOf(ccapi)).toEqual(services);
    await end(first.worker, 'SIGKILL');
    const second = await startWorker(base);
    const again = await RawConnection.open(second.path);
    expect(await servicesOf(again)).toEqual(services);
    // A removal wants little room; with what it has given back at the latest there is some again.
    const { ccache: found } = await again.get('contextOpenCCache', uninitialised, { name: 'a' });
    rmSync(`${base}/rest`);
    await again.get('contextCreateCCache', uninitialised, { name: 'a', version: 2, principal: 'a@R' });
    await again.get('ccacheStoreCredentials', found, { credentials: large('again@R') });
    expect(await servicesOf(again)).toEqual(['again@R']);
    again.kill();
    await end(second.worker);
  });
});

async function servicesOf(connection: RawConnection): Promise<string[]> {
  const { ccache } = await connection.get('contextOpenCCache', uninitialised, { name: 'a' });
  const { iterator } = await connection.get('ccacheNewCredentialsIterator', ccache, {});
  const services: string[] = [];
  for (;;) {
    try {
      services.push((await connection.get('credentialsIteratorNext', iterator, {})).credentials.server);
    } catch (error) {
      if (CCAPIError.is(error, 'ccIteratorEnd')) return services;
      throw error;
    }
  }
}
