// The package that npm makes, installed where there is nothing but Node: no koffi, no development tools, no network.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { afterwards, endWorkersBelow, eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { cleanEnvironment, freePort, run, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

const [user] = inject('users');
const identity = user ? { uid: user.uid, gid: user.gid } : {};
const root = `${import.meta.dirname}/../..`;
let prefix: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  const directory = temporaryDirectory();
  prefix = `${directory}/installed`;
  const options = { cwd: root, stdio: 'pipe' as const, env: { ...process.env, npm_config_update_notifier: 'false' } };
  execFileSync(process.execPath, ['build-types.mjs'], options);
  execFileSync('npm', ['pack', '--pack-destination', directory], options);
  const [archive] = readdirSync(directory).filter((name) => name.endsWith('.tgz'));
  // npm leaves out what is optional and not to be had, as on a machine without a network.
  const offline = ['--offline', '--cache', `${directory}/cache`];
  execFileSync('npm', ['install', '-g', ...offline, '--prefix', prefix, `${directory}/${archive}`], options);
  const runtime = `${directory}/runtime`;
  mkdirSync(runtime, { mode: 0o700 });
  if (user) chownSync(runtime, user.uid, user.gid);
  chmodSync(directory, 0o755);
  env = { XDG_RUNTIME_DIR: runtime, CCAPI_PORT: '1', PATH: `${prefix}/bin:${process.env.PATH}` };
  afterwards(() => endWorkersBelow(runtime));
});

const ccapi = (...args: string[]) => run(`${prefix}/bin/ccapi`, args, { ...identity, env });

it('has the three programs', async () => {
  expect(readdirSync(`${prefix}/bin`).sort()).toEqual(['ccapi', 'ccapi-launcher', 'ccapi-server']);
  expect(await ccapi('list', '-A', '--json')).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
  for (const page of ['man1/ccapi.1', 'man5/ccapi.conf.5', 'man8/ccapi-launcher.8', 'man8/ccapi-server.8']) {
    expect(existsSync(`${prefix}/share/man/${page}`)).toBe(true);
  }
  const files = ['ccapi.bash', '_ccapi', 'ccapi.fish'].map((name) => `dist/completions/${name}`);
  for (const name of ['CCAPI.md', 'KCM.md', 'RENDEZVOUS.md', 'FILE-CCACHE.md']) files.push(`proto/${name}`);
  for (const name of ['ccapi-client.py', 'ccapi-client.c']) files.push(`etc/share/examples/${name}`);
  for (const file of files)
    expect([file, existsSync(`${prefix}/lib/node_modules/ccapi/${file}`)]).toEqual([file, true]);
  const printed = await succeed(`${prefix}/bin/ccapi-launcher`, ['--print-inetd-entry'], { env });
  expect(printed).toContain(`${prefix}/lib/node_modules/ccapi/dist/ccapi-launcher.js --wait`);
});

it('fixes what is installed beside it: version and digest of each package, and none of development', () => {
  const lock = JSON.parse(readFileSync(`${prefix}/lib/node_modules/ccapi/npm-shrinkwrap.json`, 'utf8'));
  const packages = Object.entries<Record<string, unknown>>(lock.packages).filter(([path]) => path !== '');
  const needed = packages.filter(([, { dev, devOptional }]) => !dev && !devOptional);
  const { optionalDependencies, dependencies = {} } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
  const names = needed.map(([path]) => path.replace('node_modules/', ''));
  expect(names).toEqual(expect.arrayContaining([...Object.keys(optionalDependencies), ...Object.keys(dependencies)]));
  expect(names).toContain(`@koromix/koffi-${process.platform}-${process.arch}`);
  for (const [, { version, integrity }] of needed) {
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(integrity).toMatch(/^sha512-/);
  }
  // Other package managers read no shrinkwrap.
  for (const version of Object.values({ ...optionalDependencies, ...dependencies })) {
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  }
  expect(existsSync(`${prefix}/lib/node_modules/ccapi/node_modules/vitest`)).toBe(false);
});

it('says once what is missed without koffi', async () => {
  const findings = JSON.parse((await ccapi('doctor', '--json')).stdout);
  const [missed] = findings.filter(({ what }: { what: string }) => what === 'system calls');
  expect([missed.fine, missed.says]).toEqual([false, expect.stringContaining('koffi is missing: ')]);
  const launcher = start(`${prefix}/bin/ccapi-launcher`, ['--listen', String(await freePort())], {
    ...identity,
    env: cleanEnvironment(env),
  });
  let [said, warned] = ['', ''];
  launcher.stderr?.on('data', (chunk: Buffer) => {
    warned += chunk;
  });
  launcher.stdout?.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  await eventually(() => said.includes('Now, in another terminal'));
  expect(warned.match(/koffi/g)).toHaveLength(1);
});

describeWith(['root'], 'without koffi a launcher of root’s', () => {
  it('serves no user, and says so', async () => {
    const args = ['--listen', String(await freePort()), `--directory=${temporaryDirectory()}/run`];
    const launcher = start(`${prefix}/bin/ccapi-launcher`, args, { env: cleanEnvironment() });
    let stderr = '';
    launcher.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    const [code] = await once(launcher, 'close');
    expect([code, stderr]).toEqual([2, expect.stringContaining('koffi is missing, or this is not Linux')]);
  });
});

it.each([
  ['CommonJS', 'cjs', "const { Context } = require('ccapi');"],
  ['an ES module', 'mjs', "import { Context } from 'ccapi';"],
])('is a library for %s', async (_, extension, first) => {
  const directory = temporaryDirectory();
  mkdirSync(`${directory}/node_modules`);
  await succeed('/bin/ln', ['-s', `${prefix}/lib/node_modules/ccapi`, `${directory}/node_modules/ccapi`]);
  const program = `${first}
    (async () => {
      const context = new Context();
      const ccache = await context.createCCache('by ${extension}', 'alice@R');
      console.log(await ccache.getName(), await ccache.getPrincipal());
      await ccache.destroy();
      await context.close();
    })();`;
  writeFileSync(`${directory}/program.${extension}`, program);
  const { stdout, stderr } = await run(process.execPath, [`${directory}/program.${extension}`], { ...identity, env });
  expect([stdout, stderr]).toEqual([`by ${extension} alice@R\n`, '']);
});
