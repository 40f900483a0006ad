import { describe, it } from 'vitest';
import { type DebianPackage, isInstalled } from './debian-packages.ts';
import { hasGSSAPIAddon } from './gssapi.ts';

/** What a group of tests cannot do without. */
export type Requirement = DebianPackage | 'root' | 'Linux' | 'kerberos, built';

/**
 * A group of tests that needs something of the machine. Where that is missing the group is left out, and its title says
 * why; with CI=true it fails instead, for there nothing may be missing.
 */
export function describeWith(requirements: Requirement[], title: string, tests: () => void): void {
  const missing = requirements.filter((requirement) => !isThere(requirement));
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
  if (requirement === 'kerberos, built') return hasGSSAPIAddon();
  return isInstalled(requirement);
}
