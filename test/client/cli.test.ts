// The command, with files that the test writes and without a KDC.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { type CCacheFile, readCCacheFile, writeCCacheFile } from '../../proto/ccache-file.ts';
import { fromCredentialV5, type Krb5Credential } from '../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { stagingName } from '../../proto/staging.ts';
import { credentialFor } from '../server/model/model.ts';
import { end, endWorkersBelow, eventually, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, programs, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

let home: string;
const env = () => ({ CCAPI_DIRECTORY: `${home}/run`, CCAPI_PORT: '1' });
const command = (...args: string[]) => ccapi(args, { env: env() });
const done = (stdout = '') => ({ code: 0, stdout, stderr: '' });
const failed = (stderr: string, code = 1) => ({ code, stdout: '', stderr: expect.stringContaining(stderr) });

beforeEach(() => {
  home = temporaryDirectory();
});

const ticket = (server: string): Krb5Credential => fromCredentialV5(credentialFor(server));

function write(name: string, client: string, credentials: Krb5Credential[], more: Partial<CCacheFile> = {}): string {
  const path = `${home}/${name}`;
  writeFileSync(path, writeCCacheFile({ otherTags: [], principal: parsePrincipal(client), credentials, ...more }));
  return path;
}

const listed = async (...args: string[]) => JSON.parse((await command('list', '--json', ...args)).stdout);

describe('import and export', () => {
  it('keep name types, flags, addresses and the KDC offset; only the microseconds of that have no place', async () => {
    const host = { ...ticket('host/s@R'), server: { nameType: 3, realm: 'R', components: ['host', 's'] } };
    const userToUser = { ...ticket('u@R'), isSkey: 8, secondTicket: Buffer.from('second') };
    const client = { nameType: 10, realm: 'R', components: ['alice@corp.example'] };
    const file = {
      otherTags: [],
      principal: client,
      kdcOffset: { seconds: -7, microseconds: 0 },
      credentials: [host, userToUser, ticket('a/b@R')].map((credential) => ({ ...credential, client })),
    };
    const bytes = writeCCacheFile(file);
    writeFileSync(`${home}/in`, bytes);
    expect((await command('import', `FILE:${home}/in`)).stderr).toBe('');
    expect(await command('export', `FILE:${home}/out`)).toEqual(done());
    expect(readFileSync(`${home}/out`).equals(bytes)).toBe(true);
  });

  it('write a file without an offset where there was none, and with one where it is zero', async () => {
    for (const [name, more] of [
      ['none', {}],
      ['zero', { kdcOffset: { seconds: 0, microseconds: 0 } }],
    ] as const) {
      const path = write(name, `${name}@R`, [ticket('s@R')], more);
      await command('import', '-c', name, path);
      expect(await command('export', '-c', name, `${path}.out`)).toEqual(done());
      expect(readFileSync(`${path}.out`).equals(readFileSync(path))).toBe(true);
    }
  });

  it('replace the ccache of the same principal and leave others alone', async () => {
    await command('import', write('a1', 'a@R', [ticket('1@R'), ticket('2@R')]));
    await command('import', write('b', 'b@R', [ticket('3@R')]));
    await command('import', write('a2', 'a@R', [ticket('4@R')]));
    const caches = (await listed('-A')).map((cache: { principal: string; credentials: { server: string }[] }) => [
      cache.principal,
      cache.credentials.map(({ server }) => server),
    ]);
    expect(caches).toEqual([
      ['a@R', ['4@R']],
      ['b@R', ['3@R']],
    ]);
  });

  it('leave a ccache alone that another client is still filling, and are not taken for it', async () => {
    await command('import', write('b', 'b@R', [ticket('s@R')]));
    const other = new Context({ env: cleanEnvironment(env()) });
    await other.createCCache(stagingName(), 'a@R');
    await command('import', write('a', 'a@R', [ticket('1@R')]));
    const names = async () => (await listed('-A')).map(({ principal }: { principal: string }) => principal);
    expect(await names()).toEqual(['b@R', 'a@R']);
    await other.close();
    expect(await names()).toEqual(['b@R', 'a@R']);
    expect((await listed('-A'))[1].credentials).toHaveLength(1);
  });

  it('put a file into the ccache that is named, of another principal too', async () => {
    await command('import', '-c', 'work', write('a', 'a@R', [ticket('1@R')]));
    expect((await command('import', '-c', 'API:work', write('b', 'b@R', [ticket('2@R')]))).stdout).toContain(
      'KCM:work',
    );
    const [work, ...others] = await listed('-A');
    expect([work.name, work.principal, others]).toEqual(['work', 'b@R', []]);
  });

  it('take a DIR, its primary first, and pass over what has no principal yet', async () => {
    mkdirSync(`${home}/dir`);
    write('dir/tkt', 'a@R', [ticket('1@R')]);
    write('dir/tktABC', 'b@R', [ticket('2@R')]);
    writeFileSync(`${home}/dir/tktNEW`, Buffer.from('05040000', 'hex'));
    writeFileSync(`${home}/dir/primary`, 'tktABC\n');
    expect((await command('import', `DIR:${home}/dir`)).code).toBe(0);
    expect((await listed('-A')).map(({ principal }: { principal: string }) => principal)).toEqual(['b@R', 'a@R']);
    expect((await command('import', `DIR::${home}/dir/tkt`)).stdout).toContain('1 credentials for a@R');
  });

  it('keep each ccache of a DIR that has several of one principal, and pass over what is none', async () => {
    mkdirSync(`${home}/dir/tktdirectory`, { recursive: true });
    write('dir/tktA', 'a@R', [ticket('1@R')]);
    write('dir/tktB', 'a@R', [ticket('2@R')]);
    writeFileSync(`${home}/dir/tktC`, 'no ccache');
    writeFileSync(`${home}/dir/primary`, 'tktB\n');
    const { code, stderr } = await command('import', `DIR:${home}/dir`);
    expect([code, stderr.trimEnd().split('\n').sort()]).toEqual([
      1,
      [
        expect.stringMatching(/tktC: not a FILE ccache; it is left out$/),
        expect.stringMatching(/tktdirectory.*; it is left out$/),
      ],
    ]);
    const servers = (await listed('-A')).map(({ credentials }: { credentials: { server: string }[] }) =>
      credentials.map(({ server }) => server),
    );
    expect(servers).toEqual([['2@R'], ['1@R']]);
  });

  it('say as JSON which ccaches have arrived, those too that came before a failure', async () => {
    mkdirSync(`${home}/dir`);
    const [one, two] = [write('dir/tktA', 'a@R', [ticket('1@R'), ticket('2@R')]), write('dir/tktB', 'b@R', [])];
    writeFileSync(`${home}/dir/tktC`, 'no ccache');
    const { code, stdout, stderr } = await command('import', '--json', `DIR:${home}/dir`);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/tktC: not a FILE ccache; it is left out\n$/)]);
    const [a, b] = await listed('-A');
    expect(JSON.parse(stdout)).toEqual([
      { path: one, principal: 'a@R', name: a.name, credentials: 2 },
      { path: two, principal: 'b@R', name: b.name, credentials: 0 },
    ]);
    expect(await command('import', '--json', `${home}/nothing`)).toEqual({
      ...failed('no such file'),
      stdout: '[]\n',
    });
  });

  it('copy says as JSON which ccaches have arrived, those too that came before a failure', async () => {
    await command('import', '-c', 'a', write('a', 'a@R', [ticket('1@R'), ticket('2@R')]));
    await command('import', '-c', 'b', write('b', 'b@R', [ticket('3@R'), ticket('4@R'), ticket('5@R')]));
    const server = (setting: string) => `exec:env ${setting} ${process.execPath} ${programs.ccapi} connect`;
    const { code, stdout } = await command('copy', '--json', '-c', 'b', '.', server(`CCAPI_DIRECTORY=${home}/there`));
    expect([code, JSON.parse(stdout)]).toEqual([0, [{ principal: 'b@R', name: 'b', credentials: 3 }]]);
    const small = server(`CCAPI_DIRECTORY=${home}/small CCAPI_MAX_CREDENTIALS=4`);
    const broken = await command('copy', '--json', '--all', '.', small);
    expect([broken.code, broken.stderr]).toEqual([1, expect.stringContaining('max_credentials')]);
    expect(JSON.parse(broken.stdout)).toEqual([{ principal: 'a@R', name: expect.any(String), credentials: 2 }]);
  });

  it('leave out a torn tail and removed entries, and say so', async () => {
    const path = write('torn', 'a@R', [ticket('1@R'), { ...ticket('2@R'), endtime: 0 }, ticket('3@R')]);
    writeFileSync(path, readFileSync(path).subarray(0, -5));
    const { code, stderr } = await command('import', path);
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(
        /torn: the last \d+ bytes are no whole credential.*\n.*torn: 1 entries are marked as removed/,
      ),
    ]);
    expect((await listed())[0].credentials).toHaveLength(1);
  });

  it('replace a file in one step, readable by its owner alone, whatever it was before', async () => {
    await command('import', write('in', 'a@R', [ticket('1@R')]));
    const path = write('out', 'old@R', []);
    chmodSync(path, 0o644);
    expect(await command('export', path)).toEqual(done());
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readCCacheFile(readFileSync(path)).credentials).toHaveLength(1);
    expect(readdirSync(home).sort()).toEqual(['in', 'out', 'run']);
    expect(await command('export', `FILE:${home}/missing/out`)).toEqual(failed('ENOENT'));
  });
});

describe('list and destroy', () => {
  it('show and take the default ccache, the named one, or all', async () => {
    for (const name of ['one', 'two', 'three'])
      await command('import', '-c', name, write(name, `${name}@R`, [ticket('s@R')]));
    const { stdout } = await command('list');
    expect(stdout).toMatch(
      /^Ticket cache: KCM:one\nDefault principal: one@R\n\nValid starting {7}Expires {14}Service principal\n/,
    );
    expect(stdout).toMatch(
      /\n1970-01-01 00:00:01 {2}2033-05-18 03:33:20 {2}s@R\n {8}for client alice@R, expires in \d+ d\n$/,
    );
    expect((await command('list', '-c', 'two')).stdout).toContain('Ticket cache: KCM:two');
    expect((await command('list', '-A')).stdout.match(/Ticket cache/g)).toHaveLength(3);
    expect(await command('destroy', '-c', 'two')).toEqual(done());
    expect(await command('destroy')).toEqual(done());
    expect((await command('list')).stdout).toContain('Ticket cache: KCM:three');
    expect(await command('destroy', '-A')).toEqual(done());
    expect(await command('destroy', '-A')).toEqual(done());
    expect(await command('destroy')).toEqual(failed('there is no ccache; kinit makes one, or ccapi import'));
  });

  it('show flags, enctypes and addresses where they are asked for, and all ccaches in a line each', async () => {
    const shown = {
      ...ticket('krbtgt/R@R'),
      ticketFlags: 0x40e00000,
      addresses: [{ type: 2, data: Buffer.from([10, 0, 0, 1]) }],
    };
    await command('import', '-c', 'one', write('one', 'alice@R', [shown]));
    await command('import', '-c', 'two', write('two', 'bob@R', []));
    expect((await command('list', '-f', '-e', '-a')).stdout).toMatch(
      /\n {8}expires in \d+ d, flags FRIA, session key [\w-]+( \d+)?, addresses 10\.0\.0\.1\n$/,
    );
    expect((await command('list', '-l')).stdout).toMatch(
      /^Principal +Expires +Ccache\nalice@R +in \d+ d +KCM:one {2}\(default\)\nbob@R +no ticket +KCM:two\n$/,
    );
    await command(
      'import',
      '-c',
      'three',
      write('three', 'carol@R', [{ ...ticket('krbtgt/R@R'), authtime: 0, endtime: 0 }]),
    );
    expect((await command('list', '-l')).stdout).toMatch(/\ncarol@R +no end +KCM:three\n$/);
  });

  it('say by the exit code alone whether there is a ticket', async () => {
    expect(await command('list', '-s')).toEqual({ code: 1, stdout: '', stderr: '' });
    await command('import', '-c', 'old', write('old', 'a@R', [{ ...ticket('s@R'), authtime: 1, endtime: 1000 }]));
    await command('import', '-c', 'young', write('young', 'b@R', [ticket('s@R')]));
    expect(await command('list', '-s', '-c', 'young')).toEqual(done());
    expect(await command('list', '-t', '-c', 'none')).toEqual({ code: 1, stdout: '', stderr: '' });
  });

  it('hide what libkrb5 notes for itself, and let no name command the terminal', async () => {
    const note = ticket('krb5_ccache_conf_data/fast_avail/krbtgt\\/R\\@R@X-CACHECONF:');
    await command('import', write('in', 'a@R', [note, ticket('evil\x1b[2J@R')]));
    const { stdout } = await command('list');
    expect(stdout).not.toContain('X-CACHECONF');
    expect((await command('list', '--all')).stdout).toContain('X-CACHECONF');
    expect(stdout).toContain('evil\\x1b[2J@R');
  });
});

describe('switch and move', () => {
  const three = async () => {
    for (const name of ['one', 'two', 'three'])
      await command('import', '-c', name, write(name, `${name}@R`, [ticket('s@R')]));
  };
  const names = async () =>
    (await listed('-A')).map(({ name, principal }: Record<string, string>) => `${name} ${principal}`);

  it('choose the default ccache by name or by principal', async () => {
    await three();
    expect(await command('switch', '-c', 'two')).toEqual(done());
    expect(await names()).toEqual(['two two@R', 'one one@R', 'three three@R']);
    expect(await command('switch', '-p', 'three@R')).toEqual(done());
    expect(await names()).toEqual(['three three@R', 'two two@R', 'one one@R']);
    expect(await command('switch', '-p', 'nobody@R')).toEqual(failed('there is no ccache for "nobody@R"'));
  });

  it('move a ccache over another, or under a new name', async () => {
    await three();
    expect(await command('move', 'three', 'one')).toEqual(done());
    expect(await names()).toEqual(['one three@R', 'two two@R']);
    expect(await command('move', 'two', 'API:four')).toEqual(done());
    expect(await names()).toEqual(['one three@R', 'four two@R']);
    expect(await command('move', 'gone', 'one')).toEqual(failed('there is no ccache "gone"'));
    expect(await names()).toEqual(['one three@R', 'four two@R']);
  });
});

describe('watch', () => {
  it.each([
    ['as text', [], (event: string, name: string) => `${event} KCM:${name} (${name}@R)`],
    ['as JSON', ['--json'], (event: string, name: string) => JSON.stringify({ event, name, principal: `${name}@R` })],
  ])('prints %s what changes as it happens', async (_, options, line) => {
    await command('import', '-c', 'one', write('one', 'one@R', [ticket('s@R')]));
    const watching = start(process.execPath, [programs.ccapi, 'watch', ...options], {
      env: cleanEnvironment(env()),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    watching.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk;
    });
    const shows = (event: string, name: string) => eventually(() => printed.split('\n').includes(line(event, name)));
    await shows('default', 'one');
    await command('import', '-c', 'two', write('two', 'two@R', [ticket('s@R')]));
    await shows('created', 'two');
    await command('switch', '-c', 'two');
    await shows('default', 'two');
    printed = '';
    await command('import', '-c', 'one', write('one', 'one@R', [ticket('t@R')]));
    await shows('changed', 'one');
    await command('destroy', '-c', 'one');
    await shows('destroyed', 'one');
    await end(watching);
  });

  it('tells that all is gone when the server has ended, and goes on with the next', async () => {
    const forgetful = { ...env(), CCAPI_PERSIST: 'never' };
    await ccapi(['import', '-c', 'one', write('one', 'one@R', [ticket('s@R')])], { env: forgetful });
    const watching = start(process.execPath, [programs.ccapi, 'watch'], {
      env: cleanEnvironment(forgetful),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    watching.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk;
    });
    await eventually(() => printed.includes('default KCM:one'));
    await endWorkersBelow(home);
    await eventually(() => printed.includes('destroyed KCM:one (one@R)'));
    await command('import', '-c', 'two', write('two', 'two@R', [ticket('s@R')]));
    await eventually(() => printed.includes('created KCM:two (two@R)'));
    await end(watching);
  });
});

describe('a mistake is told in a line or a few, with what to do', () => {
  it.each([
    [[], 'usage: ccapi COMMAND', 0],
    [['frobnicate'], 'there is no command "frobnicate"', 2],
    [['list', '--frobnicate'], "Unknown option '--frobnicate'", 2],
    [['list', 'extra'], "Unexpected argument 'extra'", 2],
    [['destroy', 'x'], 'expected no argument', 2],
    [['destroy', '--session'], 'all login sessions share their tickets here', 2],
    [['list', '--sessions'], 'all login sessions share their tickets here', 2],
    [['list', '--sessions', '-A'], '--sessions goes with neither -A nor -c', 2],
    [['destroy', '-A', '-c', 'x'], '-A, -c and --session exclude each other', 2],
    [['import'], 'expected one FILE:PATH or DIR:PATH', 2],
    [['import', 'KEYRING:session'], 'expected FILE:PATH and not "KEYRING:session"', 2],
    [['export'], 'expected one FILE:PATH', 2],
    [['export', 'DIR:/tmp'], 'expected FILE:PATH and not "DIR:/tmp"', 2],
    [['switch'], 'expected -c NAME or -p PRINCIPAL', 2],
    [['switch', '-c', 'a', '-p', 'b'], 'expected -c NAME or -p PRINCIPAL', 2],
    [['move', 'a'], 'expected the names FROM and TO', 2],
    [['move', 'a', 'API:a'], 'FROM and TO are the same ccache', 2],
    [['watch', 'x'], "Unexpected argument 'x'", 2],
    [['import', 'FILE:/nonexistent'], 'ENOENT', 1],
    [['import', 'DIR:/nonexistent'], 'ENOENT', 1],
    [['import', 'FILE:/etc/passwd'], '/etc/passwd: not a FILE ccache', 1],
    [['list', '-c', 'none'], 'there is no ccache "none"', 1],
    [['export', 'FILE:/tmp/x'], 'there is no ccache; kinit makes one, or ccapi import', 1],
  ])('%j: %s', async (args, message, code) => {
    const outcome = await command(...args);
    expect(outcome.code).toBe(code);
    expect(code === 0 ? outcome.stdout : outcome.stderr).toContain(message);
    expect(outcome.stderr).not.toMatch(/\n {4}at /);
    expect(existsSync(`${home}/run`)).toBe(false);
  });

  it('a setting that is wrong is named with its place', async () => {
    writeFileSync(`${home}/krb5.conf`, '[ccapi]\n port = http\n');
    const { code, stderr } = await ccapi(['list'], { env: { ...env(), KRB5_CONFIG: `${home}/krb5.conf` } });
    expect([code, stderr]).toEqual([1, `ccapi: ${home}/krb5.conf:2: port: "http" is not a number from 1 to 65535\n`]);
  });

  it.each(['list', 'path', 'import', 'export', 'destroy', 'switch', 'move', 'watch'])(
    '%s --help says how it is used, and does nothing',
    async (name) => {
      const { code, stdout, stderr } = await command(name, '--help');
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(new RegExp(`^usage: ccapi ${name}`));
      expect(workersBelow(home)).toEqual([]);
    },
  );
});

it('help COMMAND and -h say the same as --help', async () => {
  const whole = await command('move', '--help');
  expect(whole.stdout).toMatch(/^usage: ccapi move FROM TO\n/);
  expect(await command('help', 'move')).toEqual(whole);
  expect(await command('move', '-h')).toEqual(whole);
  expect(await command('-h')).toEqual(await command('--help'));
  expect(await command('help', 'mov')).toEqual(failed('there is no command "mov"', 2));
});

it.each(['ccapi', 'launcher', 'server'] as const)(
  '%s --version says which it is, and what it runs on',
  async (name) => {
    const { code, stdout, stderr } = await run(process.execPath, [programs[name], '--version'], { env: env() });
    expect([code, stderr]).toEqual([0, '']);
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    const on = `(Node ${process.version}, ${process.platform} ${process.arch}, with koffi)`;
    expect(stdout).toBe(`ccapi${name === 'ccapi' ? '' : `-${name}`} ${version} ${on}\n`);
  },
);

describeWith(['Linux'], 'a long import', () => {
  it('shows on a terminal how far it is, and clears the line behind it', async () => {
    const path = write(
      'many',
      'a@R',
      Array.from({ length: 40_000 }, (_, i) => ticket(`${i}@R`)),
    );
    const line = `${process.execPath} ${programs.ccapi} import FILE:${path}`;
    const { stdout } = await run('/usr/bin/script', ['-qec', line, '/dev/null'], { env: cleanEnvironment(env()) });
    const shown = stdout.replaceAll('\x1b[K', '<clear>');
    expect(shown).toMatch(/\rstoring: \d+ of 40000<clear>/);
    expect(shown).toMatch(/\r<clear>.*40000 credentials for a@R/s);
    expect((await command('import', path)).stderr).toBe('');
  });
});
