import { CCAPIError } from '../../proto/errors.ts';
import { STATUS_REQUEST, type WorkerStatus } from '../../proto/status.ts';
import { Writer } from '../../proto/writer.ts';
import type { Session } from './session.ts';

/** A connection that asks for the worker's status. It does not count as a request, and so does not keep the worker. */
export class StatusSession implements Session {
  readonly #status: () => WorkerStatus;

  constructor(status: () => WorkerStatus) {
    this.#status = status;
  }

  answer(frame: Buffer): Buffer {
    if (frame.toString('latin1') !== STATUS_REQUEST) throw new CCAPIError('malformed', 'neither CCAPI nor KCM');
    const text = Buffer.from(JSON.stringify(this.#status()));
    return new Writer(4 + text.length).u32(text.length).bytes(text).finish();
  }

  close(): void {}
}
