// What a user types, from the start of the program to its end: klist and kvno as they are installed, on each peer.
import { writeFileSync } from 'node:fs';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { isInstalled } from '../setup/debian-packages.ts';
import { startKdc } from '../setup/kdc.ts';
import { cleanEnvironment, run } from '../setup/programs.ts';
import type { Peer } from './peers.ts';
import { median } from './table.ts';

/** The commands that are timed, each with what has to be there before, and how many tickets that are. */
interface Case {
  what: string;
  before: string;
  timed: string;
  count: number;
}

/** How many services the budget of `kvno` is for. */
const FEW = 20;

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
  const again = (count: number) => ({
    before: `echo '{"stored": ${count}}'; kinit -k -t ${keytab} alice; kvno -q ${namesOf(count)}`,
    timed: `kvno -q ${namesOf(count)}`,
    count,
  });
  const few = Math.min(FEW, services);
  const cases: Case[] = [
    {
      what: `klist of ${tickets.toLocaleString('en')} tickets`,
      before: `${load} --fill "$KRB5CCNAME" ${tickets} ${PATIENCE}`,
      timed: 'klist',
      count: tickets,
    },
    {
      what: `kvno for ${services} services, of a KDC`,
      before: `echo '{"stored": ${services}}'; kinit -k -t ${keytab} alice`,
      timed: `kvno -q ${namesOf(services)}`,
      count: services,
    },
    { what: 'kvno for them again', ...again(services) },
    { what: `kvno for ${few} services again (budget: 3×)`, ...again(few) },
  ];
  // No other process sees them.
  const shared = peers.filter(({ name }) => name !== 'MEMORY');
  const lines = [
    `| | ${shared.map(({ name }) => name).join(' | ')} | ccapi against Heimdal's kcm |`,
    `| --- | ${shared.map(() => '---:').join(' | ')} | ---: |`,
  ];
  for (const one of cases) lines.push(`| ${one.what} | ${(await row(one, shared, kdc.krb5Conf, quick)).join(' | ')} |`);
  return lines.join('\n');
}

async function row(one: Case, peers: Peer[], krb5Conf: string, quick: boolean): Promise<string[]> {
  const samples = new Map<string, Sample[]>(peers.map(({ name }) => [name, []]));
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    for (const peer of peers) samples.get(peer.name)?.push(...(await measured(one, peer, krb5Conf)));
  }
  const middle = (name: string, what: keyof Sample) => median((samples.get(name) ?? []).map((sample) => sample[what]));
  const cells = [...samples].map(([name, of]) => {
    if (of.length === 0) return '–';
    const [time, stored] = [Number(middle(name, 'time').toPrecision(3)), middle(name, 'stored')];
    return stored < one.count ? `${time}, stopped at ${stored}` : String(time);
  });
  const isWhole = (name: string) => samples.get(name)?.length && middle(name, 'stored') >= one.count;
  const compared = ['ccapi', "Heimdal's kcm"].every(isWhole);
  const ratio = compared ? `${(middle('ccapi', 'time') / middle("Heimdal's kcm", 'time')).toFixed(2)}×` : '–';
  return [...cells, ratio];
}

interface Sample {
  /** Milliseconds. */
  time: number;
  stored: number;
}

/** One shell, since the session keyring is gone with it. Nothing where the peer has given up. */
async function measured({ before, timed }: Case, peer: Peer, krb5Conf: string): Promise<Sample[]> {
  const { ccache, env, wrapper } = peer;
  const script = `${temporaryDirectory()}/script`;
  const lines = ['set -e', before, 'date +%s%N', `${timed} > /dev/null`, 'date +%s%N', 'kdestroy -q'];
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
