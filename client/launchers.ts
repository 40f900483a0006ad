import type { Settings } from '../etc/config/settings.ts';
import type { WorkerKey } from '../proto/rendezvous.ts';
import { askChild, askPort } from './launcher-client.ts';
import { ROOT_PORT } from './machine.ts';

/** The port of a launcher without root. */
const USER_PORT = 7789;

/** How long a launcher may take that can be passed over for one of our own, in milliseconds. */
const PASSABLE_DEADLINE = 1000;

/** A launcher that may be asked. */
export interface Launcher {
  name: string;
  /** Whether its refusal is final. */
  decides: boolean;
  path(): Promise<string | undefined>;
}

/** The launchers in turn. What the machine's own says is final; a port above 1023 may be any user's. */
export function launchers(
  { port: named, autostart }: Pick<Settings, 'port' | 'autostart'>,
  key: WorkerKey,
  program: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
): Launcher[] {
  const ports = named ? [named] : key.uid === 0 ? [ROOT_PORT] : [ROOT_PORT, USER_PORT];
  const listening = ports.map((port): Launcher => {
    const decides = port < 1024 || named !== undefined;
    const deadline = decides || !autostart ? undefined : PASSABLE_DEADLINE;
    return { name: `launcher on port ${port}`, decides, path: () => askPort(port, key, deadline) };
  });
  const own = {
    name: 'launcher of our own',
    decides: true,
    path: () => askChild([...program, '--inetd'], key, env),
  };
  return autostart ? [...listening, own] : listening;
}
