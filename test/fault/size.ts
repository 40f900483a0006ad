/** How much a fault test does: little in CI, or all that was asked for with `npm run soak`. */
export function sized<T>(short: T, long: T): T {
  return process.env.CCAPI_SOAK ? long : short;
}

/** Numbers that are drawn by chance and come again with the same seed, which a failure shows. */
export function drawnFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    // A linear congruential generator: its high bits are good enough to choose by.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
