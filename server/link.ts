import { closeSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { LINK_SOCKET_NAME } from '../etc/config/paths.ts';
import { markSocket, receiveBytes, receiveDescriptor } from '../etc/host/fd-passing.ts';
import type { Log } from '../etc/host/log.ts';
import { peerCredentials } from '../etc/host/peer-credentials.ts';
import { descriptorOf, pauseHandle } from '../etc/host/socket-handle.ts';
import {
  LENGTH_SIZE,
  type LinkRole,
  MAX_ALREADY_READ,
  MAX_GREETING,
  parseGreeting,
  READY,
  REFUSED,
  TAKEN,
} from '../proto/link.ts';
import { InputSocket } from './input-socket.ts';
import { PublishedSocket } from './published-socket.ts';

/** How long the two connections of a link may take to say so, in milliseconds. */
const DEADLINE = 1000;

/** How long an answer may wait for others, in milliseconds, and how many are sent at once at the latest. */
const ANSWER_DELAY = 2;
const MOST_ANSWERS = 16;

const NEWLINE = 0x0a;

/** What takes a connection that was given, and what has been read of it; the latter is overwritten afterwards. */
export type Take = (socket: InputSocket, read: Buffer) => void;

/**
 * Listens in a directory for the worker `id`, and takes connections that came to the machine's front door: a launcher gives
 * them over a link, as `proto/link.ts` has it. Only root and the owner may make one; and each connection has to be the
 * owner's, by the kernel's word.
 */
export class LinkPort {
  readonly #take: Take;
  readonly #log: Log;
  readonly #uid = process.getuid?.() as number;
  /** First halves of links, until the second has said which it is. */
  readonly #halves = new Map<string, Socket>();
  readonly #links = new Set<Link>();
  #socket: PublishedSocket | undefined;

  private constructor(take: Take, log: Log) {
    this.#take = take;
    this.#log = log;
  }

  static async open(directory: string, id: string, take: Take, log: Log): Promise<LinkPort> {
    const port = new LinkPort(take, log);
    const newServer = () => createServer({ allowHalfOpen: true }, (socket) => port.#greet(socket));
    port.#socket = await PublishedSocket.listen(newServer, directory, LINK_SOCKET_NAME, id);
    return port;
  }

  get socket(): PublishedSocket {
    return this.#socket as PublishedSocket;
  }

  /** Takes nothing more. A launcher offers to the next worker what has no acknowledgement. */
  close(): void {
    for (const link of this.#links) link.close();
  }

  async #greet(socket: Socket): Promise<void> {
    socket.on('error', () => socket.destroy());
    const from = peerCredentials(descriptorOf(socket))?.uid;
    if (from !== 0 && from !== this.#uid) {
      socket.destroy();
      return this.#log.refusal(`link: uid ${from ?? 'unknown'} may not hand anything over`);
    }
    const greeted = parseGreeting(await firstLine(socket));
    if (!greeted) return void socket.destroy();
    const { role, id } = greeted;
    const other: LinkRole = role === 'lengths' ? 'descriptors' : 'lengths';
    const half = this.#halves.get(`${other} ${id}`);
    if (!half) return this.#await(`${role} ${id}`, socket);
    this.#halves.delete(`${other} ${id}`);
    half.setTimeout(0);
    this.#begin(role === 'lengths' ? half : socket, role === 'lengths' ? socket : half);
  }

  #await(key: string, socket: Socket): void {
    this.#halves.set(key, socket);
    socket.once('close', () => this.#halves.delete(key));
    socket.setTimeout(DEADLINE, () => socket.destroy());
  }

  #begin(descriptors: Socket, lengths: Socket): void {
    const link = new Link(descriptors, lengths, (descriptor, read) => this.#adopt(descriptor, read));
    this.#links.add(link);
    lengths.once('close', () => this.#links.delete(link));
  }

  #adopt(descriptor: number, read: Buffer): typeof TAKEN | typeof REFUSED {
    const owner = peerCredentials(descriptor)?.uid;
    if (owner !== this.#uid) {
      closeSync(descriptor);
      this.#log.refusal(`link: a connection of uid ${owner ?? 'unknown'} was refused`);
      return REFUSED;
    }
    let socket: InputSocket;
    try {
      markSocket(descriptor);
      socket = InputSocket.ofDescriptor(descriptor);
    } catch {
      // A socket of another kind.
      closeSync(descriptor);
      return REFUSED;
    }
    // Its request is there, or the launcher would not have sent it yet: it need not go once round the event loop.
    const first = read.length > 0 ? read : receiveBytes(descriptor);
    this.#take(socket, first);
    first.fill(0);
    return TAKEN;
  }
}

/** The two connections of one link. That of the descriptors is not read by Node, which would drop them. */
class Link {
  readonly #descriptors: Socket;
  readonly #lengths: Socket;
  readonly #adopt: (descriptor: number, read: Buffer) => number;
  #received: Buffer = Buffer.alloc(0);
  #answers: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(descriptors: Socket, lengths: Socket, adopt: (descriptor: number, read: Buffer) => number) {
    this.#descriptors = descriptors;
    this.#lengths = lengths;
    this.#adopt = adopt;
    pauseHandle(descriptors);
    descriptors.once('close', () => lengths.destroy());
    lengths.once('close', () => this.close());
    lengths.once('end', () => this.close());
    lengths.on('data', (chunk: Buffer) => this.#receive(chunk));
    lengths.resume();
    descriptors.write(READY);
  }

  close(): void {
    if (this.#answers.length > 0) this.#answer();
    this.#lengths.destroy();
    this.#descriptors.destroy();
  }

  /** Takes each connection that has come. */
  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (let read = this.#next(); read; read = this.#next()) {
      const descriptor = receiveDescriptor(descriptorOf(this.#descriptors));
      if (descriptor === undefined) {
        this.close();
        break;
      }
      this.#answers.push(this.#adopt(descriptor, read));
    }
    if (this.#answers.length >= MOST_ANSWERS) this.#answer();
    else if (this.#answers.length > 0) this.#timer ??= setTimeout(() => this.#answer(), ANSWER_DELAY);
  }

  /** The launcher is woken once for several, and not before the clients have their replies. */
  #answer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#descriptors.write(Buffer.from(this.#answers.splice(0)));
  }

  /** What had been read of the next connection, once all of that is there. */
  #next(): Buffer | undefined {
    const received = this.#received;
    if (received.length < LENGTH_SIZE) return undefined;
    const end = LENGTH_SIZE + received.readUInt32BE();
    if (end > LENGTH_SIZE + MAX_ALREADY_READ) this.close();
    if (received.length < end) return undefined;
    this.#received = received.subarray(end);
    return received.subarray(LENGTH_SIZE, end);
  }
}

/** The line that a connection begins with; without one, in time and of that length, an empty one. */
function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let said = Buffer.alloc(0);
    const settle = (line: string) => {
      socket.setTimeout(0);
      socket.off('data', take).off('end', none).off('close', none).off('timeout', none);
      resolve(line);
    };
    const none = () => settle('');
    const take = (chunk: Buffer) => {
      said = Buffer.concat([said, chunk]);
      const end = said.indexOf(NEWLINE);
      // Behind the line the launcher says nothing until it is answered.
      if (end >= 0) settle(end === said.length - 1 ? said.toString('latin1', 0, end) : '');
      else if (said.length > MAX_GREETING) none();
    };
    socket.setTimeout(DEADLINE, none);
    socket.on('data', take).once('end', none).once('close', none);
  });
}
