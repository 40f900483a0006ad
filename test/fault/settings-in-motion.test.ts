// krb5.conf is rewritten twice a second, rightly and wrongly, while stock programs run through the front door: none fails.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { describeWith } from '../setup/requirements.ts';
import { sized } from './size.ts';

const SECONDS = sized(6, 60);

/** What stands in the section `[ccapi]`, in turn; the second is no setting, the fourth no value. */
const changes = [
  ' idle_timeout = 9m',
  ' idle_timeuot = 9m',
  ' max_launcher_connections = 4000',
  ' renew = perhaps',
  '',
];

/** Rewrites the file of the launcher and of the programs, as an editor does: under another name first. */
function startRewriting({ env }: FrontDoor): { end(): number } {
  const conf = env.KRB5_CONFIG as string;
  const text = readFileSync(conf, 'utf8');
  let count = 0;
  const timer = setInterval(() => {
    const change = changes[count++ % changes.length];
    writeFileSync(`${conf}.new`, text.replace('[ccapi]\n', `[ccapi]\n${change}\n`));
    renameSync(`${conf}.new`, conf);
  }, 500);
  return {
    end: () => {
      clearInterval(timer);
      return count;
    },
  };
}

describeWith(frontDoorRequirements, 'stock programs, while the settings change', () => {
  it(`find their tickets for ${SECONDS} s`, { timeout: 200_000 }, async () => {
    const machine = await startFrontDoor(['alice', 'host/a.test.example']);
    const as = async (program: string, ...args: string[]) => {
      const { code, stdout, stderr } = await machine.as(undefined, program, ...args);
      expect(code, `${program}: ${stdout}${stderr}`).toBe(0);
    };
    await as('kinit', 'alice');
    const rewriting = startRewriting(machine);
    const until = performance.now() + SECONDS * 1000;
    const loop = async (...command: [string, ...string[]]) => {
      let count = 0;
      for (; performance.now() < until; count++) await as(...command);
      return count;
    };
    const rounds = await Promise.all([
      loop('klist'),
      loop('klist', '-A'),
      loop('kvno', 'host/a.test.example'),
      loop('kinit', 'alice'),
    ]);
    expect(rewriting.end()).toBeGreaterThan(SECONDS);
    for (const count of rounds) expect(count).toBeGreaterThan(SECONDS);
  });
});
