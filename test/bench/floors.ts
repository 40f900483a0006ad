// What the figures stand on: how fast Node itself is at what every request is made of. A figure alone explains nothing.
import { existsSync } from 'node:fs';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { cleanEnvironment, run } from '../setup/programs.ts';
import { startEcho } from './echo.ts';
import { median } from './table.ts';

/** The bytes of a request with a ticket of 1,000, and of one without. */
const [STORE, SMALL] = [1250, 60];

/** What a server of bare Node does that only echoes, asked by the load program; client and server on one core. */
export async function floors(load: string | undefined, quick: boolean): Promise<string> {
  if (!load || !existsSync('/usr/bin/taskset')) return 'not measured: it needs a C compiler and taskset';
  const path = await startEcho(`${temporaryDirectory()}/echo`, ['/usr/bin/taskset', '-c', '0']);
  const rate = async (what: '--echo' | '--connect', bytes: number) => {
    const rates: number[] = [];
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      const args = ['-c', '0', load, what, path, String(bytes), quick ? '0.05' : '0.3'];
      const { stdout } = await run('/usr/bin/taskset', args, { env: cleanEnvironment() });
      rates.push(JSON.parse(stdout).rate);
    }
    return Math.round(median(rates)).toLocaleString('en');
  };
  // The first are those of a program that is not compiled yet.
  await rate('--echo', SMALL);
  await rate('--connect', SMALL);
  return [
    '| bare Node, client and server on one core | a second |',
    '| --- | ---: |',
    `| echoes of ${SMALL} bytes, as a principal or a look-up asks | ${await rate('--echo', SMALL)} |`,
    `| echoes of ${STORE} bytes, as a store asks | ${await rate('--echo', STORE)} |`,
    `| connections with two echoes each, as a step of a walk is | ${await rate('--connect', SMALL)} |`,
    '',
    explanation,
  ].join('\n');
}

const explanation = `- That is the floor of everything that is one request: reading a principal is at two thirds of it, looking up at half, and
  a store is also written to a file before it is answered. Heimdal's kcm, in C, reads a principal faster than Node echoes,
  and stores faster while its lists are short: what it does in the small is out of Node's reach, and it is overtaken where
  its own lists get long.
- A walk over ccaches is a new connection for each in libkrb5. Through the front door three programs take turns for it and not
  two, and two of them make a socket of Node's: the row of two bare Node processes, of which one accepts and the other answers,
  is its floor, and Heimdal's kcm, one program in C, is below that.
- gss_init_sec_context makes seven connections with sixteen requests, and kvno one connection for each service: their floors are
  the rows of two bare Node processes that look at nothing and say again what ccapi has said to the same program.
- MIT's client reads no reply above 10 MB: from some 9,000 credentials of this size on it lists them one by one. sssd-kcm is
  faster there because it has not come to hold as many.
- A cold start is two starts of Node with what a server needs of it (net, child_process): the rows of a launcher and a worker
  of ten lines each are its floor. The rest is krb5.conf, the arguments, the directories, and koffi (2 ms each), by which the
  kernel is asked who is there; of our bundles Node takes what was compiled at the build.
- What a busy while leaves is given back some seconds after the last request.`;
