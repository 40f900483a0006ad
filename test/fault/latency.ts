/** The bound for a victim of an attack: another user is answered within a second. */
export const WITHIN = 1000;

/**
 * The time that nine of ten requests took at the most, in milliseconds: on a machine that runs other tests beside it, single
 * ones say nothing of what is tried.
 */
export function ninthDecile(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.9)] ?? Number.POSITIVE_INFINITY;
}
