// What a user types, from the start of the program to its end: klist and kvno as they are installed, on each peer.
import { writeFileSync } from 'node:fs';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { isInstalled } from '../setup/debian-packages.ts';
import { startKdc } from '../setup/kdc.ts';
import { cleanEnvironment, run } from '../setup/programs.ts';
import { recordReplies, repeatingDoor, startBareDoor } from './bare-door.ts';
import { ledTo, type Peer } from './peers.ts';
import { median } from './table.ts';

/** The commands that are timed, each with what has to be there before, and how many tickets that are; and what ends it. */
interface Case {
  what: string;
  before: string;
  timed: string;
  count: number;
  after: string;
}

/** How many services the budget of `kvno` is for. */
const FEW = 20;

/** How often, for each round, two bare processes are asked before they are timed. */
const WARM_UP = 20;

/** How long filling a ccache may take, in seconds. */
const PATIENCE = 3;

/** A table in Markdown of milliseconds. */
export async function wholePrograms(load: string, peers: Peer[], quick: boolean): Promise<string> {
  const missing = (['krb5-user', 'krb5-kdc', 'krb5-admin-server'] as const).filter((name) => !isInstalled(name));
  if (missing.length > 0) return `not compared: klist and kvno need ${missing.join(', ')}`;
  const [tickets, services] = quick ? [10, 2] : [1000, 200];
  const kdc = await startKdc(['alice', ...Array.from({ length: services }, (_, i) => `host/${i}.test`)]);
  const keytab = await kdc.keytab('alice', ['alice']);
  const namesOf = (count: number) => Array.from({ length: count }, (_, i) => `host/${i}.test`).join(' ');
  const after = 'kdestroy -q';
  const again = (count: number) => ({
    before: `${stored(count)}; kinit -k -t ${keytab} alice; kvno -q ${namesOf(count)}`,
    timed: `kvno -q ${namesOf(count)}`,
    count,
    after,
  });
  const few = {
    what: `kvno for ${Math.min(FEW, services)} services again (budget: 3×)`,
    ...again(Math.min(FEW, services)),
  };
  const cases: Case[] = [
    {
      what: `klist of ${tickets.toLocaleString('en')} tickets`,
      before: `${load} --fill "$KRB5CCNAME" ${tickets} ${PATIENCE}`,
      timed: 'klist',
      count: tickets,
      after,
    },
    {
      what: `kvno for ${services} services, of a KDC`,
      before: `${stored(services)}; kinit -k -t ${keytab} alice`,
      timed: `kvno -q ${namesOf(services)}`,
      count: services,
      after,
    },
    { what: 'kvno for them again', ...again(services) },
    few,
  ];
  // No other process sees them.
  const shared = peers.filter(({ name }) => name !== 'MEMORY');
  const lines = [
    `| | ${shared.map(({ name }) => name).join(' | ')} | ccapi against Heimdal's kcm |`,
    `| --- | ${shared.map(() => '---:').join(' | ')} | ---: |`,
  ];
  const rounds = quick ? 1 : 5;
  for (const one of cases.slice(0, -1)) {
    const trials = shared.map((peer) => ({ one, peer }));
    lines.push(asRow(one.what, one.count, await interleaved(trials, rounds, kdc.krb5Conf)));
  }
  lines.push(...(await besideFloor(few, shared, rounds, kdc.krb5Conf)));
  return lines.join('\n');
}

/** A row of a case, and one of the least that it could take with two processes of Node. */
async function besideFloor(few: Case, shared: Peer[], rounds: number, krb5Conf: string): Promise<string[]> {
  const ours = shared.find(({ name }) => name === 'ccapi') as Peer;
  const onlyTimed = { ...few, before: stored(few.count), after: 'true' };
  await measured({ ...few, after: 'true' }, ours, krb5Conf);
  const replies = await recordReplies(ours, (recorded) => measured(onlyTimed, recorded, krb5Conf));
  const floor = ledTo(ours, await startBareDoor([], replies));
  // Ours has served the cases before, and is compiled.
  await interleaved([{ one: onlyTimed, peer: floor }], WARM_UP * rounds, krb5Conf);
  const trials = [...shared.map((peer) => ({ one: few, peer })), { one: onlyTimed, peer: floor }];
  const results = await interleaved(trials, rounds, krb5Conf);
  const least = results.pop() as Trial;
  const others = results.map((result) => (result.peer === ours ? least : { ...result, isShown: false }));
  return [asRow(few.what, few.count, results), asRow(`the same of ${repeatingDoor}`, few.count, others)];
}

/** A command that says how many tickets there are. */
function stored(count: number): string {
  return `echo '{"stored": ${count}}'`;
}

/** What a case takes with a peer. */
interface Trial {
  peer: Peer;
  samples: Sample[];
  isShown?: boolean;
}

async function interleaved(trials: { one: Case; peer: Peer }[], rounds: number, krb5Conf: string): Promise<Trial[]> {
  const results = trials.map(({ peer }) => ({ peer, samples: [] as Sample[] }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, { one, peer }] of trials.entries())
      results[index]?.samples.push(...(await measured(one, peer, krb5Conf)));
  }
  return results;
}

/** Milliseconds of each peer, and the ratio of ours to Heimdal's kcm where both have finished. */
function asRow(what: string, count: number, trials: Trial[]): string {
  const middle = ({ samples }: Trial, of: keyof Sample) => median(samples.map((sample) => sample[of]));
  const isWhole = (trial: Trial | undefined): trial is Trial =>
    trial !== undefined && trial.samples.length > 0 && middle(trial, 'stored') >= count;
  const cells = trials.map((trial) => {
    if (trial.isShown === false) return '';
    if (trial.samples.length === 0) return '–';
    const time = Number(middle(trial, 'time').toPrecision(3));
    return isWhole(trial) ? String(time) : `${time}, stopped at ${middle(trial, 'stored')}`;
  });
  const [ours, theirs] = ['ccapi', "Heimdal's kcm"].map((name) => trials.find(({ peer }) => peer.name === name));
  const ratio =
    isWhole(ours) && isWhole(theirs) ? `${(middle(ours, 'time') / middle(theirs, 'time')).toFixed(2)}×` : '–';
  return `| ${[what, ...cells, ratio].join(' | ')} |`;
}

interface Sample {
  /** Milliseconds. */
  time: number;
  stored: number;
}

/** One shell, since the session keyring is gone with it. Nothing where the peer has given up. */
async function measured({ before, timed, after }: Case, peer: Peer, krb5Conf: string): Promise<Sample[]> {
  const { ccache, env, wrapper } = peer;
  const script = `${temporaryDirectory()}/script`;
  const lines = ['set -e', before, 'date +%s%N', `${timed} > /dev/null`, 'date +%s%N', after];
  writeFileSync(script, `${lines.join('\n')}\n`);
  const [program = '', ...args] = [...wrapper, '/bin/sh', script];
  const config = [env.KRB5_CONFIG, krb5Conf].filter(Boolean).join(':');
  const { code, stdout } = await run(program, args, {
    env: cleanEnvironment({ ...env, KRB5_CONFIG: config, KRB5CCNAME: ccache }),
  });
  if (code !== 0) return [];
  const [stored, began, ended] = stdout.trim().split('\n').slice(-3);
  return [{ stored: JSON.parse(stored ?? '{}').stored, time: (Number(ended) - Number(began)) / 1e6 }];
}
