import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, start, temporaryDirectory } from './cleanup.ts';
import { cleanEnvironment, freePort, isPortOpen, succeed } from './programs.ts';

/** A real sshd on loopback, run by root; resolves with its port. `lines` configure it. */
export async function startSshd(lines: string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  const directory = temporaryDirectory();
  const port = await freePort();
  const hostKey = join(directory, 'host_key');
  await succeed('/usr/bin/ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey]);
  const configuration = join(directory, 'sshd_config');
  // Of two lines with a word the first counts.
  const common = [`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${hostKey}`, `PidFile ${directory}/pid`];
  writeFileSync(configuration, [...common, ...lines, 'UsePAM no', 'UseDNS no', 'StrictModes no', ''].join('\n'));
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  start('/usr/sbin/sshd', ['-D', '-e', '-f', configuration], { env: cleanEnvironment(env), stdio: 'ignore' });
  await eventually(() => isPortOpen(port));
  return port;
}

/** Lines for an sshd that lets in nothing but tickets. */
export const gssapiOnly = [
  'AuthenticationMethods gssapi-with-mic',
  'GSSAPIAuthentication yes',
  'GSSAPICleanupCredentials yes',
  // The keytab is for localhost, and not for the name of this machine.
  'GSSAPIStrictAcceptorCheck no',
];

/** The words of an ssh that comes with a ticket and nothing else; host and command follow. */
export function sshCommand(port: number, knownHosts: string): string[] {
  return [
    ...['/usr/bin/ssh', '-F', '/dev/null', '-p', String(port), '-o', 'StrictHostKeyChecking=no'],
    ...['-o', `UserKnownHostsFile=${knownHosts}`, '-o', 'LogLevel=ERROR', '-o', 'BatchMode=yes'],
    ...['-o', 'PreferredAuthentications=gssapi-with-mic', '-o', 'GSSAPIAuthentication=yes'],
  ];
}
