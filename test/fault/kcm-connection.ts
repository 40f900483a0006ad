// KCM as a test speaks it: requests as bytes, and what came of them.
import { connect, type Socket } from 'node:net';
import type { Field } from '../../proto/fields.ts';
import { type OperationName, operations, VERSION } from '../../proto/kcm.ts';
import { parsePrincipal, writePrincipal } from '../../proto/principal.ts';
import { Writer } from '../../proto/writer.ts';

/** A connection that speaks KCM. */
export class KCMConnection {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  readonly #waiting: ((code: number | undefined) => void)[] = [];
  #closed = false;

  constructor(path: string) {
    this.#socket = connect(path);
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.#closed = true;
      for (const resolve of this.#waiting.splice(0)) resolve(undefined);
    });
    this.#socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      while (this.#received.length >= 12 && this.#received.length >= 8 + this.#received.readUInt32BE(0)) {
        this.#waiting.shift()?.(this.#received.readInt32BE(8));
        this.#received = this.#received.subarray(8 + this.#received.readUInt32BE(0));
      }
    });
  }

  /** Resolves with the code of the reply, or undefined where the connection ended before it. */
  ask(name: OperationName, request: Record<string, unknown>): Promise<number | undefined> {
    const args = new Writer();
    const layout: Record<string, Field<unknown>> = operations[name].request;
    for (const field in layout) {
      if (field === 'matching') args.bytes(matchingServer(request.matching as string));
      else layout[field]?.write(args, request[field]);
    }
    return this.send(operations[name].number, args.finish());
  }

  send(opcode: number, args: Buffer): Promise<number | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    this.#socket.write(
      new Writer(args.length + 8)
        .u32(args.length + 4)
        .u16(VERSION)
        .u16(opcode)
        .bytes(args)
        .finish(),
    );
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  end(): void {
    this.#socket.destroy();
  }
}

/** What matches a credential by its server alone (proto/KCM.md#matching-credentials). */
function matchingServer(server: string): Buffer {
  const writer = new Writer().u32(0x02);
  writePrincipal(writer, parsePrincipal(server));
  return writer.bytes(Buffer.alloc(16)).u8(0).u32(0).finish();
}
