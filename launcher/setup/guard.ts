import { asBytes, type Step, writeStep } from '../../etc/config/setup-step.ts';
import { OWN_DIRECTORY } from './record.ts';

/** What inetd runs: it is outside of the package, and stays when that is removed. */
export const GUARD = `${OWN_DIRECTORY}/launcher`;

/**
 * With the package gone a launcher that inetd starts would fail again and again, and the connection that it was started for
 * would wait for ever. In its place each connection is closed, for a second, and the log has the reason. Where Node is
 * gone too, inetd itself closes a service that fails.
 */
export function guardSteps(node: string, launcher: string): Step[] {
  const text = `#!/bin/sh
# Made by ccapi-launcher setup, for inetd; ccapi-launcher setup --undo removes it.
node=${quoted(node)}
launcher=${quoted(launcher)}
if [ -r "$launcher" ] && [ -x "$node" ]; then exec "$node" "$launcher" "$@"; fi
logger -p daemon.err -t ccapi-launcher "$launcher or $node is gone: install ccapi again, or run ccapi-launcher setup --undo before you remove it" 2>/dev/null
unset NODE_OPTIONS
exec "$node" -e 'require("net").createServer((c) => c.destroy()).listen({ fd: 0 }); setTimeout(process.exit, 1000, 0)'
`;
  return writeStep(GUARD, asBytes(text), 0o755);
}

export function guardUndoSteps(): Step[] {
  return writeStep(GUARD, undefined);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
