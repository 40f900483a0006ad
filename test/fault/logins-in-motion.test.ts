// Two users log in by ssh and curl without a pause, while krb5.conf is rewritten under the launcher: no login fails.
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { startApache } from '../setup/apache.ts';
import { eventually, temporaryDirectory } from '../setup/cleanup.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { gssapiOnly, sshCommand, startSshd } from '../setup/sshd.ts';
import { type SystemLog, startSystemLog } from '../setup/system-log.ts';
import type { TestUser } from '../setup/test-users.ts';
import { sized } from './size.ts';

const CYCLES = sized(1, 10);

/** How often a launcher looks at the file at the most, in milliseconds: after that it would log a change once more. */
const LOOK_AGAIN = 1000;

const RELOADED = 'settings reloaded';

/** Another file under the same name, as an editor leaves it. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

/** What befalls the file, each with the one line that the launcher logs of it. `text` is the file with a line in `[ccapi]`. */
const changes: [what: string, change: (path: string, text: (line: string) => string) => void, logged: string][] = [
  ['a valid value', (path, text) => replace(path, text('idle_timeout = 9m')), RELOADED],
  ['no setting', (path, text) => replace(path, text('idle_timeuot = 9m')), 'stay as they were: FILE:6: idle_timeuot'],
  ['another valid value', (path, text) => replace(path, text('idle_timeout = 8m')), RELOADED],
  [
    'half of the file',
    (path, text) => writeFileSync(path, text('idle_timeout = 7m').split(' = 7m')[0] as string),
    'stay as they were: FILE:6: ',
  ],
  ['the whole of it, in its place', (path, text) => writeFileSync(path, text('idle_timeout = 7m')), RELOADED],
  ['what was there at first', (path, text) => replace(path, text('')), RELOADED],
];

const needs = [
  'openssh-client',
  'openssh-server',
  'apache2-bin',
  'libapache2-mod-auth-gssapi',
  'curl',
  'socat',
] as const;

describeWith([...frontDoorRequirements, ...needs], 'logins by ssh and curl, while the settings change', () => {
  const users = inject('users') as [TestUser, TestUser];
  let machine: FrontDoor;
  let log: SystemLog;
  let launcherConf: string;
  /** What stock programs read: libkrb5 itself fails on half a file. */
  let env: NodeJS.ProcessEnv;
  let commands: string[][];

  beforeAll(async () => {
    log = await startSystemLog();
    const services = ['host/localhost', 'HTTP/localhost'];
    machine = await startFrontDoor([...users.map(({ name }) => name), ...services], { wrapper: log.wrapper });
    launcherConf = machine.env.KRB5_CONFIG as string;
    env = { ...machine.env, KRB5_CONFIG: `${temporaryDirectory()}/krb5.conf` };
    copyFileSync(launcherConf, env.KRB5_CONFIG as string);
    const keytab = await machine.kdc.keytab('services', services);
    const servers = { KRB5_CONFIG: env.KRB5_CONFIG, KRB5_KTNAME: keytab, KRB5RCACHENAME: 'none:' };
    const [web, sshd] = [await startApache(keytab, servers), await startSshd(gssapiOnly, servers)];
    commands = [
      [...sshCommand(sshd, '/dev/null'), 'localhost', 'true'],
      ['/usr/bin/curl', '-sSf', '--negotiate', '-u', ':', `http://localhost:${web}/`],
    ];
    for (const user of users) expect((await machine.as(user, 'kinit', user.name)).code).toBe(0);
  });

  /** What the launcher has logged of its settings. */
  const logged = () =>
    log
      .text()
      .split(/<\d+>/)
      .filter((line) => /ccapi-launcher.*: settings /.test(line))
      .map((line) => line.replaceAll(launcherConf, 'FILE'));

  it('all succeed, and each change is logged once', { timeout: 300_000 }, async () => {
    const original = readFileSync(launcherConf, 'utf8');
    const text = (line: string) => original.replace('[ccapi]\n', `[ccapi]\n ${line}\n`);
    const expected: string[] = [];
    /** When the last login of each loop began; none where the loops have failed. */
    const begun: number[] = [];
    let isOver = false;
    const rewrite = async () => {
      for (const [what, change, line] of Array(CYCLES).fill(changes).flat() as typeof changes) {
        change(launcherConf, text);
        expected.push(line);
        await eventually(() => isOver || logged().length >= expected.length).catch(() =>
          expect.fail(`unseen: ${what}`),
        );
        const seen = performance.now();
        await eventually(() => isOver || begun.every((time) => time > seen + LOOK_AGAIN));
      }
    };
    const logIn = async (loop: number, { uid, gid }: TestUser, [program = '', ...args]: string[]) => {
      while (!isOver) {
        begun[loop] = performance.now();
        const { code, stdout, stderr } = await run(program, args, { uid, gid, env });
        expect(code, `${program}: ${stdout}${stderr}`).toBe(0);
      }
    };
    const ends = () => {
      isOver = true;
    };
    const loops = users.flatMap((user) => commands.map((command) => ({ user, command })));
    await Promise.all([
      rewrite().finally(ends),
      ...loops.map(({ user, command }, loop) => logIn(loop, user, command).finally(ends)),
    ]);
    expect(logged()).toEqual(expected.map((line) => expect.stringContaining(line)));
  });
});
