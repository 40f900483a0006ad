import { writeFileSync } from 'node:fs';
import { eventually, start, temporaryDirectory } from './cleanup.ts';
import { cleanEnvironment, freePort, isPortOpen } from './programs.ts';

const MODULES = '/usr/lib/apache2/modules';

/**
 * A real Apache on loopback, run by root, that asks for a ticket (mod_auth_gssapi) and answers an empty page with
 * the principal in the header `X-Principal`; resolves with its port. The keytab has the keys of `HTTP/localhost`. More
 * lines are for the place that asks.
 */
export async function startApache(keytab: string, env: NodeJS.ProcessEnv = {}, more: string[] = []): Promise<number> {
  const directory = temporaryDirectory();
  const port = await freePort();
  const configuration = `${directory}/httpd.conf`;
  const modules = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'auth_gssapi', 'headers', 'alias'];
  writeFileSync(`${directory}/page`, '');
  writeFileSync(
    configuration,
    [
      ...modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`),
      `ServerRoot ${directory}`,
      `DefaultRuntimeDir ${directory}`,
      `PidFile ${directory}/pid`,
      `ErrorLog ${directory}/error.log`,
      'ServerName localhost',
      `Listen 127.0.0.1:${port}`,
      'User nobody',
      'Group nogroup',
      `Alias / ${directory}/page`,
      '<Location />',
      ' AuthType GSSAPI',
      ' AuthName tickets',
      ` GssapiCredStore keytab:${keytab}`,
      ' GssapiAllowedMech krb5',
      ' Require valid-user',
      ' Header set X-Principal "expr=%{REMOTE_USER}"',
      ...more,
      '</Location>',
      '',
    ].join('\n'),
  );
  const args = ['-D', 'FOREGROUND', '-f', configuration];
  start('/usr/sbin/apache2', args, { env: cleanEnvironment(env), stdio: 'ignore' });
  await eventually(() => isPortOpen(port));
  return port;
}
