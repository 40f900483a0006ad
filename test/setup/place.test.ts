// The place that the tests run at: what is wrong with it is said before the first test, and a closed one is opened where that can be.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, inject, it } from 'vitest';
import { temporaryDirectory } from './cleanup.ts';
import { faultsOfPlace } from './place.mts';
import { type Outcome, run } from './programs.ts';
import { describeWith } from './requirements.ts';
import type { TestUser } from './test-users.ts';

const { TMPDIR } = process.env;

afterEach(() => {
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
});

/** A repository, of which there is but one file, and the directory above it. */
function repositoryBelow(mode: number): { above: string; repository: string } {
  const above = join(temporaryDirectory(), 'home');
  const repository = join(above, 'repository');
  mkdirSync(repository, { recursive: true });
  chmodSync(above, mode);
  writeFileSync(join(repository, 'package.json'), '{}');
  return { above, repository };
}

it('is fine where these tests run', () => {
  expect(faultsOfPlace(join(import.meta.dirname, '../..'))).toEqual([]);
});

it('is none without a directory for temporary files, or with one whose path is too long for a socket', () => {
  const { repository } = repositoryBelow(0o755);
  const long = join(temporaryDirectory(), 'x'.repeat(40));
  mkdirSync(long);
  process.env.TMPDIR = '/nonexistent';
  expect(faultsOfPlace(repository)[0]).toContain('/nonexistent: no directory for temporary files: set TMPDIR');
  process.env.TMPDIR = long;
  expect(faultsOfPlace(repository)).toEqual([expect.stringContaining(`${long}: too long for sockets: set TMPDIR`)]);
});

describeWith(['root', 'Linux'], 'for root', () => {
  const [alice] = inject('users') as [TestUser, TestUser];

  it.each([
    ['the directory above the repository', 0o700, 0o644],
    ['its files', 0o755, 0o600],
  ])('it is none where other users cannot reach %s', (_, mode, fileMode) => {
    const { above, repository } = repositoryBelow(mode);
    const file = join(repository, 'package.json');
    chmodSync(file, fileMode);
    expect(faultsOfPlace(repository)).toEqual([
      expect.stringContaining(`${mode === 0o700 ? above : file}: closed to other users: clone`),
    ]);
  });

  it('it is none where they cannot reach temporary files', () => {
    const { repository } = repositoryBelow(0o755);
    process.env.TMPDIR = repositoryBelow(0o700).above;
    expect(faultsOfPlace(repository)).toEqual([
      `${process.env.TMPDIR}: closed to other users: set TMPDIR to another directory, such as /var/tmp`,
    ]);
  });

  it('it is none where no program can be run from temporary files', async () => {
    const directory = temporaryDirectory();
    const { repository } = repositoryBelow(0o755);
    const mounted = ['--mount', 'sh', '-ec', `mount -t tmpfs -o noexec tmpfs ${directory}; exec "$@"`, 'sh'];
    const { stderr } = await find(repository, { TMPDIR: directory }, ['/usr/bin/unshare', ...mounted]);
    expect(stderr).toBe(
      `${directory}: no program can be run there: set TMPDIR to another directory, such as /var/tmp\n`,
    );
  });

  /** Finds an open place for a repository, and has alice read its file, and root write beside it, there. */
  function find(repository: string, env: NodeJS.ProcessEnv = {}, [first, ...before]: string[] = []): Promise<Outcome> {
    const program = join(repository, 'find.ts');
    writeFileSync(
      program,
      `import { execFileSync } from 'node:child_process';
      import { writeFileSync } from 'node:fs';
      import { findOpenPlace } from '${join(import.meta.dirname, 'open-place.mts')}';
      findOpenPlace('${repository}');
      writeFileSync('written', 'there');
      execFileSync('/bin/cat', ['${repository}/package.json'], { uid: ${alice.uid}, gid: ${alice.gid}, stdio: 'inherit' });
      process.exitCode = 3;`,
    );
    const node = [process.execPath, '--import', import.meta.resolve('tsx'), program];
    const [command = '', ...args] = [...(first === undefined ? [] : [first]), ...before, ...node];
    return run('/usr/bin/env', ['-C', repository, command, ...args], { env });
  }

  it('a closed one is open to other users of the tests alone', async () => {
    const { above, repository } = repositoryBelow(0o700);
    const mounts = readFileSync('/proc/self/mountinfo', 'latin1');
    expect(await find(repository)).toEqual({
      code: 3,
      stdout: '{}',
      stderr: `${above}: closed to other users, open to those of the tests alone\n`,
    });
    expect(readFileSync(join(repository, 'written'), 'latin1')).toBe('there');
    expect(readFileSync('/proc/self/mountinfo', 'latin1')).toBe(mounts);
    const read = await run('/bin/cat', [join(repository, 'package.json')], { uid: alice.uid, gid: alice.gid });
    expect(read.stderr).toContain('Permission denied');
  });

  it('a closed one ends the tests where it cannot be opened', async () => {
    const { above, repository } = repositoryBelow(0o700);
    const drop = ['/usr/bin/setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'];
    const { code, stdout, stderr } = await find(repository, {}, drop);
    const what = 'clone the repository, and install Node, at an open place such as /opt';
    expect([code, stdout, stderr]).toEqual([1, '', `${above}: closed to other users: ${what}\n`]);
  });
});
