// The manual says what the programs do: no setting, command or option is missing in it, and none is made up.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Kind } from '../../../etc/config/setting-types.ts';
import { settingNameInFile, settingNames, settingsTable } from '../../../etc/config/settings-table.ts';
import { cleanEnvironment, programs, run, succeed } from '../../setup/programs.ts';
import { describeWith } from '../../setup/requirements.ts';

const directory = `${import.meta.dirname}/../../../etc/share/man`;
const pages = { ccapi: 'ccapi.1', conf: 'ccapi.conf.5', launcher: 'ccapi-launcher.8', server: 'ccapi-server.8' };
const page = (name: keyof typeof pages) => readFileSync(`${directory}/${pages[name]}`, 'utf8');

/** The entries of a page's lists with names that match, each with all that stands up to the next one. */
function entries(text: string, name: RegExp): Map<string, string> {
  const parts = text.split(/^\.It /m).filter((part) => name.test(part));
  return new Map(parts.map((part) => [name.exec(part)?.[1] as string, part]));
}

describe('ccapi.conf(5)', () => {
  const described = entries(page('conf'), /^Cm (\w+) No =/);

  it('has every setting, in the order of the code, and no other', () => {
    expect([...described.keys()]).toEqual(settingNames.map(settingNameInFile));
  });

  it.each(settingNames)('has the default of %s', (name) => {
    const text = described.get(settingNameInFile(name)) as string;
    const { parse, default: initial } = settingsTable[name] as Kind<unknown> & { default: unknown };
    const said = /\.Sq (\S+) \.\n(?=\.It|\.El|$)/.exec(text.slice(text.indexOf('The default is\n')))?.[1];
    if (initial === undefined || (Array.isArray(initial) && initial.length === 0)) expect(said).toBeUndefined();
    else expect(parse(said as string, 0)).toEqual(initial);
  });
});

/** The options that a usage text has, as the manual writes them: `-A`, `--json`. */
function optionsIn(usage: string): string[] {
  return [...new Set(usage.match(/(?<![\w-])--?[a-zA-Z][\w-]*/g))];
}

function optionsOf(text: string): string[] {
  return [...new Set([...text.matchAll(/\bFl (-?\w[\w-]*)/g)].map(([, name]) => `-${name}`))];
}

describe('ccapi(1)', async () => {
  const usage = async (...command: string[]) =>
    succeed(process.execPath, [programs.ccapi, ...command, '--help'], { env: cleanEnvironment() });
  const commands = [...(await usage()).matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name as string);
  const described = entries(page('ccapi'), /^Cm (\w+)(?=[ \n])/);

  it('has every command, and no other', () => {
    expect([...described.keys()].sort()).toEqual([...commands].sort());
  });

  it.each(commands)('has every option of %s, and no other', async (command) => {
    const whole = await usage(command);
    // The last paragraph is the example.
    const options = optionsIn(whole.slice(0, whole.lastIndexOf('\n\n')));
    // What an option does is a list of its own; its entries follow.
    const [text = ''] = page('ccapi')
      .slice(page('ccapi').indexOf(described.get(command) as string))
      .split(/^\.(?:It Cm|Ss) /m);
    expect(optionsOf(text).sort()).toEqual(options.sort());
  });
});

describe.each(['launcher', 'server'] as const)('the page of ccapi-%s', (name) => {
  it('has every option that is no setting, and no other', async () => {
    const usage = await succeed(process.execPath, [programs[name], '--help'], { env: cleanEnvironment() });
    const settings = settingNames.map((key) => `--${settingNameInFile(key).replaceAll('_', '-')}`);
    const said = optionsOf(page(name)).filter((option) => option !== '--print-' && !settings.includes(option));
    const has = optionsIn(usage.replace(/\$XDG\S*/g, '')).filter((option) => !settings.includes(option));
    expect(said.sort()).toEqual([...new Set([...has, '--help'])].sort());
  });
});

describe('ccapi-launcher(8)', () => {
  it('has every name by which a client is refused, and no other', () => {
    const source = readFileSync(`${import.meta.dirname}/../../../proto/rendezvous.ts`, 'utf8');
    const [, union = ''] = /type RendezvousErrorCode =([^;]+);/.exec(source) ?? [];
    const names = [...union.matchAll(/'([a-z-]+)'/g)].map(([, name]) => name);
    const diagnostics = page('launcher').slice(page('launcher').indexOf('.Sh DIAGNOSTICS'));
    const said = [...diagnostics.matchAll(/^\.It Sy (.+)$/gm)].flatMap(([, line]) => (line as string).split(' , '));
    expect(said.sort()).toEqual(names.sort());
  });
});

/** The pages that are installed. */
const installed = readdirSync(directory);

/** A line without what keeps its words from being macros. */
function unescaped(line: string): string {
  return line.replaceAll('\\(dq', '"').replaceAll('\\&', '').replace(/ +/g, ' ');
}

/** The words of a page as a program shows it, in lines that need no hyphens; without head and foot, which are the program's own. */
async function shownBy(program: 'man' | 'mandoc', file: string): Promise<string[]> {
  const path = `${directory}/${file}`;
  const args = program === 'man' ? ['-l', path] : ['-T', 'utf8', '-O', 'width=900', path];
  const text = await succeed(`/usr/bin/${program}`, args, { env: { MANWIDTH: '900', LC_ALL: 'C.UTF-8' } });
  const lines = text.replace(/.[\b]/gu, '').replaceAll('—', '–').trim().split('\n');
  return lines.slice(1, -1).flatMap((line) => line.match(/\S+/g) ?? []);
}

describeWith(['mandoc', 'man-db'], 'man-db and mandoc', () => {
  it.each(installed)('show %s alike, and each heading and command as it is written', async (file) => {
    const words = await shownBy('man', file);
    expect(await shownBy('mandoc', file)).toEqual(words);
    const source = readFileSync(`${directory}/${file}`, 'utf8');
    // What a word of it would mean as a macro is not what it is.
    const whole = [...source.matchAll(/^\.(?:Sh|Ss|Dl) (.*)$/gm)].map(([, line]) => unescaped(line as string));
    for (const line of whole) expect(` ${words.join(' ')} `).toContain(` ${line} `);
  });
});

describeWith(['mandoc'], 'mandoc', () => {
  it.each(installed)('finds nothing wrong with %s', async (file) => {
    expect(await run('/usr/bin/mandoc', ['-T', 'lint', '-W', 'warning', `${directory}/${file}`])).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
  });
});
