// The completions of the shells, in the shells: they offer what the command takes, and the names of the ccaches.
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { endProgramsBelow, temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, programs, run, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

const files = `${import.meta.dirname}/../../dist/completions`;
let env: NodeJS.ProcessEnv;
let commands: string[];
let options: Map<string, string[]>;

beforeAll(async () => {
  const directory = temporaryDirectory();
  mkdirSync(`${directory}/run`, { mode: 0o700 });
  writeFileSync(`${directory}/ccapi`, `#!/bin/sh\nexec ${process.execPath} ${programs.ccapi} "$@"\n`);
  chmodSync(`${directory}/ccapi`, 0o755);
  env = {
    PATH: `${directory}:/usr/bin:/bin`,
    CCAPI_DIRECTORY: `${directory}/run`,
    CCAPI_PORT: '1',
    HOME: directory,
    TERM: 'dumb',
  };
  for (const name of ['work', 'home']) await makeCCache(name);
  const usage = (...args: string[]) => succeed(process.execPath, [programs.ccapi, ...args, '--help'], { env });
  commands = [...(await usage()).matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name as string);
  const found = await Promise.all(
    commands.map(async (command) => {
      const whole = await usage(command);
      const text = whole.slice(0, whole.lastIndexOf('\n\n'));
      return [command, [...new Set([...(text.match(/(?<![\w-])--?[a-zA-Z][\w-]*/g) ?? []), '--help'])]] as const;
    }),
  );
  options = new Map(found.map(([command, names]) => [command, [...names]]));
  afterAll(() => endProgramsBelow(directory));
});

/** A ccache of this name: an import makes one. */
async function makeCCache(name: string): Promise<void> {
  const program = `const { Context } = require(${JSON.stringify(programs.library)});
    (async () => { const context = new Context(); await context.createCCache('${name}', '${name}@R'); await context.close(); })();`;
  await succeed(process.execPath, ['-e', program], { env });
}

const lines = (text: string) => text.split('\n').filter((line) => line !== '');

it('bash offers the commands, the options of each, and names', async () => {
  const offered = async (...words: string[]) => {
    const script = `. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ccapi; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return lines((await run('/bin/bash', ['-c', script, `${files}/ccapi.bash`, 'ccapi', ...words], { env })).stdout);
  };
  expect((await offered('')).filter((word) => word !== '--help').sort()).toEqual([...commands].sort());
  expect(await offered('sta')).toEqual(['status']);
  for (const [command, names] of options) {
    const words = (await offered(command, '-')).filter((word) => word !== '--');
    expect([command, words.sort()]).toEqual([command, names.sort()]);
  }
  expect(await offered('list', '-c', '')).toEqual(['work', 'home']);
  expect(await offered('destroy', '-c', 'h')).toEqual(['home']);
});

describeWith(['fish'], 'fish', () => {
  it('offers the commands, the options of each, and names', async () => {
    const offered = async (line: string) => {
      const script = `source ${files}/ccapi.fish; complete -C ${JSON.stringify(line)}`;
      const { stdout } = await run('/usr/bin/fish', ['--no-config', '-c', script], { env });
      return lines(stdout).map((text) => text.split('\t')[0]);
    };
    expect((await offered('ccapi ')).sort()).toEqual([...commands].sort());
    for (const [command, names] of options) {
      if (command === 'exec') continue;
      const words = [...(await offered(`ccapi ${command} -`)), ...(await offered(`ccapi ${command} --`))];
      expect([command, [...new Set(words)].sort()]).toEqual([command, names.sort()]);
    }
    expect((await offered('ccapi list -c ')).sort()).toEqual(['home', 'work']);
    expect(await offered('ccapi move wo')).toEqual(['work']);
  });
});

describeWith(['zsh'], 'zsh', () => {
  it('completes a command, an option and a name', async () => {
    const typed = async (line: string, whole: string) => {
      const script = `zmodload zsh/zpty; zpty z zsh -f -i
        zpty -w z "PS1=; unsetopt beep; fpath=(${files} \\$fpath); autoload -Uz compinit; compinit -u -D; echo is'-'ready"
        zpty -r z seen '*is-ready*'
        zpty -w -n z "${line}"$'\\t'
        zpty -r z seen '*${whole}*'; print "$seen"; zpty -d z`;
      return (await run('/usr/bin/timeout', ['20', '/usr/bin/zsh', '-f', '-c', script], { env })).stdout;
    };
    for (const command of commands.filter((name) => !['exec', 'export', 'connect', 'config', 'copy'].includes(name))) {
      expect(await typed(`ccapi ${command.slice(0, -1)}`, `ccapi ${command}`)).toContain(`ccapi ${command}`);
    }
    expect(await typed('ccapi status --all', '--all-users')).toContain('ccapi status --all-users');
    expect(await typed('ccapi list -c wo', 'list -c work')).toContain('ccapi list -c work');
  });
});

it('nothing of it starts a server', async () => {
  const directory = temporaryDirectory();
  const script = `. "$0"; COMP_WORDS=(ccapi list -c ""); COMP_CWORD=3; _ccapi; echo "\${#COMPREPLY[@]}"`;
  const elsewhere = cleanEnvironment({ ...env, CCAPI_DIRECTORY: `${directory}/run` });
  expect((await run('/bin/bash', ['-c', script, `${files}/ccapi.bash`], { env: elsewhere })).stdout).toBe('0\n');
  expect(existsSync(`${directory}/run`)).toBe(false);
  expect((await ccapi(['status'], { env: elsewhere })).code).toBe(1);
});
