/** Something that a connection has a part in, and that has to know when the connection is gone. */
export interface Cancellable {
  /** The connection is gone: no reply can reach it any more. */
  cancel(): void;
}

/** A connection, as far as the model is concerned: what it has a part in, in the order in which it came to it. */
export interface Client {
  readonly cancellables: Set<Cancellable>;
}

/** A connection is gone: everything it had a part in is without it (proto/CCAPI.md#model). */
export function cancelAll({ cancellables }: Client): void {
  for (const cancellable of [...cancellables]) cancellable.cancel();
}
