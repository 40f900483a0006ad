import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeCCacheFile } from '../../proto/ccache-file.ts';
import { fromCredentialV5 } from '../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { credentialFor } from '../server/model/model.ts';
import { endProgramsBelow, temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, programs, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

const directory = temporaryDirectory();
const env = { CCAPI_DIRECTORY: `${directory}/run`, CCAPI_PORT: '1' };

/** What a command prints on a terminal, where the character that begins a colour is written as ESC. */
async function onTerminal(line: string, more: NodeJS.ProcessEnv = {}): Promise<string> {
  const { stdout } = await run(
    '/usr/bin/script',
    ['-qec', `${process.execPath} ${programs.ccapi} ${line}`, '/dev/null'],
    { env: cleanEnvironment({ ...env, TERM: 'xterm', ...more }) },
  );
  return stdout.replaceAll('\x1b', 'ESC');
}

describeWith(['Linux'], 'colours', () => {
  beforeAll(async () => {
    const credentials = [fromCredentialV5(credentialFor('host/a@R', 2))];
    const file = writeCCacheFile({ otherTags: [], principal: parsePrincipal('a@R'), credentials });
    writeFileSync(`${directory}/file`, file);
    expect((await ccapi(['import', `${directory}/file`], { env })).code).toBe(0);
  });
  afterAll(() => endProgramsBelow(directory));

  it('show on a terminal what has expired, and what the doctor found', async () => {
    expect(await onTerminal('list')).toMatch(/ESC\[31m.*host\/a@R\S*ESC\[39m/);
    expect(await onTerminal('list -l')).toMatch(/ESC\[31ma@R .*ESC\[39m/);
    expect(await onTerminal('doctor')).toContain('ESC[32mfine');
  });

  it.each([
    ['NO_COLOR is set', { NO_COLOR: '1' }],
    ['the terminal has none', { TERM: 'dumb' }],
  ])('are not there where %s', async (_, more) => expect(await onTerminal('list', more)).not.toContain('ESC['));

  it('are not there where the output goes elsewhere', async () => {
    const { stdout } = await ccapi(['list'], { env: { ...env, TERM: 'xterm' } });
    expect([stdout.includes('host/a@R'), stdout.includes('\x1b')]).toEqual([true, false]);
  });
});
