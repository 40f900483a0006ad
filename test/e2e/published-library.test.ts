// What a clone publishes: what is in it, and that programs of every kind have the library and its types from it.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Analysis, checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { beforeAll, describe, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { credentialFor } from '../server/model/model.ts';
import { afterwards, end, endWorkersBelow, eventually, temporaryDirectory } from '../setup/cleanup.ts';
import { freshCopy } from '../setup/fresh-copy.ts';
import { ccapi, cleanEnvironment, run, succeed } from '../setup/programs.ts';

const root = join(import.meta.dirname, '../..');

/** What our bundles have in them, and what that needs. */
const bundled = ['graceful-fs', 'ini', 'proper-lockfile', 'retry', 'signal-exit'];

interface Packed {
  integrity: string;
  files: { path: string; mode: number }[];
  bundled: string[];
}

let published: Packed;
let packed: Packed;
let archive: Buffer;
let directory: string;
let env: NodeJS.ProcessEnv;

/** npm's answer for the one package there is, which each version wraps otherwise. */
function npm(cwd: string, ...args: string[]): Packed {
  const env = { ...process.env, npm_config_update_notifier: 'false' };
  const answer = JSON.parse(execFileSync('npm', [...args, '--json'], { cwd, env, encoding: 'utf8', stdio: 'pipe' }));
  return [answer, ...Object.values(answer)].find((one) => Array.isArray(one?.files)) as Packed;
}

beforeAll(async () => {
  const clone = await freshCopy();
  installInto(clone);
  // Nothing is asked of a registry: nothing listens there.
  published = npm(clone, 'publish', '--dry-run', '--registry=http://127.0.0.1:9', '--fetch-retries=0');
  packed = npm(clone, 'pack');
  const [name = ''] = readdirSync(clone).filter((file) => file.endsWith('.tgz'));
  archive = readFileSync(join(clone, name));
  directory = temporaryDirectory();
  mkdirSync(`${directory}/node_modules/ccapi`, { recursive: true });
  const unpack = ['-xzf', join(clone, name), '-C', `${directory}/node_modules/ccapi`, '--strip-components=1'];
  await succeed('/bin/tar', unpack);
  cpSync(`${root}/etc/share/examples`, directory, { recursive: true });
  env = { CCAPI_DIRECTORY: `${directory}/run`, CCAPI_PORT: '1' };
  afterwards(() => endWorkersBelow(directory));
  // npm installs the second two, and a program in TypeScript the first.
  for (const name of ['@types/node', 'undici-types', 'koffi', '@koromix']) {
    cpSync(`${root}/node_modules/${name}`, `${directory}/node_modules/${name}`, { recursive: true });
  }
}, 60_000);

/** Has a clone what `npm ci` installs: what is packed as it is, which npm would not follow a link for, and links to the rest. */
function installInto(clone: string): void {
  mkdirSync(`${clone}/node_modules`);
  for (const name of readdirSync(`${root}/node_modules`)) {
    const [from, to] = [`${root}/node_modules/${name}`, `${clone}/node_modules/${name}`];
    if (bundled.includes(name)) cpSync(from, to, { recursive: true });
    else if (name !== '.package-lock.json') symlinkSync(from, to);
  }
}

/** The files below a directory of the repository, as npm names them. */
function filesBelow(path: string): string[] {
  return readdirSync(join(root, path), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

describe('npm publish, in a clone', () => {
  it('builds and packs all that is to be packed, and nothing else', () => {
    expect(published.integrity).toBe(packed.integrity);
    const paths = published.files.map(({ path }) => path);
    const isType = (path: string) => path.startsWith('dist/types/');
    const isBundled = (path: string) => path.startsWith('node_modules/');
    const programs = ['ccapi', 'ccapi-launcher', 'ccapi-server'];
    expect(paths.filter((path) => !isType(path) && !isBundled(path)).sort()).toEqual(
      [
        ...['ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'SECURITY.md'],
        ...['client/LIBRARY.md', 'package.json', 'npm-shrinkwrap.json'],
        ...filesBelow('proto').filter((path) => path.endsWith('.md')),
        ...filesBelow('etc/share'),
        ...['ccapi.bash', '_ccapi', 'ccapi.fish'].map((name) => `dist/completions/${name}`),
        ...programs.flatMap((name) => ['.js', '.bundle.js', '.bundle.js.compiled'].map((end) => `dist/${name}${end}`)),
        ...['dist/ccapi-setup.js', 'dist/index.js'],
      ].sort(),
    );
    expect(published.bundled.sort()).toEqual(bundled);
    const types = paths.filter(isType);
    expect(types).toContain('dist/types/client/index.d.ts');
    expect(types.filter((path) => !/^dist\/types\/(client|etc|proto)\/[\w/-]+\.d\.ts$/.test(path))).toEqual([]);
    const executable = published.files.filter(({ mode }) => (mode & 0o111) !== 0).map(({ path }) => path);
    expect(executable.filter((path) => path.startsWith('dist/')).sort()).toEqual(
      programs.map((name) => `dist/${name}.js`).sort(),
    );
  });

  it('makes a package in which publint finds nothing', async () => {
    const tarball = archive.buffer.slice(archive.byteOffset, archive.byteOffset + archive.length) as ArrayBuffer;
    expect((await publint({ pack: { tarball }, strict: true })).messages).toEqual([]);
  });

  it('makes a package whose types are found as attw finds them, by import and require', async () => {
    const result = await checkPackage(createPackageFromTarballData(new Uint8Array(archive)));
    expect(result).toMatchObject({ types: { kind: 'included' }, problems: [] });
    const entry = (result as Analysis).entrypoints['.'];
    const found = Object.entries(entry?.resolutions ?? {}).map(([kind, { resolution }]) => [
      kind,
      resolution?.fileName,
    ]);
    const types = '/node_modules/ccapi/dist/types/client/index.d.ts';
    expect(found).toEqual(['node10', 'node16-cjs', 'node16-esm', 'bundler'].map((kind) => [kind, types]));
  });
});

const resolutions: Record<string, string[]> = {
  node16: ['--module', 'node16'],
  nodenext: ['--module', 'nodenext'],
  bundler: ['--module', 'preserve', '--moduleResolution', 'bundler'],
};

/** Compiles programs in the strictest way, with no declaration left unchecked and nothing in the compiler's own settings. */
function compile(files: string[], resolution: string, ...more: string[]) {
  const strict = ['--strict', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes', '--verbatimModuleSyntax'];
  const options = [...strict, '--target', 'es2022', ...(resolutions[resolution] as string[]), ...more];
  const tsc = `${root}/node_modules/.bin/tsc`;
  return run('/bin/sh', ['-c', 'cd "$0" && exec "$@"', directory, tsc, '--ignoreConfig', ...options, ...files], {
    env: cleanEnvironment({ PATH: process.env.PATH }),
  });
}

const fine = { code: 0, stdout: '', stderr: '' };

describe.each(Object.keys(resolutions))('with moduleResolution %s', (resolution) => {
  it('the examples have no error', async () => {
    const checked = ['--allowJs', '--checkJs', '--noEmit'];
    const names = readdirSync(`${root}/etc/share/examples`).filter((name) => /\.[cm]js$/.test(name));
    expect(names).toHaveLength(2);
    // What CommonJS in JavaScript is cannot be said in the syntax of modules.
    const options = [...checked, '--verbatimModuleSyntax', 'false'];
    expect(await compile(names, resolution, ...options)).toEqual(fine);
  });

  it.each([
    ['an ECMAScript module', 'mts', "import { CCAPIError, Context, type CredentialV5, LockType } from 'ccapi';"],
    ['CommonJS', 'cts', "import ccapi = require('ccapi');\nconst { CCAPIError, Context, LockType } = ccapi;"],
  ])('a program in TypeScript is compiled as %s, and runs', async (_, extension, imports) => {
    const CredentialV5 = extension === 'mts' ? 'CredentialV5' : 'ccapi.CredentialV5';
    const program = `${imports}
      async function main(): Promise<void> {
        await using context = new Context();
        const ccache = await context.createCCache('${extension} ${resolution}', 'alice@R');
        await ccache.lock(LockType.write, true, AbortSignal.timeout(20_000));
        const found: ${CredentialV5}[] = [];
        for await (const { data } of ccache.credentials()) found.push(data);
        const keys: Buffer[] = found.map(({ keyblock }) => keyblock.data);
        process.stdout.write(\`\${await ccache.getName()} \${await ccache.getPrincipal()} \${keys.length}\\n\`);
        await ccache.destroy();
        await ccache.getName().catch((error: unknown) => {
          process.stdout.write(\`\${CCAPIError.is(error, 'ccErrInvalidCCache')}\\n\`);
        });
      }
      main();`;
    writeFileSync(`${directory}/program.${extension}`, program);
    expect(await compile([`program.${extension}`], resolution)).toEqual(fine);
    const compiled = `${directory}/program.${extension.replace('ts', 'js')}`;
    expect(await run(process.execPath, [compiled], { env })).toEqual({
      ...fine,
      stdout: `${extension} ${resolution} alice@R 0\ntrue\n`,
    });
  });

  it('a wrong type is an error', async () => {
    const program =
      "import { Context } from 'ccapi';\nexport const name: number = new Context().getDefaultCCacheName();";
    writeFileSync(`${directory}/wrong.mts`, program);
    const { code, stdout } = await compile(['wrong.mts'], resolution, '--noEmit');
    expect([code, stdout]).toEqual([expect.any(Number), expect.stringContaining("is not assignable to type 'number'")]);
  });
});

describe('as plain JavaScript', () => {
  const node = (name: string, ...args: string[]) => run(process.execPath, [`${directory}/${name}`, ...args], { env });

  beforeAll(async () => {
    const { hex } = JSON.parse(readFileSync(`${root}/test/proto/vectors/file-ccache.json`, 'utf8'));
    writeFileSync(`${directory}/ccache`, Buffer.from(hex, 'hex'));
    expect((await ccapi(['import', '-c', 'imported', `FILE:${directory}/ccache`], { env })).code).toBe(0);
  });

  it('the example lists the tickets, and no entry of libkrb5', async () => {
    expect(await node('list-tickets.mjs')).toEqual({
      ...fine,
      stdout: 'imported: a@EX\n  krbtgt/EX@EX until 2096-10-02T07:06:40Z\n',
    });
  });

  it('the program of LIBRARY.md lists them too', async () => {
    const [, program = ''] = /^```ts\n(.*?)^```/ms.exec(readFileSync(`${root}/client/LIBRARY.md`, 'utf8')) ?? [];
    writeFileSync(`${directory}/library.mjs`, program);
    const { code, stdout, stderr } = await node('library.mjs');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^imported a@EX\n/);
    expect(stdout).toContain('krbtgt/EX@EX 2096-10-02T07:06:40.000Z\n');
  });

  it('the example waits for a ticket, and says why it does so no longer', async () => {
    const child = spawn(process.execPath, [`${directory}/wait-for-ticket.cjs`, 'host/late@R', '30'], {
      env: cleanEnvironment(env),
    });
    afterwards(() => end(child));
    let printed = '';
    child.stdout.on('data', (chunk: Buffer) => {
      printed += chunk;
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const waits = async () => JSON.parse((await ccapi(['status', '--json'], { env })).stdout).requests;
    await eventually(async () => (await waits()).contextWaitForChange === 2);
    expect(printed).toBe('');
    await using context = new Context({ env: cleanEnvironment(env) });
    await (await context.createCCache('late', 'alice@R')).storeCredentials(credentialFor('host/late@R'));
    expect([await ended, printed]).toEqual([0, 'there is a ticket for host/late@R\n']);
    const late = await node('wait-for-ticket.cjs', 'host/never@R', '0');
    expect([late.code, late.stdout, late.stderr]).toEqual([1, '', expect.stringMatching(/^TimeoutError: .*\n$/)]);
    const unserved = { env: { ...env, CCAPI_SERVER: 'unix:///nonexistent' } };
    const alone = await run(process.execPath, [`${directory}/wait-for-ticket.cjs`, 'host/a@R'], unserved);
    expect(alone.stderr).toMatch(/^ccErrServerUnavailable \(223\): .*\/nonexistent/);
  });
});
