// Whatever goes wrong, a person is told in a few lines: what it is about, and what to do. Each place in the command's own
// sources that makes a message is come to here once.
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { afterwards, endProgramsBelow, temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, type Outcome } from '../setup/programs.ts';

const directory = temporaryDirectory();
const uid = process.getuid?.() as number;
const home = { CCAPI_DIRECTORY: `${directory}/run`, CCAPI_PORT: '1' };
const away = (text: string) => ({ CCAPI_SERVER: text });

/** What is typed, with what around it, what is said, and what is to be typed next. */
const cases: [args: string[], env: NodeJS.ProcessEnv, says: string, next?: string][] = [
  [['lst'], home, 'there is no command "lst"', 'see: ccapi --help'],
  [['list', '--foo'], home, "Unknown option '--foo'", 'see: ccapi list --help'],
  [['list', '-c'], home, "'-c, --cache <value>' argument missing", 'see: ccapi list --help'],
  [['list', 'x'], home, "Unexpected argument 'x'", 'see: ccapi list --help'],
  [['list', '--sessions', '-A'], home, '--sessions goes with neither -A nor -c', 'see: ccapi list --help'],
  [['list', '--sessions'], home, 'all login sessions share their tickets here; see scope in krb5.conf'],
  [['list'], home, 'there is no ccache; kinit makes one, or ccapi import'],
  [['list', '-c', 'none'], home, 'there is no ccache "none"; ccapi list -l shows all'],
  [['destroy'], home, 'there is no ccache; kinit makes one, or ccapi import'],
  [['destroy', '-A', '-c', 'x'], home, '-A, -c and --session exclude each other', 'see: ccapi destroy --help'],
  [['destroy', 'x'], home, 'expected no argument', 'see: ccapi destroy --help'],
  [['destroy', '--session', '../x'], { ...home, CCAPI_SCOPE: 'session' }, '"../x" is no name of a login session'],
  [['env', '-s', '-c'], home, '-s and -c exclude each other', 'see: ccapi env --help'],
  [['env'], { ...home, KRB5_CONFIG: '/etc/\u202e.conf' }, 'krb5.conf:/etc/\\u{202e}.conf cannot be given to a shell'],
  [['exec'], home, 'exec needs a command', 'see: ccapi exec --help'],
  [['exec', '-x'], home, 'exec has no option -x', 'see: ccapi exec --help'],
  [['exec', '--', '/nonexistent/program'], home, '/nonexistent/program'],
  [['switch'], home, 'expected -c NAME or -p PRINCIPAL', 'see: ccapi switch --help'],
  [['switch', '-p', 'a@R'], home, 'there is no ccache for "a@R"; ccapi list -l shows all'],
  [['move', 'a'], home, 'expected the names FROM and TO', 'see: ccapi move --help'],
  [['move', 'a', 'KCM:a'], home, 'FROM and TO are the same ccache', 'see: ccapi move --help'],
  [['copy', '.'], home, 'expected FROM and TO', 'see: ccapi copy --help'],
  [['copy', '-c', 'a', '--all', '.', '.'], home, '--all and -c exclude each other', 'see: ccapi copy --help'],
  [['completions', 'csh'], home, 'expected bash, fish or zsh', 'see: ccapi completions --help'],
  [['copy', '.', 'there'], home, '"there" is neither "." nor a URI of a server', 'see: ccapi copy --help'],
  [['import'], home, 'expected one FILE:PATH or DIR:PATH', 'see: ccapi import --help'],
  [['import', 'KEYRING:x'], home, 'expected FILE:PATH and not "KEYRING:x"', 'see: ccapi import --help'],
  [['import', '-c', 'a', `DIR:${directory}/two`], home, '-c takes one ccache and not a DIR of several'],
  [['import', 'FILE:/nonexistent'], home, "ENOENT: no such file or directory, open '/nonexistent'"],
  [['import', `DIR:${directory}/empty`], home, `DIR:${directory}/empty: no ccache with a principal`],
  [['import', 'FILE:/etc/passwd'], home, '/etc/passwd: not a FILE ccache'],
  [['export', 'DIR:/tmp'], home, 'expected FILE:PATH and not "DIR:/tmp"', 'see: ccapi export --help'],
  ...['KCM:', 'FILE:', 'DIR:', ':', ':/tmp/x'].map((residual): [string[], NodeJS.ProcessEnv, string, string] => [
    ['export', residual],
    home,
    `expected FILE:PATH and not "${residual}"`,
    'see: ccapi export --help',
  ]),
  [['status', '--no'], home, "Unknown option '--no'", 'see: ccapi status --help'],
  [['setup', '--yes', '--dry-run'], home, '--dry-run and --yes exclude each other', 'see: ccapi setup --help'],
  [['stop'], { ...home, CCAPI_DIRECTORY: `${directory}/held` }, 'not a server of this host that could be ended'],
  [['list'], away('nowhere'), 'CCAPI_SERVER: "nowhere" is not inetd://'],
  [['list'], away('unix:///nonexistent'), '/nonexistent', 'ccapi doctor looks for the reason'],
  [['list'], away(`unix:///${'x'.repeat(110)}`), "is longer than a socket's path may be", 'ccapi doctor'],
  [['list'], away('inetd://127.0.0.1:1'), 'inetd://127.0.0.1:1: nothing listens there', 'ccapi doctor'],
  [['list'], away('exec:/bin/false'), 'exec:/bin/false ended with 1', 'ccapi doctor'],
  [['list'], away(`unix://${directory}/stranger`), 'the connection to the credential-cache server was lost'],
  [['list'], { ...home, CCAPI_PORT: 'http' }, 'CCAPI_PORT: "http" is not a number from 1 to 65535'],
  [['path'], { ...home, CCAPI_AUTOSTART: 'no', CCAPI_DIRECTORY: `${directory}/none` }, 'no credential-cache server: '],
  [['list'], { ...home, CCAPI_DIRECTORY: `${directory}/open` }, 'it is not used', 'ccapi doctor looks for the reason'],
  [['list'], { ...home, CCAPI_DIRECTORY: `${directory}/${'d'.repeat(76)}` }, 'is not an absolute path of at most 80'],
  [['list'], { ...home, KRB5_CONFIG: `${directory}/typo` }, `${directory}/typo:2: idle: there is no such setting`],
  [['list'], { ...home, KRB5_CONFIG: `${directory}/loop` }, `${directory}/loop`],
  [['list'], { ...home, KRB5_CONFIG: `${directory}/missing` }, '/nonexistent.d cannot be read'],
];

const seen: string[] = [];

beforeAll(() => {
  for (const name of ['two', 'empty', 'open', `open/${uid}`, 'held']) mkdirSync(`${directory}/${name}`);
  mkdirSync(`${directory}/held/${uid}`, { mode: 0o700 });
  chmodSync(`${directory}/open/${uid}`, 0o777);
  const principal = '0504000000000001000000010000000152000000016100000000'.replace(/0+$/, '');
  for (const name of ['tkt1', 'tkt2']) writeFileSync(`${directory}/two/${name}`, Buffer.from(`${principal}`, 'hex'));
  writeFileSync(`${directory}/typo`, '[ccapi]\n idle = 10m\n');
  writeFileSync(`${directory}/missing`, 'includedir /nonexistent.d\n');
  writeFileSync(`${directory}/loop`, `include ${directory}/loop\n`);
  symlinkSync('/nonexistent', `${directory}/dangling`);
  // A server that hangs up on every client.
  for (const path of [`${directory}/stranger`, `${directory}/held/${uid}/S.ccapi`]) {
    const stranger = createServer((socket) => socket.end()).listen(path);
    afterwards(() => void stranger.close());
  }
});
afterAll(() => endProgramsBelow(directory));

const told = ({ stderr }: Outcome) => stderr.split('\n').filter((line) => line !== '');

it.each(cases)('%j with %j: %s', async (args, env, says, next) => {
  const outcome = await ccapi(args, { env });
  expect(outcome.code).toBeGreaterThan(0);
  const lines = told(outcome);
  seen.push(...lines);
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThan(5);
  for (const line of lines) expect(line).toMatch(/^ccapi: (?! {4}at )/);
  expect(lines[0]).toContain(says);
  if (next !== undefined) expect(lines.at(-1)).toContain(next);
});

it('setup, which is for users: it asks at a terminal', async () => {
  const [user] = inject('users');
  const identity = user ? { uid: user.uid, gid: user.gid } : {};
  const own = temporaryDirectory();
  if (user) chownSync(own, user.uid, user.gid);
  const outcome = await ccapi(['setup'], { ...identity, env: { ...home, HOME: own } });
  expect(outcome.code).toBe(2);
  seen.push(...told(outcome));
  expect(seen.at(-2)).toBe('ccapi: standard input is no terminal: say --yes, or --dry-run');
});

it('every message of the commands was among them', () => {
  const sources = `${import.meta.dirname}/../../client/cli`;
  const messages = readdirSync(sources, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    if (!name.endsWith('.ts')) return [];
    const text = readFileSync(`${sources}/${name}`, 'utf8');
    return [...text.matchAll(/(?:UsageError\(|CCAPIError\('\w+', )\s*(['`])((?:(?!\1).)+)\1/g)].map(
      ([, , message]) => message as string,
    );
  });
  expect(messages.length).toBeGreaterThan(15);
  const missing = messages.filter((message) => {
    const [fixed = ''] = message.split(/\$\{[^}]*\}/).sort((one, other) => other.length - one.length);
    return !seen.some((line) => line.includes(fixed));
  });
  expect(missing).toEqual([]);
});
