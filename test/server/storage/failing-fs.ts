// node:fs of which a call or two fail: vi.mock('node:fs', async (original) => failing(await original())), with `failing` imported there.

/** How many calls succeed before so many fail, with what these fail, and which the last of them was. */
export const fault = { after: Number.POSITIVE_INFINITY, times: 1, code: '', call: '' };

/** The calls that change what is on the medium. */
export const changing = [
  'openSync',
  'writeSync',
  'renameSync',
  'linkSync',
  'unlinkSync',
  'rmSync',
  'ftruncateSync',
] as const;

const names = [...changing, 'fsyncSync', 'fdatasyncSync', 'readFileSync'] as const;

export function failing(fs: typeof import('node:fs')): typeof fs {
  const replace =
    (name: string, call: (...args: unknown[]) => unknown) =>
    (...args: unknown[]) => {
      const left = fault.after--;
      if (left > 0 || left <= -fault.times) return call(...args);
      fault.call = name;
      throw Object.assign(new Error(`${fault.code}: failed`), { code: fault.code });
    };
  return { ...fs, ...Object.fromEntries(names.map((name) => [name, replace(name, fs[name] as never)])) };
}

/** Has calls fail while something is done, after so many that succeed. */
export function whileFailing(after: number, code: string, action: () => void, times = 1): void {
  Object.assign(fault, { after, times, code, call: '' });
  try {
    action();
  } finally {
    fault.after = Number.POSITIVE_INFINITY;
  }
}
