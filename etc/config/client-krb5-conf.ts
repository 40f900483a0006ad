import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { stringify } from 'ini';
import { CCAPIError, ConfigError } from '../../proto/errors.ts';
import { checkPrivateDirectory } from '../host/private-directory.ts';
import { krb5ConfPaths } from './krb5-conf.ts';
import { privateDirectory } from './paths.ts';

/**
 * The value of KRB5_CONFIG with which stock Kerberos programs of `uid` keep their tickets in the worker behind this
 * socket: a krb5.conf that names it, ahead of those that the environment names. The file is written beside the socket, or into
 * the user's own directory where others can write beside the socket. Throws 202 for a path that krb5.conf cannot hold, 224
 * where there is no safe directory.
 */
export function writeClientKrb5Conf(
  socket: string,
  env: NodeJS.ProcessEnv,
  uid = process.geteuid?.() as number,
): string {
  // KRB5_CONFIG separates files by colons, and krb5.conf has one line for a value.
  if (/[:\p{Cc}]/u.test(socket)) {
    throw new ConfigError(`${JSON.stringify(socket)} cannot stand in a krb5.conf; choose another directory`);
  }
  const path = `${safeDirectory(dirname(socket), uid, env)}/krb5.conf`;
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(temporary, contents(socket), { mode: 0o600, flag: 'wx' });
  renameSync(temporary, path);
  return [path, ...krb5ConfPaths(env).filter((other) => other !== path)].join(':');
}

/** A private directory, without links on its path: what stands in this file decides where tickets go. */
function safeDirectory(beside: string, uid: number, env: NodeJS.ProcessEnv): string {
  try {
    return checkPrivateDirectory(beside, uid);
  } catch (error) {
    if (!CCAPIError.is(error, 'ccErrServerInsecure')) throw error;
    const own = privateDirectory(uid, env);
    // Every user passes through root's base.
    mkdirSync(dirname(own), { recursive: true, mode: uid === 0 ? 0o755 : 0o700 });
    mkdirSync(own, { recursive: true, mode: 0o700 });
    return checkPrivateDirectory(own, uid);
  }
}

/** MIT's programs ask by the first two lines, Heimdal's by the last. */
function contents(socket: string): string {
  const libdefaults = { default_ccache_name: 'KCM:', kcm_socket: socket, default_cc_type: 'KCM' };
  const text = stringify({ libdefaults }, { whitespace: true });
  return `# Made by ccapi: leads stock Kerberos programs to the server beside it.\n${withoutEscapes(text)}`;
}

/**
 * What is in quotes libkrb5 reads as the ini package means it. Outside of them that package puts a backslash before each
 * `;` and `#`, which are nothing special to libkrb5 but at the beginning of a line. Source: krb5, prof_parse.c.
 */
function withoutEscapes(text: string): string {
  return text.replace(/^(?!.* = ").*$/gm, (line) => line.replace(/\\([;#])/g, '$1'));
}
