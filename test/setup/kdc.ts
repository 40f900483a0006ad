import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { start, temporaryDirectory } from './cleanup.ts';
import { cleanEnvironment, freePort, run, succeed } from './programs.ts';

/** A KDC of the tests' own, on a port of its own. */
export interface Kdc {
  realm: string;
  /** A krb5.conf that leads to it, which every user may read. */
  krb5Conf: string;
  password: string;
  /** The kdc.conf, for who wants to start it once more, in a network of their own. */
  profile: string;
  /** Writes the keys of principals to a keytab that every user may read, and returns its path. */
  keytab(name: string, principals: string[]): Promise<string>;
}

const REALM = 'TEST.EXAMPLE';
const PASSWORD = 'correct horse battery staple';

/** Starts a KDC that knows these principals; those with a `/` have random keys, the others the password. */
export async function startKdc(principals: string[]): Promise<Kdc> {
  const directory = temporaryDirectory();
  const port = await freePort();
  const krb5Conf = join(directory, 'krb5.conf');
  const env = { KRB5_CONFIG: krb5Conf, KRB5_KDC_PROFILE: join(directory, 'kdc.conf') };
  mkdirSync(join(directory, 'db'), { mode: 0o700 });
  writeFileSync(krb5Conf, clientConfiguration(port));
  writeFileSync(env.KRB5_KDC_PROFILE, kdcConfiguration(directory, port));
  await succeed('/usr/sbin/kdb5_util', ['create', '-s', '-W', '-r', REALM, '-P', 'master key'], { env });
  const commands = principals.map((name) =>
    name.includes('/') ? `addprinc -randkey ${name}` : `addprinc +requires_preauth -pw "${PASSWORD}" ${name}`,
  );
  const kadmin = (lines: string[]) =>
    run('/usr/sbin/kadmin.local', ['-r', REALM], { env, input: `${lines.join('\n')}\n` });
  await kadmin(commands);
  const kdc = start('/usr/sbin/krb5kdc', ['-n', '-r', REALM], {
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await new Promise<void>((resolve, reject) => {
    for (const stream of [kdc.stdout, kdc.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        if (chunk.includes('starting...')) resolve();
      });
    }
    kdc.once('exit', (code) => reject(new Error(`krb5kdc ended with ${code}`)));
  });
  const keytab = async (name: string, of: string[]) => {
    const path = join(directory, name);
    await kadmin([`ktadd -k ${path} -norandkey ${of.join(' ')}`]);
    chmodSync(path, 0o644);
    return path;
  };
  return { realm: REALM, krb5Conf, password: PASSWORD, profile: env.KRB5_KDC_PROFILE, keytab };
}

function clientConfiguration(port: number): string {
  return `[libdefaults]
    default_realm = ${REALM}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    rdns = false
    dns_canonicalize_hostname = false
    forwardable = true
[realms]
    ${REALM} = {
        kdc = 127.0.0.1:${port}
    }
`;
}

function kdcConfiguration(directory: string, port: number): string {
  return `[kdcdefaults]
    kdc_listen = 127.0.0.1:${port}
    kdc_tcp_listen = 127.0.0.1:${port}
[realms]
    ${REALM} = {
        database_name = ${directory}/db/principal
        key_stash_file = ${directory}/db/stash
        acl_file = ${directory}/db/acl
        max_renewable_life = 7d
        default_principal_flags = +renewable
    }
[logging]
    kdc = FILE:${directory}/db/kdc.log
`;
}
