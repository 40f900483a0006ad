import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { CCAPIError } from '../proto/errors.ts';

/** A stream of bytes in both directions that need not keep its program alive. */
export type ByteStream = Duplex & { ref(): unknown; unref(): unknown };

/** How a program ended. */
export interface ChildExit {
  code: number | undefined;
  /** The last of what it said on standard error. */
  said: string;
}

/** How much of what a program says on standard error is kept, in characters. */
const MOST_SAID = 4000;

/** The standard input and output of a program, as one stream. With the stream the program ends, and the reverse. */
export class ChildStream extends Duplex {
  readonly #child: ChildProcess;
  readonly #input: Socket;
  readonly #output: Socket;
  /** Resolves when the program has ended, or could not be started. */
  readonly ended: Promise<ChildExit>;

  constructor([program, ...args]: readonly [string, ...string[]], env: NodeJS.ProcessEnv) {
    super({ allowHalfOpen: true });
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve({ code: undefined, said: error.message }));
      child.once('close', (code) => resolve({ code: code ?? undefined, said: said.trim() }));
    });
    // Node makes no pipes where a descriptor is wanting, and tells that by the event alone.
    if (!child.stdin) throw new CCAPIError('ccErrServerUnavailable', `${program}: no descriptor is left for its pipes`);
    this.#child = child;
    [this.#input, this.#output] = [child.stdin as Socket, child.stdout as Socket];
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-MOST_SAID);
    });
    this.#output.on('data', (chunk) => {
      if (!this.push(chunk)) this.#output.pause();
    });
    this.#output.once('end', () => this.push(null));
    this.#input.on('error', (error) => this.destroy(error));
    this.ended.then(() => this.destroy());
  }

  override _read(): void {
    this.#output.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#input.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#input.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#input.destroy();
    this.#output.destroy();
    this.#child.kill();
    done(error);
  }

  ref(): void {
    for (const each of this.#parts()) each.ref();
  }

  unref(): void {
    for (const each of this.#parts()) each.unref();
  }

  #parts(): { ref(): unknown; unref(): unknown }[] {
    return [this.#child, this.#input, this.#output, this.#child.stderr as Socket];
  }
}
