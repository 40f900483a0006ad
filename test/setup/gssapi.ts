import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isInstalled } from './debian-packages.ts';
import { type RunOptions, succeed } from './programs.ts';

const root = join(import.meta.dirname, '../..');
const addon = join(root, 'node_modules/kerberos/build/Release/kerberos.node');

/** Whether the `kerberos` package can be used: it has a native part, which is built for the tests alone. */
export function hasGSSAPIAddon(): boolean {
  return existsSync(addon);
}

/** Builds it, where the headers of libkrb5 are there. */
export function buildGSSAPIAddon(): void {
  if (hasGSSAPIAddon() || !isInstalled('libkrb5-dev')) return;
  try {
    execFileSync('npm', ['run', '--silent', 'test-addon'], { cwd: root, stdio: 'pipe' });
  } catch (error) {
    process.stderr.write(`the kerberos package could not be built: ${(error as { stderr: Buffer }).stderr}
`);
  }
}

/**
 * A real GSSAPI initiator and a real acceptor, both of the `kerberos` package, come to terms over a host-based service;
 * returns the principal that the acceptor saw.
 */
export async function acceptedAs(service: string, options: RunOptions & { keytab: string }): Promise<string> {
  const { keytab, env, ...identity } = options;
  const program = join(import.meta.dirname, 'gssapi-exchange.cjs');
  const run = { ...identity, env: { ...env, KRB5_KTNAME: keytab } };
  return (await succeed(process.execPath, [program, service], run)).trimEnd();
}
