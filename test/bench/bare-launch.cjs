// The least that a launcher and a worker can be, ten lines each: the launcher starts a worker, tells it a path when it is
// asked, and passes its answer on; the worker listens there and echoes. Run as: launcher, or worker.
const { createInterface } = require('node:readline');
const { spawn } = require('node:child_process');

if (process.argv[2] === 'worker') {
  process.stdin.once('data', (path) => {
    const server = require('node:net').createServer((socket) => {
      socket.on('data', (data) => socket.write(data)).on('error', () => {});
      socket.on('close', () => process.exit());
    });
    server.listen(String(path).trim(), () => process.stdout.write('ok\n'));
  });
} else {
  const start = () => spawn(process.execPath, [__filename, 'worker'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let waiting = start();
  createInterface(process.stdin).on('line', (path) => {
    waiting.stdin.write(`${path}\n`);
    waiting.stdout.once('data', () => {
      process.stdout.write(`${path}\n`);
      setImmediate(() => {
        waiting = start();
      });
    });
  });
}
