// What a user waits for at each login with a ticket: curl against Apache and ssh against sshd, from start to end.
import { writeFileSync } from 'node:fs';
import { startApache } from '../setup/apache.ts';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { type DebianPackage, isInstalled } from '../setup/debian-packages.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { cleanEnvironment, run } from '../setup/programs.ts';
import { gssapiOnly, sshCommand, startSshd } from '../setup/sshd.ts';
import { asTable, type Figures } from './figures.ts';
import type { Peer } from './peers.ts';
import { pin, pinAll } from './pin.ts';

const needed: DebianPackage[] = [
  ...(['krb5-user', 'krb5-kdc', 'krb5-admin-server', 'openssh-client', 'openssh-server'] as const),
  ...(['curl', 'apache2-bin', 'libapache2-mod-auth-gssapi'] as const),
];

/** The longest login, in seconds: a peer that takes longer has given up. */
const PATIENCE = 10;

/** Tables of milliseconds, all on one core: the servers inherit it. */
export async function logins(peers: Peer[], quick: boolean): Promise<string> {
  const missing = [...needed.filter((name) => !isInstalled(name)), ...(process.getuid?.() === 0 ? [] : ['root'])];
  if (missing.length > 0) return `curl and ssh: not measured: need ${missing.join(', ')}`;
  const shared = peers.filter(({ name }) => name !== 'MEMORY');
  pin(process.pid, true);
  pinAll(peers, true);
  try {
    const kdc = await startKdc(['root', 'host/localhost', 'HTTP/localhost']);
    const tables: string[] = [];
    for (const [what, line] of await programs(kdc))
      tables.push(asTable(await measured(what, line, kdc, shared, quick)));
    return tables.join('\n\n');
  } finally {
    pinAll(peers, false);
    pin(process.pid, false);
  }
}

/** Starts the servers; returns the lines that a user types, by name. */
async function programs(kdc: Kdc): Promise<[string, string][]> {
  const keytab = await kdc.keytab('services', ['host/localhost', 'HTTP/localhost']);
  // A replay cache would have the servers wait for the disk.
  const env = { KRB5_CONFIG: kdc.krb5Conf, KRB5_KTNAME: keytab, KRB5RCACHENAME: 'none:' };
  const web = await startApache(keytab, env);
  // A shell of that depth reads no file of root's first.
  const lines = [...gssapiOnly, 'PermitRootLogin yes', 'PermitUserRC no', 'SetEnv SHLVL=5'];
  const sshd = await startSshd(lines, env);
  const ssh = sshCommand(sshd, '/dev/null');
  return [
    ['curl --negotiate, the whole program', `curl -sSf -o /dev/null --negotiate -u : http://localhost:${web}/`],
    ['ssh with GSSAPI, the whole program', `${ssh.join(' ')} localhost true`],
  ];
}

async function measured(what: string, line: string, kdc: Kdc, peers: Peer[], quick: boolean): Promise<Figures> {
  const [rounds, times] = quick ? [1, 2] : [5, 5];
  const script = await written(line, kdc, times);
  const of = new Map(peers.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, ccache, env, wrapper } of peers) {
      const [program = '', ...args] = [...wrapper, '/bin/bash', script];
      const config = [env.KRB5_CONFIG, kdc.krb5Conf].filter(Boolean).join(':');
      const { code, stdout } = await run(program, args, {
        env: cleanEnvironment({ ...env, KRB5_CONFIG: config, KRB5CCNAME: ccache }),
      });
      const times = [...stdout.matchAll(/^([\d.]+) ([\d.]+)$/gm)].map(
        ([, began, ended]) => (Number(ended) - Number(began)) * 1000,
      );
      if (code === 0) of.get(name)?.push(...times);
    }
  }
  return { what, unit: 'ms', of };
}

/**
 * A script of bash that prints when each time began and ended, and has the ticket for the service there before. One shell
 * for all, since the session keyring is gone with it.
 */
async function written(line: string, kdc: Kdc, times: number): Promise<string> {
  const keytab = await kdc.keytab('root', ['root']);
  const path = `${temporaryDirectory()}/script`;
  const lines = [
    'set -e',
    'trap "kdestroy -q" EXIT',
    `kinit -k -t ${keytab} root`,
    `login() { timeout ${PATIENCE} ${line} > /dev/null; }`,
    'login',
    `for i in {1..${times}}`,
    'do began=$EPOCHREALTIME; login; echo $began $EPOCHREALTIME',
    'done',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
