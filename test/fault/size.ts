/** How much a fault test does: little in CI, or all that was asked for with `npm run soak`. */
export function sized<T>(short: T, long: T): T {
  return process.env.CCAPI_SOAK ? long : short;
}
