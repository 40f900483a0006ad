// However many users come at once, only a few file systems are asked of systemd at a time, and each user gets an answer.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { cleanEnvironment } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

const [USERS, AT_ONCE] = [20, 8];

/** Stands where systemctl does: says which unit it was asked for, and waits until the test lets it go. */
const systemctl = (place: string) => `#!/bin/sh
mkfifo "${place}/$2.go"
echo "$1" > "${place}/$2"
read -r code < "${place}/$2.go"
rm "${place}/$2"
exit "$code"`;

const program = `
  import space from '${import.meta.dirname}/../../launcher/request-space.ts';
  const uids = Array.from({ length: ${USERS} }, (_, i) => 1000 + i);
  await Promise.all(uids.map(async (uid) => console.log(uid + ' ' + ((await space.requestSpace(uid))?.message ?? 'mounted'))));
`;

describeWith(['root', 'Linux'], 'spaces for users', () => {
  let place: string;
  beforeEach(() => {
    place = temporaryDirectory();
    mkdirSync(`${place}/bin`);
    writeFileSync(`${place}/bin/systemctl`, systemctl(place), { mode: 0o755 });
  });

  it('are asked for a few at a time, and all of them in the end', async () => {
    const node = [process.execPath, '--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program];
    const inside = `mount --bind ${place}/bin /usr/sbin && exec "$@"`;
    const child = start('/usr/bin/unshare', ['-m', 'sh', '-ec', inside, 'sh', ...node], {
      env: cleanEnvironment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let answers = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      answers += text;
    });
    const units = () => readdirSync(place).filter((name) => name.endsWith('.service'));
    const answered = () => answers.split('\n').length - 1;
    for (let done = 0; done < USERS; done++) {
      const expected = Math.min(AT_ONCE, USERS - done);
      await eventually(() => units().length === expected);
      expect(answered()).toBe(done);
      writeFileSync(`${place}/${units()[0]}.go`, done === 3 ? '1\n' : '0\n');
      await eventually(() => answered() === done + 1);
    }
    const lines = answers.trim().split('\n');
    expect(new Set(lines.map((line) => line.split(' ')[0])).size).toBe(USERS);
    expect(lines.filter((line) => line.endsWith(' mounted'))).toHaveLength(USERS - 1);
    expect(lines.find((line) => !line.endsWith(' mounted'))).toMatch(
      /^(\d+) ccapi-space@\1\.service could not be started; see journalctl -u ccapi-space@\1\.service$/,
    );
  });
});
