// A name service that takes four seconds for one uid: that uid waits, and no other.
import { chmodSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { eventually, memory, start, temporaryDirectory } from '../setup/cleanup.ts';
import { cleanEnvironment, freePort, isPortOpen, programs, sendBytes } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

/** A uid that only the slow name service knows. */
const SLOW = 54_321;

const getent = `#!/bin/sh
case "$*" in
  'passwd -- ${SLOW}') sleep 4; echo 'slow:x:${SLOW}:${SLOW}::/nonexistent:/bin/sh';;
  *) exit 2;;
esac`;

describeWith(['root', 'Linux'], 'a launcher with a name service that is slow for one uid', () => {
  const [, bob] = inject('users') as [TestUser, TestUser];
  let port: number;

  beforeAll(async () => {
    const directory = temporaryDirectory(memory);
    writeFileSync(`${directory}/getent`, getent);
    chmodSync(`${directory}/getent`, 0o755);
    port = await freePort();
    const launcher = [programs.launcher, '--listen', String(port), `--directory=${directory}/run`, '--allow=slow *'];
    const inNamespace = `mount --bind ${directory}/getent /usr/bin/getent && exec "$@"`;
    start('/usr/bin/unshare', ['-m', '/bin/sh', '-c', inNamespace, 'sh', process.execPath, ...launcher], {
      env: cleanEnvironment(),
      stdio: 'ignore',
    });
    await eventually(() => isPortOpen(port));
  });

  const ask = (uid: number) => sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${uid}\n`);

  it('answers another user meanwhile, many times, and that uid in the end', async () => {
    let answer: string | undefined;
    const slow = ask(SLOW).then((line) => {
      answer = line;
    });
    for (let i = 0; i < 50; i++) {
      expect(await ask(bob.uid)).toContain(' ok path=');
      expect(answer).toBeUndefined();
    }
    await slow;
    expect(answer).toContain(' ok path=');
  });

  it('does not ask again for what was answered', async () => {
    const asked = performance.now();
    expect(await ask(SLOW)).toContain(' ok path=');
    expect(performance.now() - asked).toBeLessThan(2000);
  });
});
