// A user who stops, kills and traces every process that becomes theirs while it starts: only that user waits.
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { end, memory, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';
import { Victim } from './latency.ts';
import { sized } from './size.ts';

const STARTS = sized(100, 1000);

/** Sends a signal to every new pid, as fast as it can, and tries to look into each. */
const ATTACKER = `
const { readdirSync, readFileSync, openSync } = require('node:fs');
const signals = process.argv[2].split(',');
// A thread's id names its process too.
const own = new Set(readdirSync('/proc/self/task').map(Number));
process.stdout.write('ready');
for (let last = 0, round = 0; ; ) {
  const now = Number(readFileSync('/proc/loadavg', 'latin1').split(' ')[4]);
  for (let pid = Math.min(last, now - 100); pid <= now + 8; pid++) {
    if (own.has(pid) || pid <= 1) continue;
    try { process.kill(pid, signals[round++ % signals.length]); } catch {}
    if (round % 16 === 0) try { openSync('/proc/' + pid + '/mem', 'r+'); } catch {}
  }
  last = now;
}`;

describeWith(['root', 'Linux'], 'a launcher of root', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let base: string;
  let port: number;
  let attacker: string;
  let attacked: number;
  let victim: Victim;

  beforeAll(async () => {
    const directory = temporaryDirectory(memory);
    base = `${directory}/run`;
    attacker = `${directory}/attacker.cjs`;
    writeFileSync(attacker, ATTACKER);
    chmodSync(attacker, 0o644);
    const { launcher, ...listening } = await startLauncher([`--directory=${base}`]);
    port = listening.port;
    attacked = launcher.pid as number;
  });

  const ask = ({ uid }: TestUser) => sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${uid}\n`);
  const attack = async (signals: string) => {
    const { uid, gid } = alice;
    const running = start(process.execPath, [attacker, signals], { uid, gid, stdio: ['ignore', 'pipe', 'ignore'] });
    await once(running.stdout as Readable, 'data');
    return running;
  };
  const kill = (pid: number) => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The attacker was faster.
    }
  };
  const killWorkersOf = ({ uid }: TestUser) => {
    for (const pid of workersBelow(base)) {
      if (statusOf(pid).includes(`\nUid:\t${uid}\t`)) kill(pid);
    }
  };
  const askAsBob = () =>
    victim.time(async () => {
      expect(await ask(bob)).toBe(`CCAPI/1 ok path=${base}/${bob.uid}/S.ccapi\n`);
    });
  beforeEach(async () => {
    victim = new Victim(attacked);
    for (let i = 0; i < 20; i++) await askAsBob();
    victim.begin();
  });

  it(`answers others within a second through ${STARTS} starts that their user kills`, {
    timeout: 600_000,
  }, async () => {
    const killer = await attack('SIGKILL,SIGTERM,SIGABRT');
    for (let i = 0; i < STARTS; i++) {
      const starting = ask(alice);
      await askAsBob();
      expect(await starting).toMatch(/^CCAPI\/1 (ok path|error code=worker message=)/);
      killWorkersOf(alice);
    }
    await end(killer, 'SIGKILL');
    victim.expectServed();
  });

  it('answers others within a second while starts stand still, and ends those at their deadline', async () => {
    const stopper = await attack('SIGSTOP');
    for (let i = 0, isStopped = false; i < 20 && !isStopped; i++) {
      let answer: string | undefined;
      const starting = ask(alice).then((line) => {
        answer = line;
      });
      for (let asked = 0; answer === undefined; asked++) {
        await askAsBob();
        isStopped = asked > 100;
      }
      await starting;
      expect(answer).toMatch(/^CCAPI\/1 (ok path|error code=worker message=.*did not answer within)/);
      killWorkersOf(alice);
    }
    await end(stopper, 'SIGKILL');
    victim.expectServed();
    expect(await ask(alice)).toBe(`CCAPI/1 ok path=${base}/${alice.uid}/S.ccapi\n`);
  });
});

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return '';
  }
}
