/** What the figures stand on; it is said with them, since a figure alone explains nothing. */
export const floors = `## Where it ends

- Bare Node echoes 56,000 requests of a store's size in a second over a UNIX socket, client and server on one core. That is
  the floor of everything that is one request: reading the principal is at it, storing and looking up are at half of it.
  Heimdal's kcm, in C, answers twice as many; it is overtaken where its own lists get long.
- A walk over ccaches is a new connection for each in libkrb5, and a connection is what costs Node most.
- MIT's client reads no reply above 10 MB: from some 9,000 credentials of this size on it lists them one by one.
- A cold start is two starts of Node, the reading of two bundles (5 ms each), and koffi (10 ms in the worker, and as much in
  a launcher of root's that is given pipes), by which the kernel is asked who is there.
- A worker with nothing in it is 4 MB above bare Node: its program and koffi. What a busy while leaves is the engine's.`;
