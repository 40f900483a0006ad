// Two paths change places in one step, or it is said why they did not.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { exchangeNames } from '../../../etc/host/exchange-names.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';
import { describeWith } from '../../setup/requirements.ts';

describeWith(['Linux'], 'two names', () => {
  let directory: string;
  let one: string;
  beforeEach(() => {
    directory = temporaryDirectory();
    one = `${directory}/one`;
    writeFileSync(one, 'of the one');
  });

  it('change places', () => {
    const other = `${directory}/other`;
    writeFileSync(other, 'of the other');
    expect(exchangeNames(one, other)).toBe(true);
    expect([one, other].map((path) => readFileSync(path, 'utf8'))).toEqual(['of the other', 'of the one']);
    expect(readdirSync(directory)).toEqual(['one', 'other']);
  });

  it('stay where one is missing, and the error says so', () => {
    const missing = expect.objectContaining({ code: 'ENOENT', syscall: 'renameat2' });
    expect(() => exchangeNames(one, `${directory}/none`)).toThrow(missing);
    expect(readFileSync(one, 'utf8')).toBe('of the one');
  });

  it('stay where the system has no such exchange, as of a directory with what is in it', () => {
    mkdirSync(`${directory}/outer/inner`, { recursive: true });
    expect(exchangeNames(`${directory}/outer`, `${directory}/outer/inner`)).toBe(false);
  });
});
