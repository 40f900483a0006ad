import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

export type Koffi = typeof import('koffi');

/** The C libraries an addon may be built for; one for the other does not load. */
const toolchains = process.platform === 'linux' ? ['linux', 'musl'] : [process.platform];

/**
 * Loads koffi's native addon: its own JavaScript takes longer than all the rest of a start. It is looked for beside this
 * package only, never in the directories above the installation, where `require` would go on: other users may be able to
 * write there, and this runs as root. `root` is the directory of the package. Throws where it is not there or does not load.
 */
export function loadKoffi(root = packageDirectory()): Koffi {
  const addon = `@koromix/koffi-${process.platform}-${process.arch}`;
  const failures: string[] = [];
  for (const directory of moduleDirectories(root)) {
    for (const toolchain of toolchains) {
      const path = join(directory, addon, `${toolchain}_${process.arch}`, 'koffi.node');
      try {
        // A whole path with its extension is loaded as it is, or not at all.
        return createRequire(path)(path);
      } catch (error) {
        failures.push(`${path}: ${(error as Error).message.split('\n')[0]}`);
      }
    }
  }
  throw new Error(`koffi cannot be loaded: ${failures.join('; ')}`);
}

/** Where npm puts what a package depends on: into the package, into koffi there, or, hoisted, beside the package. */
function moduleDirectories(root: string): string[] {
  const own = join(root, 'node_modules');
  const beside = dirname(root);
  const directories = [own, join(own, 'koffi/node_modules')];
  return basename(beside) === 'node_modules'
    ? [...directories, beside, join(beside, 'koffi/node_modules')]
    : directories;
}

/** The programs are in `dist`; in a checkout this file may run where it stands. */
function packageDirectory(): string {
  return basename(__dirname) === 'host' ? dirname(dirname(__dirname)) : dirname(__dirname);
}
