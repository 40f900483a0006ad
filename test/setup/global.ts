import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { installArm64 } from './arm64.ts';
import { installMissing } from './debian-packages.ts';
import { buildGSSAPIAddon } from './gssapi.ts';
import { addTestUsers, removeTestUsers, type TestUser } from './test-users.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Two ordinary users; empty where they cannot be made. */
    users: [] | [TestUser, TestUser];
  }
}

/** Once before all tests: the programs are built, what they are tested with is installed, ordinary users are there. */
export default function setUp(project: TestProject): () => void {
  execFileSync(process.execPath, ['build.mjs'], { cwd: join(import.meta.dirname, '../..'), stdio: 'inherit' });
  installMissing();
  installArm64();
  buildGSSAPIAddon();
  project.provide('users', addTestUsers());
  return removeTestUsers;
}
