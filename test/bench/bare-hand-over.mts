// The least that two Node processes can be of which the first accepts connections and the second answers them: no user is
// looked up, nothing is checked, and nothing is held for a second that ends. Run by tsx: door PATH, or taker PATH [REPLIES], a file
// of what is answered, in JSON: the replies of each connection, which are given in a circle.
import { readFileSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { receiveDescriptor, sendDescriptor } from '../../etc/host/fd-passing.ts';
import { descriptorOf, pauseHandle } from '../../etc/host/socket-handle.ts';

const [, , role, path = '', file] = process.argv;
const replies = file === undefined ? undefined : (JSON.parse(readFileSync(file, 'utf8')) as string[][]);
let connections = 0;
if (role === 'door') await openDoor(path);
else take(path);

/** Accepts on the path, and sends each descriptor over one connection, a byte for it over the other; closes it at a byte back. */
async function openDoor(door: string): Promise<void> {
  const [descriptors, words] = await Promise.all([open(`${door}.taker`), open(`${door}.taker`)]);
  const given: Socket[] = [];
  words.on('data', (acknowledged) => {
    for (const socket of given.splice(0, acknowledged.length)) socket.destroy();
  });
  createServer({ pauseOnConnect: true }, (socket) => {
    sendDescriptor(descriptorOf(descriptors), descriptorOf(socket));
    words.write('.');
    given.push(socket);
  }).listen(door);
}

/** Answers each connection that it is given. */
function take(door: string): void {
  let descriptors: Socket | undefined;
  createServer((socket) => {
    if (!descriptors) {
      descriptors = socket;
      pauseHandle(socket);
      return;
    }
    socket.on('data', (announced) => {
      for (const _ of announced) answer(receiveDescriptor(descriptorOf(descriptors as Socket)));
      socket.write(announced);
    });
  }).listen(`${door}.taker`);
}

function answer(fd: number | undefined): void {
  const socket = new Socket({ fd, readable: true, writable: true }).on('error', () => {});
  if (replies) repeat(socket, replies[connections++ % replies.length] ?? []);
  else socket.on('data', (data) => socket.write(data));
}

/** Gives one of the replies for each request, which begins with its length. */
function repeat(socket: Socket, recorded: readonly string[]): void {
  const left = [...recorded];
  let received = Buffer.alloc(0);
  socket.on('data', (data) => {
    received = Buffer.concat([received, data]);
    while (received.length >= 4 && received.length >= 4 + received.readUInt32BE()) {
      received = received.subarray(4 + received.readUInt32BE());
      socket.write(Buffer.from(left.shift() ?? '', 'hex'));
    }
  });
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket)).once('error', reject);
  });
}
