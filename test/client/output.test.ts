// What other programs and users have named reaches a terminal as text, whichever command prints it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { coloured, overwriteLine, print, printJSON, printLines, warn } from '../../client/cli/command.ts';
import { writeCCacheFile } from '../../proto/ccache-file.ts';
import { afterwards, temporaryDirectory } from '../setup/cleanup.ts';
import { harmful, hostileText } from '../setup/hostile-text.ts';
import { ccapi, freePort } from '../setup/programs.ts';

describe('whatever text it is given', () => {
  let written: string[];

  beforeEach(() => {
    written = [];
    for (const stream of [process.stdout, process.stderr]) {
      vi.spyOn(stream, 'write').mockImplementation((text) => {
        written.push(String(text));
        return true;
      });
    }
  });

  afterEach(() => void vi.restoreAllMocks());

  it.each<[string, (text: string) => void, number]>([
    ['print', (text) => print(text, coloured('red', text)), 1],
    ['printLines', (text) => printLines([text, text]), 2],
    ['printJSON', (text) => printJSON({ [text]: text }, 0), 1],
    ['warn', (text) => warn(text), 1],
  ])('%s writes whole lines of harmless characters', (_, output, lines) => {
    fc.assert(
      fc.property(hostileText, (text) => {
        written = [];
        output(text);
        const all = written.join('');
        expect(all.split('\n')).toHaveLength(lines + 1);
        expect(all.replaceAll('\n', '')).not.toMatch(harmful);
      }),
    );
  });

  it('printJSON has more lines only between its values', () => {
    printJSON({ a: ['x\ny', '\u2028'] });
    expect(written.join('')).toBe('{\n  "a": [\n    "x\\ny",\n    "\\u2028"\n  ]\n}\n');
  });

  it('a line that is written over has nothing but its own control characters', () => {
    overwriteLine('a\x1bb\n');
    expect(written).toEqual(['\ra\\x1bb\\x0a\x1b[K']);
  });
});

it('no file of the client but one writes to standard output or standard error', () => {
  const files = readdirSync('client', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const writing = /\b(stdout|stderr)\b(?!.*child)|\bconsole\b|\bwriteSync\b|\/dev\/(tty|std)|emitWarning/;
  const found = files.filter((name) => {
    const lines = readFileSync(join('client', name), 'utf8').split('\n');
    // What a child says is read, and not written.
    return lines.some((line) => writing.test(line.replace(/\bchild\.(stdout|stderr)|#child\.stderr/g, '')));
  });
  expect(found).toEqual(['cli/command.ts']);
});

describe('a hostile', () => {
  const name = 'a\x1b]0;owned\x07\n\u009b31m\u202eevil\u2028\u200b';
  const principal = { nameType: 1, realm: 'R\x1b[2J', components: [name, '\udcff'] };
  const shown = 'a\\x1b]0;owned\\x07\\n\\u{9b}31m\\u{202e}evil\\u{2028}\\u{200b}';

  it('principal of a file is shown as text by import, copy and list, and is the same principal all the while', async () => {
    const [directory, other] = [temporaryDirectory(), temporaryDirectory()];
    const file = `${directory}/cc`;
    writeFileSync(file, writeCCacheFile({ otherTags: [], principal, credentials: [] }));
    const env = { CCAPI_DIRECTORY: directory, CCAPI_PORT: '1' };
    const outcomes = [await ccapi(['import', `FILE:${file}`], { env })];
    const there = `exec:env CCAPI_DIRECTORY=${other} CCAPI_PORT=1 ${process.execPath} dist/ccapi.js connect`;
    outcomes.push(await ccapi(['copy', '.', there.replace('dist/', `${process.cwd()}/dist/`)], { env }));
    for (const args of [['list'], ['list', '-l'], ['list', '-A'], ['list', '--json']]) {
      outcomes.push(await ccapi(args, { env }));
      outcomes.push(await ccapi(args, { env: { ...env, CCAPI_DIRECTORY: other } }));
    }
    for (const { code, stdout, stderr } of outcomes) {
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout.replaceAll('\n', '')).not.toMatch(harmful);
    }
    for (const { stdout } of outcomes.slice(0, -2)) expect(stdout).toContain(shown);
    const listed = outcomes.slice(-2).map(({ stdout }) => JSON.parse(stdout)[0].principal);
    expect(listed[0]).toContain('\u202eevil\u2028');
    expect(listed[1]).toBe(listed[0]);
  });

  it.each([
    ['refusal', `CCAPI/1 error code=denied message=no \x1b[31m\u009b\u202e\n`, 'no \\x1b[31m\\u{9b}\\u{202e}'],
    ['path', `CCAPI/1 ok path=/tmp/\x1b[31m\u202e/S\n`, '/tmp/\\x1b[31m\\u{202e}'],
    ['answer', `\x1b[31m\u202e\n`, '"\\u001b[31m\\u{202e}"'],
  ])('%s of a launcher is quoted as text', async (_, answer, said) => {
    const port = await freePort();
    const server = createServer((socket) => socket.end(answer));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    afterwards(() => void server.close());
    const { code, stdout, stderr } = await ccapi(['path', '--explain'], {
      env: { CCAPI_PORT: String(port), CCAPI_DIRECTORY: temporaryDirectory(), CCAPI_AUTOSTART: 'no' },
    });
    expect(code).toBe(1);
    expect(stderr).toContain(said);
    expect(`${stdout}${stderr}`.replaceAll('\n', '')).not.toMatch(harmful);
  });

  it('argument is quoted as text', async () => {
    for (const args of [['list', `--\x1b\u202e`], ['\x1b\u202e'], ['import', '\x1b:\u202e'], ['list', '-c', '\x1b']]) {
      const { stdout, stderr } = await ccapi(args, { env: { CCAPI_DIRECTORY: temporaryDirectory(), CCAPI_PORT: '1' } });
      expect(stdout).toBe('');
      expect(stderr.replaceAll('\n', '')).not.toMatch(harmful);
    }
  });
});

it('env quotes for csh what csh would take from its history', async () => {
  const base = `${temporaryDirectory()}/a!b`;
  const { stdout } = await ccapi(['env', '-c'], { env: { CCAPI_DIRECTORY: base, CCAPI_PORT: '1' } });
  expect(stdout).toContain(`setenv KRB5_CONFIG '${base.replace('!', '\\!')}/${process.getuid?.()}/krb5.conf:`);
});
