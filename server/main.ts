import { closeSync, openSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { launcherBaseDirectory, userDirectory } from '../etc/base-directory.ts';
import { openLog } from '../etc/log.ts';
import { passedDescriptors } from '../etc/passed-descriptors.ts';
import { checkPrivateDirectory } from '../etc/private-directory.ts';
import { loadSettings, settingOptions, settingsFromOptions, settingsUsage } from '../etc/settings.ts';
import { Worker } from './worker.ts';

const usage = `usage: ccapi-server [options]

Holds the credential caches of the user it runs as. ccapi-launcher starts it; nobody needs to start it by hand. It may be
a systemd user unit whose socket is S.ccapi in the user's directory.

${settingsUsage()}
`;

async function main(): Promise<void> {
  process.umask(0o077);
  const { values } = parseArgs({ options: { ...settingOptions(), help: { type: 'boolean' } } });
  if (values.help) {
    writeSync(1, usage);
    return;
  }
  const settings = loadSettings({ commandLine: settingsFromOptions(values) });
  const uid = process.getuid?.() as number;
  const directory = userDirectory(launcherBaseDirectory(settings, uid, process.env), uid);
  checkPrivateDirectory(directory, uid);
  const passed = passedDescriptors();
  const log = openLog('ccapi-server', passed.length > 0 ? 'systemd' : 'syslog');
  const worker = new Worker(settings, log);
  process.on('SIGHUP', () => {
    try {
      worker.reconfigure(loadSettings({ commandLine: settingsFromOptions(values) }));
      log.info('the settings are read anew');
    } catch (error) {
      log.error(`the settings stay as they were: ${(error as Error).message}`);
    }
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => worker.stop());
  // The one who asked gets the same answer from whichever worker holds the name.
  const serving = await worker.start(directory, passed);
  if (passed.length === 0) report('ok');
  if (serving) worker.prepare();
  else {
    worker.abandon();
    process.exit(0);
  }
}

/** Tells whoever started the worker how it went, in one line on descriptor 1, and lets go of them. */
function report(line: string): void {
  try {
    writeSync(1, `${line}\n`);
  } catch {
    // They have not waited for it.
  }
  closeSync(1);
  openSync('/dev/null', 'w');
}

main().catch((error: Error) => {
  report(`error ${error.message}`);
  process.exit(1);
});
