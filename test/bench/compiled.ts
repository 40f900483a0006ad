import { spawnSync } from 'node:child_process';
import { temporaryDirectory } from '../setup/cleanup.ts';

/** A program of ours in C, or undefined where there is no compiler or library. */
export function compiled(name: string, library: string): string | undefined {
  const program = `${temporaryDirectory()}/${name}`;
  const source = `${import.meta.dirname}/${name}.c`;
  const { status } = spawnSync('cc', ['-O2', '-o', program, source, `-l${library}`], { stdio: 'ignore' });
  return status === 0 ? program : undefined;
}
