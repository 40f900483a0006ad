// For `node --require`: at SIGUSR2 a program collects its garbage and prints what memory it has then, in kB. When garbage is
// collected by itself differs from one Node to the next, and how much of it may lie about.
const { readFileSync } = require('node:fs');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
process.on('SIGUSR2', () => {
  collect();
  const [, kilobytes] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  process.stdout.write(`${kilobytes}\n`);
});
