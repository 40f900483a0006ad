#!/usr/bin/env node
// Runs the bundle beside it that has its name, by the code that V8 made of it at the build: compiling it anew is a good part
// of a start. V8 does not take the code of another version, nor of other options, and compiles the bundle then as ever.
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');

const filename = __filename.replace(/\.js$/, '.bundle.js');
const cachedData = existing(`${filename}.compiled`);
const script = new Script(readFileSync(filename, 'latin1'), { filename, cachedData });
script.runInThisContext()(exports, require, module, __filename, __dirname);

function existing(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
