import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { end, start, temporaryDirectory } from './cleanup.ts';
import { startInetd } from './inetd.ts';
import { type Kdc, startKdc } from './kdc.ts';
import { freePort, type Outcome, run } from './programs.ts';
import type { Requirement } from './requirements.ts';
import type { TestUser } from './test-users.ts';

/** What a front door needs of the machine. */
export const frontDoorRequirements: Requirement[] = [
  'root',
  'Linux',
  'openbsd-inetd',
  'krb5-kdc',
  'krb5-admin-server',
  'krb5-user',
];

/** A KDC, and a machine with both of our entries under the real inetd; its stock programs are led to the front door. */
export interface FrontDoor {
  kdc: Kdc;
  /** The path of the door's socket. */
  door: string;
  /** The directory of the door, which holds nothing else: what Heimdal's programs take for /run. */
  doorDirectory: string;
  /** Where the users' directories are. */
  base: string;
  env: NodeJS.ProcessEnv;
  /** Runs a program of MIT's as a user, or as root; what it asks for is given the password. */
  as(user: TestUser | undefined, program: string, ...args: string[]): Promise<Outcome>;
}

/** How the machine differs from others. */
interface FrontDoorOptions {
  /** Lines for the section `[ccapi]`. */
  settings?: string[];
  /** Where the users' directories are to be. */
  base?: string;
  /** A command that runs inetd in its turn. */
  wrapper?: string[];
  /** The users of the tests have no process between two commands, and would lose their servers there. */
  aloneTimeout?: string;
}

/** Starts both. */
export async function startFrontDoor(
  principals: string[],
  { settings = [], base: wanted, wrapper = [], aloneTimeout = '600' }: FrontDoorOptions = {},
): Promise<FrontDoor> {
  const kdc = await startKdc(principals);
  const directory = temporaryDirectory();
  const [base, doorDirectory] = [wanted ?? `${directory}/run`, `${directory}/door`];
  // The name is the one that is compiled into Heimdal.
  const door = `${doorDirectory}/.heim_org.h5l.kcm-socket`;
  mkdirSync(doorDirectory);
  const krb5Conf = `${kdc.krb5Conf}.kcm`;
  writeFileSync(
    krb5Conf,
    [
      '[libdefaults]',
      ' default_ccache_name = KCM:',
      ` kcm_socket = ${door}`,
      ' default_cc_type = KCM',
      '[ccapi]',
      ` directory = ${base}`,
      ...settings,
      readFileSync(kdc.krb5Conf, 'utf8'),
    ].join('\n'),
  );
  const port = await freePort();
  const env = { KRB5_CONFIG: krb5Conf, CCAPI_AUTOSTART: 'no', CCAPI_PORT: String(port) };
  // The directory is told on the command line too: it is by it that a test's processes are found.
  const entries = [
    { address: door, port: 0, wait: true },
    { address: '127.0.0.1', port, wait: true },
  ];
  await startInetd(directory, entries, [`--directory=${base}`, '--launcher-idle=5'], {
    env: { ...process.env, KRB5_CONFIG: krb5Conf, CCAPI_ALONE_TIMEOUT: aloneTimeout },
    wrapper,
  });
  return {
    kdc,
    door,
    doorDirectory,
    base,
    env,
    as: (user, program, ...args) =>
      run(`/usr/bin/${program}`, args, { uid: user?.uid, gid: user?.gid, env, input: `${kdc.password}\n` }),
  };
}

/** What a program of a user's is answered by KCM, in hex, on a connection of another program, which has ended. */
export async function askWithoutMaker(door: string, { uid, gid }: TestUser): Promise<string> {
  const ask = `const socket = new (require('node:net').Socket)({ fd: 3, readable: true, writable: true });
    process.stdin.resume().once('end', () => socket.write(Buffer.from('0000000402000000', 'hex')));
    socket.on('data', (data) => process.stdout.write(data.toString('hex'))).on('close', () => process.exit());
    socket.once('data', () => socket.destroy());
    process.stdout.write('begun ');`;
  const connectAndWait = `const socket = require('node:net').connect('${door}', () => {
    require('node:child_process').spawn(process.execPath, ['-e', \`${ask}\`], { stdio: [0, 1, 2, socket] });
  });`;
  const maker = start(process.execPath, ['-e', connectAndWait], { uid, gid, stdio: ['pipe', 'pipe', 'inherit'] });
  const { stdin, stdout } = maker as ChildProcess & { stdin: Writable; stdout: Readable };
  let said = '';
  stdout.on('data', (chunk) => (said += chunk));
  await once(stdout, 'data');
  await end(maker, 'SIGKILL');
  stdin.destroy();
  await once(stdout, 'end');
  return said.slice('begun '.length);
}
