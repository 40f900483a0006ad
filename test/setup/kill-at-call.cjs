// Loaded before a program: kills it before the call of a number (KILL_AT) that changes files or tells another program to.
const fs = require('node:fs');
const children = require('node:child_process');

let left = Number(process.env.KILL_AT);

function counted(object, name) {
  const call = object[name];
  object[name] = (...args) => {
    // What is printed is no change, nor is what is opened to be read.
    const isReading = (name === 'openSync' && /^r?$/.test(args[1] ?? '')) || (name === 'writeSync' && args[0] < 3);
    if (!isReading && left-- === 0) process.kill(process.pid, 'SIGKILL');
    return call.apply(object, args);
  };
}

const files = ['openSync', 'writeSync', 'fsyncSync', 'fchmodSync', 'fchownSync', 'renameSync', 'unlinkSync'];
for (const name of [...files, 'mkdirSync', 'rmdirSync', 'symlinkSync']) counted(fs, name);
for (const name of ['spawnSync', 'execFileSync']) counted(children, name);
counted(process, 'kill');
