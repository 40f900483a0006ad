// Whether a descriptor has input is known without reading of it; where the kernel cannot be asked, that is told apart.
import { closeSync, writeSync } from 'node:fs';
import { afterEach, expect, it, vi } from 'vitest';
import { hasInput, socketPair } from '../../../etc/host/fd-passing.ts';
import { describeWith } from '../../setup/requirements.ts';

const { platform } = process;
afterEach(() => void Object.defineProperty(process, 'platform', { value: platform }));

describeWith(['Linux'], 'a descriptor', () => {
  it('has input once bytes have come, and once its other end is closed', () => {
    const [near, far] = socketPair() as [number, number];
    expect(hasInput(near)).toBe(false);
    writeSync(far, 'x');
    expect([hasInput(near), hasInput(near), hasInput(far)]).toEqual([true, true, false]);
    closeSync(near);
    expect(hasInput(far)).toBe(true);
    closeSync(far);
  });
});

it('is not asked on a system of which the calls are not known', async () => {
  Object.defineProperty(process, 'platform', { value: 'darwin' });
  vi.resetModules();
  const there = await import('../../../etc/host/fd-passing.ts');
  expect(there.hasInput(0)).toBeUndefined();
});
