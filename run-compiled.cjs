#!/usr/bin/env node
// Runs the bundle beside it that has its name. Every Node from 12 on reads this file, and is refused in one line if it is too old.
// No signal opens Node's debugger, which would serve every user of the machine.
process.on('SIGUSR1', () => {});
// What NODE_OPTIONS or a signal before this line has opened is closed; the user's own command may be debugged.
if (!/[\\/]ccapi\.js$/.test(__filename)) {
  closeDebugger();
  // The thread that a signal has woken may come later than this line.
  setImmediate(closeDebugger);
  setTimeout(closeDebugger, 1000).unref();
}
const OLDEST = [20, 19];
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  const name = __filename.replace(/^.*[\\/]|\.js$/g, '');
  const found = `${process.versions.node} (${process.execPath})`;
  process.stderr.write(`${name}: needs Node ${OLDEST.join('.')} or later, and this is ${found}\n`);
  process.exit(1);
}

const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');

const filename = __filename.replace(/\.js$/, '.bundle.js');
const source = readFileSync(filename);
const cachedData = compiled(`${filename}.compiled`);
const script = new Script(source.toString('latin1'), { filename, cachedData });
script.runInThisContext()(exports, require, module, __filename, __dirname);

/**
 * What V8 made of this source at the build: compiling it anew is a good part of a start. V8 itself checks neither processor
 * nor text, so the file begins with what it was made by and with a copy of the text: comparing costs 0.05 ms, a digest 4.
 */
function compiled(path) {
  try {
    const file = readFileSync(path);
    const { platform, arch, version, versions, config } = process;
    const pointers = config.variables.v8_enable_pointer_compression;
    const header = `compiled ${platform} ${arch} ${version} ${versions.v8} ${pointers} ${source.length} `;
    const start = file.indexOf('\n') + 1;
    const end = start + source.length;
    const fits = file.toString('latin1', 0, header.length) === header && file.subarray(start, end).equals(source);
    return fits ? file.subarray(end) : undefined;
  } catch {
    return undefined;
  }
}

/** Node has this call for its own debugger client; it does nothing, in 5 µs, where no debugger is open. */
function closeDebugger() {
  if (typeof process._debugEnd === 'function') process._debugEnd();
  else require('node:inspector').close();
}
