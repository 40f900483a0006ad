import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hasBlock, withBlock, withoutBlock } from '../../etc/config/marked-block.ts';
import { asBytes, readText, type Step, step, writeStep } from '../../etc/config/setup-step.ts';
import { ConfigError } from '../../proto/errors.ts';
import { sampleText } from '../samples.ts';
import { type Address, frontDoor } from './door.ts';
import { GUARD, guardSteps } from './guard.ts';
import type { Inetd } from './machine.ts';
import type { SetupRecord } from './record.ts';

const UNDO = 'ccapi-launcher setup --undo';
const XINETD_DIRECTORY = '/etc/xinetd.d';
const XINETD_FILE = `${XINETD_DIRECTORY}/ccapi`;
const XINETD_MARK = '# Made by ccapi-launcher setup';

/** Where the launcher is reached; of the three only openbsd-inetd has UNIX sockets, and so a front door. */
export function inetdAddresses({ kind }: Inetd, port: number): Address[] {
  return [...(kind === 'openbsd-inetd' ? [frontDoor] : []), { host: '127.0.0.1', port }];
}

/** The file that gets the entries. */
function inetdFile({ kind, file }: Inetd): string {
  const includes = kind === 'xinetd' && /^includedir\s+\/etc\/xinetd\.d\/?\s*$/m.test(readText(file) ?? '');
  return includes ? XINETD_FILE : file;
}

/** Writes the entries, and what they run. What an admin has entered for the same addresses stays, and is enough. */
export function inetdSteps(inetd: Inetd, port: number): Step[] {
  const file = inetdFile(inetd);
  const text = readText(file);
  const entries = entriesFor(inetd, port);
  const steps = guardSteps(process.execPath, join(__dirname, 'ccapi-launcher.js'));
  if (inetd.kind === 'xinetd') {
    if (file === XINETD_FILE) {
      if (text !== undefined && !text.startsWith(XINETD_MARK)) return [];
      return [...steps, ...writeStep(file, `${XINETD_MARK}; ${UNDO} removes this file.\n${entries.join('')}`)];
    }
    return [...steps, ...writeStep(file, withBlock(text, file, entries.join(''), UNDO))];
  }
  const others = (withoutBlock(text, file) ?? '').split('\n').map((line) => line.split(/\s/)[0]);
  const own = entries.filter((entry) => !others.includes(entry.split(' ')[0] as string));
  if (own.length === 0 && !hasBlock(text, file)) return [];
  return [...steps, ...writeStep(file, withBlock(text, file, own.join(''), UNDO))];
}

/** Takes the entries out of the file that this inetd reads, and of those that another may have read. */
export function inetdUndoSteps(inetd: Inetd | undefined, record: SetupRecord | undefined): Step[] {
  const files = new Set(['/etc/inetd.conf', '/etc/xinetd.conf', ...(inetd ? [inetd.file] : [])]);
  const steps = [...files].flatMap((file) => {
    const text = readText(file);
    return writeStep(file, withoutBlock(text, file));
  });
  const own = readText(XINETD_FILE);
  steps.push(...writeStep(XINETD_FILE, own?.startsWith(XINETD_MARK) ? undefined : own));
  // One that was killed before this step has left the record.
  const isPending = steps.length > 0 || record !== undefined;
  return [...steps, ...(inetd?.pid !== undefined && isPending ? [reloadStep(inetd)] : [])];
}

/** Has it read its file again, or starts it. */
export function reloadStep(inetd: Inetd): Step {
  const { kind, pid } = inetd;
  const script = `/etc/init.d/${kind}`;
  if (pid !== undefined) return step(`kill -HUP ${pid}, which is ${kind}`, () => void process.kill(pid, 'SIGHUP'));
  return step(`${script} start`, () => {
    if (!existsSync(script)) throw new ConfigError(`${kind} does not run; start it, and run setup again`);
    execFileSync(script, ['start'], { stdio: 'ignore', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
  });
}

/** The entries as they are printed, but for what they run: the guard starts the launcher. Each ends in a line break. */
function entriesFor({ kind }: Inetd, port: number): string[] {
  const launcher = join(__dirname, 'ccapi-launcher.js');
  if (kind === 'xinetd') {
    const entry = withoutComments(sampleText('print-xinetd-entry'))
      .replace(process.execPath, '/bin/sh')
      .replace(launcher, GUARD)
      .replace(/(port\s*= )\d+/, `$1${port}`);
    return [asBytes(entry)];
  }
  const lines = withoutComments(sampleText('print-inetd-entry')).replaceAll(
    `${process.execPath} node ${launcher}`,
    `/bin/sh sh ${GUARD}`,
  );
  const entries = (lines.match(/.+\n/g) ?? []).map((line) => line.replace(/^127\.0\.0\.1:\d+/, `127.0.0.1:${port}`));
  if (kind === 'openbsd-inetd') return entries;
  return entries.filter((line) => !line.startsWith('/')).map((line) => line.replace(' tcp4 ', ' tcp '));
}

function withoutComments(text: string): string {
  return text.replace(/^#.*\n/gm, '');
}
