import { chmodSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { errorCodes } from '../../proto/errors.ts';
import { operationNumbered } from '../../proto/kcm.ts';
import { afterwards, eventually } from './cleanup.ts';

/** A socket that leads to a worker's, and what went through it. */
export interface Trace {
  path: string;
  /**
   * What has happened since the last time, once every connection is closed: `A getPrincipal NOFILE`, a line a request,
   * with the letter of its connection in the order in which they were made, and the error, if it is one.
   */
  taken(): Promise<string[]>;
  /** All replies so far, each whole, on each connection in the order in which they were made. */
  replies: Buffer[][];
}

const shortNames = new Map(
  Object.entries(errorCodes).map(([name, { code }]) => [code as number, name.replace(/^KRB5_(CC_|FCC_)?/, '')]),
);

/** Begins to listen at a path, for a worker that listens at another. */
export async function startTrace(path: string, worker: string): Promise<Trace> {
  let lines: string[] = [];
  const replies: Buffer[][] = [];
  let connections = 0;
  let open = 0;
  const server = createServer((near) => {
    const letter = String.fromCharCode(65 + connections++);
    const far = connect(worker);
    open++;
    near.on('close', () => open--);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    const asked: string[] = [];
    const replied: Buffer[] = [];
    replies.push(replied);
    relay(near, far, (frame) => asked.push(operationNumbered(frame.readUInt16BE(6)) ?? `${frame.readUInt16BE(6)}`), 4);
    relay(
      far,
      near,
      (frame) => {
        replied.push(frame);
        const code = frame.readInt32BE(8);
        lines.push([letter, asked.shift(), ...(code === 0 ? [] : [shortNames.get(code) ?? code])].join(' '));
      },
      8,
    );
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0o666);
  afterwards(() => void server.close());
  const taken = async () => {
    await eventually(() => open === 0);
    const result = lines;
    [lines, connections] = [[], 0];
    return result;
  };
  return { path, taken, replies };
}

/** Passes bytes on, and shows each whole frame before it goes; its length word counts from `counted` on. */
function relay(from: Socket, to: Socket, show: (frame: Buffer) => void, counted: number): void {
  let seen = Buffer.alloc(0);
  from.on('data', (chunk) => {
    seen = Buffer.concat([seen, chunk]);
    while (seen.length >= 4 && seen.length >= counted + seen.readUInt32BE(0)) {
      const length = counted + seen.readUInt32BE(0);
      show(seen.subarray(0, length));
      seen = seen.subarray(length);
    }
    to.write(chunk);
  });
  from.on('end', () => to.end());
}
