import type { SettingsReport } from '../../proto/status.ts';
import { askSettings } from '../launcher-client.ts';
import { Locator } from '../locator.ts';
import { readStatus } from '../worker-status.ts';

/** A running program of ours, and the settings that it goes by. */
interface RunningSettings {
  program: 'launcher' | 'server';
  settings: SettingsReport;
}

/** A setting that a running program has otherwise than this one reads it. */
export interface Difference {
  program: RunningSettings['program'];
  key: string;
  value: string;
  where: string;
}

/** What launcher and server go by, as far as they run here and say so; none is started. `env` says where they are. */
export async function readRunningSettings(
  port: number,
  env: NodeJS.ProcessEnv = process.env,
): Promise<RunningSettings[]> {
  const [launcher, server] = await Promise.all([
    askSettings(port, process.geteuid?.() as number).catch(() => undefined),
    serverSettings(env).catch(() => undefined),
  ]);
  return [
    ...(launcher ? [{ program: 'launcher' as const, settings: launcher }] : []),
    ...(server ? [{ program: 'server' as const, settings: server }] : []),
  ];
}

async function serverSettings(env: NodeJS.ProcessEnv): Promise<SettingsReport | undefined> {
  const found = await new Locator({ env, here: true }).find({ launch: false });
  return found && (await readStatus(found)).settings;
}

/** Where running programs differ from what is in force here. A server of another version has other keys. */
export function differences(running: readonly RunningSettings[], here: SettingsReport): Difference[] {
  return running.flatMap(({ program, settings }) =>
    Object.entries(settings)
      .filter(([key, { value }]) => here[key] !== undefined && here[key].value !== value)
      .map(([key, { value, where }]) => ({ program, key, value, where })),
  );
}
