import { connectDatagram, sendAtOnce } from '../etc/host/datagram.ts';

/**
 * Tells systemd that the event loop turns, twice in each of its periods, where the unit has WatchdogSec=: a launcher that
 * stands still is started again. The variables are taken out of the environment, so that no child believes them.
 * Source: sd_notify(3), sd_watchdog_enabled(3).
 */
export function startWatchdog(env: NodeJS.ProcessEnv = process.env): void {
  const { NOTIFY_SOCKET: path, WATCHDOG_USEC: period, WATCHDOG_PID: pid = String(process.pid) } = env;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  const milliseconds = Number(period) / 1000;
  if (path === undefined || !(milliseconds > 0) || pid !== String(process.pid)) return;
  const socket = connectDatagram(path);
  if (socket === undefined) return;
  const alive = () => sendAtOnce(socket, Buffer.from('WATCHDOG=1'));
  alive();
  setInterval(alive, milliseconds / 2).unref();
}
