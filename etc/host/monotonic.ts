/**
 * Milliseconds by the monotonic clock, since any moment before. `performance.now()` does it too, but the module behind
 * `performance` takes half a millisecond of each program's start. Source: process.hrtime() of Node.
 */
export function monotonic(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
