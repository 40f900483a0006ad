// The programs as they are installed: what runs is what the bundle says, on a Node that can run it, and without a debugger.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { Script } from 'node:vm';
import { beforeEach, describe, expect, it } from 'vitest';
import { eventually, start, temporaryDirectory } from '../setup/cleanup.ts';
import { cleanEnvironment, freePort, programs, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { workerDirectory } from '../setup/worker.ts';

const oldest = JSON.parse(readFileSync('package.json', 'utf8')).engines.node.replace('>=', '');
let directory: string;
let program: string;

beforeEach(() => {
  directory = temporaryDirectory();
  program = `${directory}/program.js`;
  copyFileSync('run-compiled.cjs', program);
});

const bundle = (word: string) => `(function(){process.stdout.write('${word}')})`;
const output = async (env: NodeJS.ProcessEnv = {}) => (await run(process.execPath, [program], { env })).stdout;

describe('compiled code', () => {
  /** A bundle that prints `source`, and beside it a file made for the bundle `text` with the code of one that prints `code`. */
  function install(source: string, text: string, code: string, edit = (header: string) => header): void {
    const built = readFileSync('dist/ccapi.bundle.js.compiled', 'latin1');
    const [first = ''] = built.split('\n');
    const header = edit(first.trimEnd().replace(/\d+$/, `${bundle(text).length}`));
    writeFileSync(`${directory}/program.bundle.js`, bundle(source));
    const compiled = new Script(bundle(code), { filename: `${directory}/program.bundle.js` }).createCachedData();
    writeFileSync(
      `${directory}/program.bundle.js.compiled`,
      Buffer.concat([Buffer.from(`${header} \n${bundle(text)}`), compiled]),
    );
  }

  // That code of another text runs where the file claims to fit shows that V8 takes what it is given.
  it('is run where it was made for this text by this Node', async () => {
    install('old', 'old', 'new');
    expect(await output()).toBe('new');
  });

  it('is not run once a letter of the bundle has changed, its length being the same', async () => {
    install('new', 'old', 'old');
    expect(await output()).toBe('new');
  });

  it.each([
    ['another processor', (header: string) => header.replace(process.arch, process.arch === 'x64' ? 'arm64' : 'x64')],
    ['another Node', (header: string) => header.replace(process.version, 'v20.0.0')],
    ['another V8', (header: string) => header.replace(process.versions.v8, '1.2.3')],
    ['another system', (header: string) => header.replace(process.platform, 'sunos')],
    ['pointers of another size', (header: string) => header.replace(/ [01] (?=\d+$)/, ' 2 ')],
    ['a text of another length', (header: string) => header.replace(/\d+$/, '5')],
    ['no known program', () => 'V8'],
  ])('is not run where it was made by or for %s', async (_, edit) => {
    install('old', 'old', 'new', edit);
    expect(await output()).toBe('old');
  });

  it.each(['', 'compiled', '\n'])('is not needed, nor whole: %j', async (rest) => {
    install('old', 'old', 'new');
    writeFileSync(`${directory}/program.bundle.js.compiled`, rest);
    expect(await output()).toBe('old');
  });

  it('is taken from the build', async () => {
    for (const name of ['ccapi', 'ccapi-launcher', 'ccapi-server']) {
      const [text, file] = ['', '.compiled'].map((end) => readFileSync(`dist/${name}.bundle.js${end}`, 'latin1'));
      const start = (file as string).indexOf('\n') + 1;
      expect(file?.startsWith(`compiled ${process.platform} ${process.arch} ${process.version} `)).toBe(true);
      expect(file?.slice(start, start + (text as string).length)).toBe(text);
    }
  });
});

describe('a Node that is too old', () => {
  it.each(['12.22.12', '18.19.0', '20.18.3'])(
    '%s is refused in one line, before anything is loaded',
    async (version) => {
      const preload = `${directory}/preload.cjs`;
      writeFileSync(preload, `Object.defineProperty(process.versions, 'node', { value: '${version}' });`);
      for (const name of ['ccapi', 'launcher', 'server'] as const) {
        const outcome = await run(process.execPath, ['-r', preload, programs[name], '--help']);
        expect(outcome).toMatchObject({ code: 1, stdout: '' });
        expect(outcome.stderr).toMatch(
          new RegExp(`^ccapi\\S*: needs Node ${oldest} or later, and this is ${version} \\(/.*\\)\n$`),
        );
      }
    },
  );

  it('can read the file that refuses it', () => {
    const text = readFileSync('run-compiled.cjs', 'utf8');
    // Optional chaining, ??, class fields, logical assignment and numeric separators came with Node 14 and later.
    expect(text.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '')).not.toMatch(/\?\.|\?\?|[|&]{2}=|#\w+[ (=;]|\d_\d|\bawait\b/);
    expect(text.indexOf("require('node:")).toBeGreaterThan(text.indexOf('process.exit(1)'));
    expect(readFileSync('.npmrc', 'utf8')).toContain('engine-strict=true\n');
  });

  it.each(['20.19.0', '22.0.0', '30.1.0'])('is not %s', async (version) => {
    const preload = `${directory}/preload.cjs`;
    writeFileSync(preload, `Object.defineProperty(process.versions, 'node', { value: '${version}' });`);
    expect((await run(process.execPath, ['-r', preload, programs.ccapi, '--help'])).code).toBe(0);
  });
});

describeWith(['Linux'], 'the debugger of Node', () => {
  /** The ports on which sockets listen that a process has open. */
  async function listeningPorts(pid: number): Promise<number[]> {
    const { stdout } = await run('/bin/sh', ['-c', `ls -l /proc/${pid}/fd; cat /proc/${pid}/net/tcp`]);
    const own = new Set([...stdout.matchAll(/socket:\[(\d+)\]/g)].map(([, inode]) => inode));
    return stdout.split('\n').flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const isListening = fields[3] === '0A' && own.has(fields[9] as string);
      return isListening ? [Number.parseInt((fields[1] as string).split(':')[1] as string, 16)] : [];
    });
  }

  function catchesSIGUSR1(pid: number): boolean {
    const [, caught = '0'] = /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return (BigInt(`0x${caught}`) & (1n << 9n)) !== 0n;
  }

  /** Starts a program and waits for what it prints once it serves. Node says on standard error that a debugger opens. */
  async function started(args: string[], env: NodeJS.ProcessEnv = {}): Promise<{ pid: number; stderr(): string }> {
    const child = start(process.execPath, args, { env: cleanEnvironment(env), stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${said}`)));
    });
    return { pid: child.pid as number, stderr: () => said };
  }

  it.each(['server', 'launcher'] as const)(
    'is not opened in a %s by SIGUSR1, of which it takes no notice',
    async (name) => {
      const port = await freePort();
      const base = workerDirectory();
      const how = name === 'launcher' ? ['--listen', `127.0.0.1:${port}`] : [];
      const { pid, stderr } = await started([programs[name], ...how, `--directory=${base}`]);
      for (let i = 0; i < 10; i++) process.kill(pid, 'SIGUSR1');
      const env = { CCAPI_DIRECTORY: base, CCAPI_PORT: String(port), CCAPI_AUTOSTART: 'no' };
      expect((await run(process.execPath, [programs.ccapi, 'path'], { env })).code).toBe(0);
      expect(await listeningPorts(pid)).toEqual(name === 'launcher' ? [port] : []);
      expect(stderr()).not.toMatch(/debugger|inspector/i);
    },
  );

  it('is closed again where it was opened before the first statement: by NODE_OPTIONS', async () => {
    const port = await freePort();
    const args = [programs.launcher, '--listen', `127.0.0.1:${port}`, `--directory=${directory}/run`];
    const { pid, stderr } = await started(args, { NODE_OPTIONS: '--inspect=0' });
    expect(stderr()).toContain('Debugger listening');
    expect(await listeningPorts(pid)).toEqual([port]);
  });

  it('is closed again where it was opened before the first statement: by signals from the start of the process on', async () => {
    for (let i = 0; i < 5; i++) {
      const port = await freePort();
      const args = [programs.launcher, '--listen', `127.0.0.1:${port}`, `--directory=${directory}/run`];
      const child = start(process.execPath, args, { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
      let [isReady, said] = [false, ''];
      child.stdout?.once('data', () => {
        isReady = true;
      });
      child.stderr?.on('data', (chunk: Buffer) => {
        said += chunk;
      });
      // Until Node has its handler the signal ends the process. It has one some milliseconds before the first statement.
      while (!catchesSIGUSR1(child.pid as number)) expect(child.exitCode).toBeNull();
      child.kill('SIGUSR1');
      await eventually(() => isReady || !child.kill('SIGUSR1'));
      await eventually(() => said.includes('listening on 127.0.0.1'));
      expect(await listeningPorts(child.pid as number)).toEqual([port]);
    }
  });
});
