import { mkdirSync, writeFileSync } from 'node:fs';
import { eventually, start, temporaryDirectory } from './cleanup.ts';
import type { Kdc } from './kdc.ts';
import { cleanEnvironment, freePort, isPortOpen, succeed } from './programs.ts';

/** The host that a file server is for; its principal is `cifs/` and this name. To `localhost` Samba's clients bring no ticket. */
export const FILE_SERVER = 'files.test.example';

/** A real smbd on loopback, run by root, that lets in nothing but tickets; resolves with its port. Its `share` holds `file`. */
export async function startSamba(kdc: Kdc): Promise<number> {
  const directory = temporaryDirectory();
  const port = await freePort();
  const keytab = await kdc.keytab('cifs', [`cifs/${FILE_SERVER}`]);
  const env = { KRB5_CONFIG: kdc.krb5Conf, KRB5_KDC_PROFILE: kdc.profile };
  // A server that is in no domain takes no ticket with authorization data.
  const modify = ['modprinc', '+no_auth_data_required', `cifs/${FILE_SERVER}`];
  await succeed('/usr/sbin/kadmin.local', ['-r', kdc.realm, ...modify], { env });
  const places = ['private', 'lock', 'state', 'cache', 'pid'];
  for (const name of [...places, 'ncalrpc', 'share']) mkdirSync(`${directory}/${name}`);
  writeFileSync(`${directory}/share/file`, 'of the share');
  const lines = [
    '[global]',
    `realm = ${kdc.realm}`,
    'workgroup = TEST',
    'server role = standalone server',
    'kerberos method = dedicated keytab',
    `dedicated keytab file = ${keytab}`,
    `smb ports = ${port}`,
    'interfaces = 127.0.0.1',
    'bind interfaces only = yes',
    'disable netbios = yes',
    'load printers = no',
    'disable spoolss = yes',
    `log file = ${directory}/log`,
    ...places.map((name) => `${name}${name === 'private' ? ' dir' : ' directory'} = ${directory}/${name}`),
    `ncalrpc dir = ${directory}/ncalrpc`,
    '[share]',
    `path = ${directory}/share`,
  ];
  writeFileSync(`${directory}/smb.conf`, `${lines.join('\n')}\n`);
  // It makes a process group of its own, and ends all of that with itself.
  const args = ['--foreground', '-s', `${directory}/smb.conf`];
  start('/usr/sbin/smbd', args, { env: cleanEnvironment(env), stdio: 'ignore' });
  await eventually(() => isPortOpen(port));
  return port;
}
