import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'vitest';
import { arm64Node, hasOwnInterpreters } from './arm64.ts';
import { type DebianPackage, isInstalled } from './debian-packages.ts';
import { hasGSSAPIAddon } from './gssapi.ts';

/** What a group of tests cannot do without. */
export type Requirement =
  | DebianPackage
  | 'root'
  | 'Linux'
  | 'glibc'
  | 'kerberos, built'
  | 'user namespaces'
  | 'Node for arm64';

/** What others of the list cannot do without. */
const alsoNeeded: Partial<Record<Requirement, Requirement>> = {
  'inetutils-inetd': 'netbase',
  xinetd: 'netbase',
};

/**
 * A group of tests that needs something of the machine. Where that is missing the group is left out, and its title says
 * why; with CI=true it fails instead, for there nothing may be missing.
 */
export function describeWith(requirements: Requirement[], title: string, tests: () => void): void {
  const all = new Set(requirements.flatMap((requirement) => [requirement, alsoNeeded[requirement] ?? requirement]));
  const missing = [...all].filter((requirement) => !isThere(requirement));
  if (missing.length === 0) describe(title, tests);
  else if (process.env.CI) it(`${title}: needs ${missing.join(', ')}`, () => Promise.reject(new Error('missing')));
  else {
    process.stderr.write(`left out: ${title}: needs ${missing.join(', ')}\n`);
    describe.runIf(false)(title, tests);
  }
}

function isThere(requirement: Requirement): boolean {
  if (requirement === 'root') return process.getuid?.() === 0;
  if (requirement === 'Linux') return process.platform === 'linux';
  if (requirement === 'glibc') return hasGlibc();
  if (requirement === 'kerberos, built') return hasGSSAPIAddon();
  if (requirement === 'Node for arm64') return existsSync(arm64Node) && hasOwnInterpreters();
  if (requirement === 'user namespaces') return usersMakeNamespaces();
  return isInstalled(requirement);
}

function hasGlibc(): boolean {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime !== undefined;
}

/** Whether ordinary users may make user namespaces. Sources: user_namespaces(7); Debian's and Ubuntu's own switches. */
function usersMakeNamespaces(): boolean {
  const sysctl = (name: string, otherwise: number) => {
    try {
      return Number(readFileSync(`/proc/sys/${name}`, 'latin1'));
    } catch {
      return otherwise;
    }
  };
  const isAllowed = sysctl('user/max_user_namespaces', 0) > 0 && sysctl('kernel/unprivileged_userns_clone', 1) > 0;
  return isAllowed && sysctl('kernel/apparmor_restrict_unprivileged_userns', 0) === 0;
}
