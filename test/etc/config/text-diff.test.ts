// What is shown of a change is what patch(1) makes of it.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { unifiedDiff } from '../../../etc/config/text-diff.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';
import { describeWith } from '../../setup/requirements.ts';

it('names the file, the lines around, and a file that is not there', () => {
  expect(unifiedDiff('/f', '1\n2\n3\n4\n5\n', '1\n2\n3\n4\nnew\n5\n')).toEqual([
    '--- /f',
    '+++ /f',
    '@@ -2,4 +2,5 @@',
    ' 2',
    ' 3',
    ' 4',
    '+new',
    ' 5',
  ]);
  expect(unifiedDiff('/f', '', 'a')).toEqual([
    '--- /dev/null',
    '+++ /f',
    '@@ -0,0 +1,1 @@',
    '+a',
    '\\ No newline at end of file',
  ]);
  expect(unifiedDiff('/f', 'a\n', 'a\n')).toEqual([]);
});

describeWith(['patch'], 'patch', () => {
  it('makes the new text of it', () => {
    const directory = temporaryDirectory();
    const text = fc.array(fc.constantFrom('a\n', 'b\n', '\n', 'c d\n')).map((lines) => lines.join(''));
    fc.assert(
      fc.property(text, text, (before, after) => {
        if (before === '' || after === '' || before === after) return;
        const file = `${directory}/f`;
        writeFileSync(file, before);
        const input = `${unifiedDiff('f', before, after).join('\n')}\n`;
        execFileSync('/usr/bin/patch', ['--quiet', '--no-backup-if-mismatch', '--fuzz=0', file], { input });
        expect(readFileSync(file, 'utf8')).toBe(after);
      }),
      { numRuns: 50 },
    );
  });
});
