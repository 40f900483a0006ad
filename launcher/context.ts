import { readFileSync } from 'node:fs';
import { CurrentSettings } from '../etc/config/current-settings.ts';
import type { SettingTexts } from '../etc/config/settings.ts';
import type { Settings } from '../etc/config/settings-table.ts';
import type { Log } from '../etc/host/log.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import { NameService } from '../etc/host/name-service.ts';
import { hasPeerCredentials } from '../etc/host/peer-credentials.ts';
import { CCAPIError, ConfigError } from '../proto/errors.ts';
import { RendezvousError, type WorkerKey } from '../proto/rendezvous.ts';
import type { SettingsReport } from '../proto/status.ts';
import { ConnectionQuota } from './connection-quota.ts';
import { type BaseDirectory, chooseBaseDirectory } from './directories.ts';
import { Refusals } from './refusals.ts';
import type { WaitingWorker } from './waiting-worker.ts';
import { WorkerLinks } from './worker-links.ts';
import { WorkerRegistry } from './worker-registry.ts';

/** How often it is looked whether krb5.conf has changed, in milliseconds, while connections come. */
const LOOK_AGAIN = 1000;

/** Descriptors that are kept for all else than connections and links. */
const RESERVE = 64;

export const rootWithoutKoffi =
  'koffi is missing, or this is not Linux: a launcher of root serves no user; npm install -g --include=optional ccapi';

/** What the parts of a launcher share. */
export interface LauncherContext {
  settings: Pick<Settings, 'verifyUid' | 'launcherIdle'>;
  /** Has the settings in force be those of the files, where these have changed; looks at most once a second unless it is asked to. */
  refresh(isAsked?: boolean): void;
  /** Whether each login session has a worker of its own. */
  isPerSession: boolean;
  quota: ConnectionQuota;
  refusals: Refusals;
  launcherUid: number;
  log: Log;
  /** Whether the passwd database has a uid, as far as it is known at once. */
  isKnown(uid: number): boolean;
  socketOf(key: WorkerKey): Promise<string>;
  /** The settings in force, as a report. Throws a {@link RendezvousError} where there are none. */
  report(): SettingsReport;
  links: WorkerLinks;
  /** Whether the launcher has to stay although no peer is connected. */
  isNeeded(): boolean;
}

/** How a launcher was started. */
interface ContextOptions {
  /** The settings of its command line. */
  given: SettingTexts;
  launcherUid: number;
  /** False for a launcher of one connection. */
  stays: boolean;
  log: Log;
  /** Starts a worker with the arguments of one. */
  startWorker(args: readonly string[]): Promise<WaitingWorker>;
  /** Whether systemd does, and mounts their space. */
  isByUnits: boolean;
  /** A worker that has been started already. */
  spare?: WaitingWorker | undefined;
}

/** The context of a launcher that has its settings. */
interface PreparedContext extends LauncherContext {
  settings: Settings;
  base: string;
}

/**
 * Reads the settings and makes what goes by them; from then on {@link LauncherContext.refresh} keeps both current. `earlier`
 * is a context that could serve no client and becomes this one: it goes on counting connections and refusals. Throws 202
 * (`ccErrBadParam`) where no client can be served.
 */
export function prepareContext(
  options: ContextOptions,
  earlier: Partial<LauncherContext> = {},
  current = new CurrentSettings(options.given),
): PreparedContext {
  const { launcherUid, stays, log } = options;
  if (launcherUid === 0 && !hasPeerCredentials()) throw new ConfigError(rootWithoutKoffi);
  const settings = current.read();
  let base = chooseBaseDirectory(settings, launcherUid, stays, log);
  const names = new NameService();
  const keepsSpare = stays && launcherUid === 0;
  const registry = new WorkerRegistry({ ...options, base: base.path, settings, names, keepsSpare });
  const socketOf = (key: WorkerKey) => registry.socketOf(key);
  logMissingNames(names, settings, log);
  const { quota = new ConnectionQuota(quotaOf(settings)), refusals = new Refusals(log) } = earlier;
  quota.most = quotaOf(settings);
  const context: PreparedContext = Object.assign(earlier, {
    ...fromSettings(settings),
    quota,
    refusals,
    base: base.path,
    launcherUid,
    log,
    isKnown: (uid: number) => names.isKnown(uid),
    socketOf,
    report: () => current.report,
    links: new WorkerLinks({ socketOf, connectTo: registry.connectTo }),
    isNeeded: () => base.isHeld && registry.running > 0,
    refresh: refresher(current, log, (changed) => {
      if (JSON.stringify(changed) === JSON.stringify(context.settings)) return false;
      base = baseAfter(base, changed, options);
      context.base = base.path;
      Object.assign(context, fromSettings(changed));
      context.quota.most = quotaOf(changed);
      registry.configure({ base: base.path, settings: changed });
      // What decides who is served is asked again for the next connection.
      context.links.close();
      logMissingNames(names, changed, log);
      return true;
    }),
  });
  return context;
}

/**
 * The same, but where no client can be served, as with a wrong krb5.conf, each is answered why, and so is the log, until
 * that is mended.
 */
export function prepareOrRefuse(options: ContextOptions): LauncherContext {
  const { given, launcherUid, log } = options;
  // It knows which files it has found wrong.
  const current = new CurrentSettings(given);
  try {
    return prepareContext(options, {}, current);
  } catch (error) {
    if (!(error instanceof CCAPIError)) throw error;
    log.error(error.message);
    const refusal = new RendezvousError('config', error.message);
    const refuse = () => Promise.reject(refusal);
    const context: LauncherContext = {
      settings: { verifyUid: true, launcherIdle: 1 },
      isPerSession: false,
      quota: new ConnectionQuota({ inAll: 100, perUid: 10 }),
      refusals: new Refusals(log),
      launcherUid,
      log,
      isKnown: () => true,
      socketOf: refuse,
      report: () => {
        throw refusal;
      },
      links: new WorkerLinks({ socketOf: refuse, connectTo: refuse }),
      isNeeded: () => false,
      refresh: refresher(current, log, () => {
        prepareContext(options, context, current);
        return true;
      }),
    };
    return context;
  }
}

/** Looks whether the settings have changed, at most once a second unless it is told to, and has them applied. */
function refresher(
  current: CurrentSettings,
  log: Log,
  apply: (settings: Settings) => boolean,
): LauncherContext['refresh'] {
  let lookedAt = monotonic();
  let fault: string | undefined;
  return (isAsked = false) => {
    const now = monotonic();
    if (!isAsked && now - lookedAt < LOOK_AGAIN) return;
    lookedAt = now;
    if (!isAsked && !current.hasChanged()) return;
    try {
      if (apply(current.read()) || isAsked) log.info('settings reloaded');
      fault = undefined;
    } catch (error) {
      const { message } = error as Error;
      if (message !== fault || isAsked) log.error(`settings stay as they were: ${message}`);
      fault = message;
    }
  };
}

/** What of a context its settings say. */
function fromSettings(settings: Settings): { settings: Settings; isPerSession: boolean } {
  return { settings, isPerSession: settings.scope === 'session' };
}

/** Connections are descriptors: with fewer of these than the settings allow, one uid would have them all. */
function quotaOf({ maxLauncherConnections, maxLauncherConnectionsPerUid }: Settings): ConnectionQuota['most'] {
  const possible = Math.max(8, Math.floor((descriptorLimit() - RESERVE) / 2));
  return {
    inAll: Math.min(maxLauncherConnections, possible),
    perUid: Math.min(maxLauncherConnectionsPerUid, Math.floor(possible / 4)),
  };
}

/** How many descriptors this process may have; Node has raised that as far as it may. Source: proc_pid_limits(5). */
function descriptorLimit(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'latin1');
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** A base of a random name stays, unless the settings name one by now. */
function baseAfter(
  base: BaseDirectory,
  settings: Settings,
  { launcherUid, stays, log }: ContextOptions,
): BaseDirectory {
  const isNamed = settings.directory !== undefined || settings.pathTemplate !== undefined;
  return base.isHeld && !isNamed ? base : chooseBaseDirectory(settings, launcherUid, stays, log);
}

/** A rule cannot mean what it says where no database has its name; the admin is told so, and the name service is not waited for. */
async function logMissingNames(names: NameService, { allow, deny }: Settings, log: Log): Promise<void> {
  for (const name of await names.missingNames([...allow, ...deny])) {
    log.error(`allow or deny: ${name}: no database has this name; correct it in krb5.conf`);
  }
}
