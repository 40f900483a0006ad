// What is read of other users' processes, which can say of themselves what they like.
import { expect, it } from 'vitest';
import { commandLineOf } from '../../../etc/host/processes.ts';
import { beginningOf } from '../../../etc/host/read-or-nothing.ts';
import { start } from '../../setup/cleanup.ts';
import { describeWith } from '../../setup/requirements.ts';

describeWith(['Linux'], 'a command line', () => {
  it('is read whole where it has a usual length', () => {
    const words = ['-e', 'setInterval(() => {}, 1000)', 'x'.repeat(60_000), 'é', ''];
    const { pid } = start(process.execPath, words);
    expect(commandLineOf(pid as number)).toEqual([process.execPath, ...words.slice(0, 3), 'Ã©', '']);
  });

  it('is not read to its end where that may be far', () => {
    const { pid } = start(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'x'.repeat(100_000)]);
    const words = commandLineOf(pid as number);
    expect(words.slice(0, 2)).toEqual([process.execPath, '-e']);
    expect(words.join(' ').length).toBeLessThanOrEqual(65_536);
  });

  it('is none where the process has ended', () => {
    expect(commandLineOf(2 ** 30)).toEqual([]);
  });
});

it('of a file without an end as much is read as is wanted', () => {
  expect([0, 1, 4096, 10_000].map((most) => beginningOf('/dev/zero', most).length)).toEqual([0, 1, 4096, 10_000]);
});
