// The least that two Node processes can be of which the first accepts connections and the second answers them: no user is
// looked up, nothing is checked, and nothing is held for a second that ends. Run by tsx: door PATH, or taker PATH.
import { connect, createServer, Socket } from 'node:net';
import { receiveDescriptor, sendDescriptor } from '../../etc/host/fd-passing.ts';
import { descriptorOf, pauseHandle } from '../../etc/host/socket-handle.ts';

const [, , role, path = ''] = process.argv;
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

/** Echoes on each connection that it is given. */
function take(door: string): void {
  let descriptors: Socket | undefined;
  createServer((socket) => {
    if (!descriptors) {
      descriptors = socket;
      pauseHandle(socket);
      return;
    }
    socket.on('data', (announced) => {
      for (const _ of announced) echo(receiveDescriptor(descriptorOf(descriptors as Socket)));
      socket.write(announced);
    });
  }).listen(`${door}.taker`);
}

function echo(fd: number | undefined): void {
  const socket = new Socket({ fd, readable: true, writable: true });
  socket.on('data', (data) => socket.write(data)).on('error', () => {});
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket)).once('error', reject);
  });
}
