// Tickets that carry a lot (large PACs), from a few hundred bytes to the most that MIT's client takes.
import { writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { writeCCacheFile } from '../../proto/ccache-file.ts';
import { MAX_REPLY } from '../../proto/kcm.ts';
import { fromCredentialV5, type Krb5Credential } from '../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { credentialFor } from '../server/model/model.ts';
import { ccapi, type Outcome, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';

/** DER: a tag, the length of what follows, and that. */
function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([Buffer.from([tag, 0x84]), length, content]);
}

const integer = (value: number) => der(0x02, Buffer.from([value]));
const string = (text: string) => der(0x1b, Buffer.from(text));

/** A Ticket as a KDC makes it (RFC 4120, 5.3), with so many bytes encrypted. */
function ticketOf(size: number, service: string): Buffer {
  const names = der(0x30, ...service.split('/').map(string));
  const name = der(0x30, der(0xa0, integer(2)), der(0xa1, names));
  const encrypted = der(
    0x30,
    der(0xa0, integer(18)),
    der(0xa1, integer(1)),
    der(0xa2, der(0x04, Buffer.alloc(size, 0x5a))),
  );
  const fields = [integer(5), string('TEST.EXAMPLE'), name, encrypted].map((field, i) => der(0xa0 + i, field));
  return der(0x61, der(0x30, ...fields));
}

describeWith(['krb5-user'], 'stock MIT programs store and find tickets', () => {
  let env: NodeJS.ProcessEnv;
  let directory: string;
  const mit = (program: string, ...args: string[]): Promise<Outcome> => run(`/usr/bin/${program}`, args, { env });

  beforeAll(async () => {
    directory = workerDirectory();
    const { path } = await startWorker(directory);
    const conf = `${directory}/krb5.conf`;
    const realm = ' default_realm = TEST.EXAMPLE\n dns_canonicalize_hostname = false\n';
    writeFileSync(conf, `[libdefaults]\n default_ccache_name = KCM:\n kcm_socket = ${path}\n${realm}`);
    env = { KRB5_CONFIG: conf, CCAPI_DIRECTORY: directory, CCAPI_AUTOSTART: 'no' };
  });

  const client = parsePrincipal('alice@TEST.EXAMPLE');

  function file(name: string, sizes: number[]): string {
    const credentials: Krb5Credential[] = sizes.map((size, i) => {
      const service = `host/${i}.test.example`;
      const credential = fromCredentialV5(credentialFor(`${service}@TEST.EXAMPLE`));
      // A name that libkrb5 makes of a command line's host/… has this type; klist and kvno do not compare it.
      return { ...credential, client, authdata: [], isSkey: 0, ticket: ticketOf(size, service), endtime: 0xffff_0000 };
    });
    writeFileSync(`${directory}/${name}`, writeCCacheFile({ otherTags: [], principal: client, credentials }));
    return `FILE:${directory}/${name}`;
  }

  // As the reply to a look-up is counted, beside the ticket there are the inner status and the rest of the credential.
  it.each([64 * 1024, 700_000, 4 * 1024 * 1024, MAX_REPLY - 1024])('of %i bytes', async (size) => {
    const from = file(`of-${size}`, [size]);
    expect(await mit('kvno', '-c', from, '--out-cache', `KCM:${size}`, 'host/0.test.example')).toMatchObject({
      code: 0,
    });
    expect((await mit('klist', '-c', `KCM:${size}`)).stdout).toContain('host/0.test.example@TEST.EXAMPLE');
    expect((await mit('kvno', '--cached-only', '-c', `KCM:${size}`, 'host/0.test.example')).code).toBe(0);
    const out = `${directory}/out-of-${size}`;
    expect((await ccapi(['export', '-c', String(size), `FILE:${out}`], { env })).code).toBe(0);
    expect((await mit('klist', '-c', `FILE:${out}`)).stdout).toContain('host/0.test.example@TEST.EXAMPLE');
  });

  it('of which all together are more than fits into one reply', async () => {
    const from = file('many', Array(50).fill(300_000));
    const services = Array.from({ length: 50 }, (_, i) => `host/${i}.test.example`);
    expect((await mit('kvno', '-c', from, '--out-cache', 'KCM:many', ...services)).code).toBe(0);
    expect((await mit('klist', '-c', 'KCM:many')).stdout.match(/host\/\d+\.test/g)).toHaveLength(50);
    expect((await mit('kvno', '--cached-only', '-c', 'KCM:many', ...services)).code).toBe(0);
  });
});
