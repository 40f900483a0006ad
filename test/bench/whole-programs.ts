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

/** How long filling a ccache may take, in seconds. */
const PATIENCE = 3;

/** A table in Markdown of milliseconds. */
export async function wholePrograms(load: string, peers: Peer[], quick: boolean): Promise<string> {
  const missing = (['krb5-user', 'krb5-kdc', 'krb5-admin-server'] as const).filter((name) => !isInstalled(name));
  if (missing.length > 0) return `not compared: klist and kvno need ${missing.join(', ')}`;
  const [tickets, services] = quick ? [10, 2] : [1000, 200];
  const kdc = await startKdc(['alice', ...Array.from({ length: services }, (_, i) => `host/${i}.test`)]);
  const keytab = await kdc.keytab('alice', ['alice']);
  const names = Array.from({ length: services }, (_, i) => `host/${i}.test`).join(' ');
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
      timed: `kvno -q ${names}`,
      count: services,
    },
    {
      what: 'kvno for them again',
      before: `echo '{"stored": ${services}}'; kinit -k -t ${keytab} alice; kvno -q ${names}`,
      timed: `kvno -q ${names}`,
      count: services,
    },
  ];
  // No other process sees them.
  const shared = peers.filter(({ name }) => name !== 'MEMORY');
  const lines = [
    `| | ${shared.map(({ name }) => name).join(' | ')} |`,
    `| --- | ${shared.map(() => '---:').join(' | ')} |`,
  ];
  for (const one of cases) lines.push(`| ${one.what} | ${(await row(one, shared, kdc.krb5Conf, quick)).join(' | ')} |`);
  return lines.join('\n');
}

async function row(one: Case, peers: Peer[], krb5Conf: string, quick: boolean): Promise<string[]> {
  const samples = new Map<Peer, Sample[]>(peers.map((peer) => [peer, []]));
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    for (const peer of peers) samples.get(peer)?.push(...(await measured(one, peer, krb5Conf)));
  }
  return [...samples.values()].map((of) => {
    if (of.length === 0) return '–';
    const [time, stored] = [median(of.map(({ time }) => time)), median(of.map(({ stored }) => stored))];
    return stored < one.count ? `${time.toFixed(0)}, stopped at ${stored}` : time.toFixed(0);
  });
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
