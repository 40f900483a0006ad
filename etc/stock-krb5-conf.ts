import { renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { krb5ConfPaths } from './krb5-conf.ts';

/**
 * The value of KRB5_CONFIG with which stock Kerberos programs keep their tickets in the worker whose socket this is: a
 * krb5.conf beside the socket that names it, which is written, ahead of those that the environment names.
 */
export function writeStockKrb5Conf(socket: string, env: NodeJS.ProcessEnv): string {
  const path = `${dirname(socket)}/krb5.conf`;
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, contents(socket), { mode: 0o600 });
  renameSync(unfinished, path);
  return [path, ...krb5ConfPaths(env).filter((other) => other !== path)].join(':');
}

/** MIT's programs ask by the first two lines, Heimdal's by the last. */
function contents(socket: string): string {
  return `# Made by ccapi: leads stock Kerberos programs to the server beside it.
[libdefaults]
    default_ccache_name = KCM:
    kcm_socket = ${socket}
    default_cc_type = KCM
`;
}
