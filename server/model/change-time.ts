/** The clock of a server: seconds since 1970, unsigned 32 bits. */
export type Clock = () => number;

/** The clock of this host. */
export const hostClock: Clock = () => Math.floor(Date.now() / 1000) >>> 0;

/**
 * The time of a further change: now, or one more than the last change where that is not in the past. So every change
 * has a time of its own, which runs ahead of the clock while several fall into a second (proto/CCAPI.md#change-times).
 */
export function bumped(last: number, now: number): number {
  return last < now ? now : (last + 1) >>> 0;
}
