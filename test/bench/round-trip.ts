// What a call costs afterwards: one request and its reply, against a server that only echoes.
import { connect, type Socket } from 'node:net';
import { type CCache, Context, type CredentialV5 } from '../../client/index.ts';
import { askPort } from '../../client/launcher-client.ts';
import { requestFrame } from '../../proto/ccapi-codec.ts';
import { uninitialised } from '../../proto/identifier.ts';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { cleanEnvironment, programs, startLauncher } from '../setup/programs.ts';
import { startEcho } from './echo.ts';
import { pin } from './pin.ts';
import { interleaved, median, type Row } from './table.ts';

const request = requestFrame('contextGetChangeTime', uninitialised, {});

/** Whether two programs share a core shifts every figure by several times, so here all do: what is started inherits it. */
export async function roundTrips(rounds: number, calls: number): Promise<Row[]> {
  pin(process.pid, true);
  try {
    return await measured(rounds, calls);
  } finally {
    pin(process.pid, false);
  }
}

async function measured(rounds: number, calls: number): Promise<Row[]> {
  const directory = temporaryDirectory();
  const base = `${directory}/run`;
  const { port } = await startLauncher([`--directory=${base}`]);
  const path = (await askPort(port, { uid: process.getuid?.() as number })) as string;
  const [worker, echo] = [await open(path), await open(await startEcho(`${directory}/echo`))];
  const trips = await interleaved(rounds, {
    worker: () => medianRoundTrip(worker, calls),
    echo: () => medianRoundTrip(echo, calls),
  });
  for (const socket of [worker, echo]) socket.destroy();
  const env = cleanEnvironment({ CCAPI_DIRECTORY: base });
  await using context = new Context({ env });
  const ccache = await context.createNewCCache('bench@EXAMPLE');
  await Promise.all(Array.from({ length: 10_000 }, () => ccache.storeCredentials(credential)));
  // What ssh:// runs over there, without ssh.
  const through = `exec:env CCAPI_DIRECTORY=${base} ${process.execPath} ${programs.ccapi} connect`;
  await using behindConnect = new Context({ env: { ...env, CCAPI_SERVER: through } });
  const farCCache = await behindConnect.openDefaultCCache();
  const samples = await interleaved(rounds, {
    iterated: () => perCredential(ccache),
    connect: () => perCredential(farCCache),
  });
  const bare = { against: 'echo, bare Node', baseline: trips.echo, unit: 'µs' } as const;
  return [
    { what: 'round trip, all on one core', samples: trips.worker, ...bare, budget: 1.15 },
    { what: 'one credential of 10,000 iterated by the library', samples: samples.iterated, ...bare },
    {
      what: 'the same over ccapi connect',
      samples: samples.connect,
      against: 'directly',
      baseline: samples.iterated,
      unit: 'µs',
      budget: 2,
    },
  ];
}

/** Microseconds of each credential, of as many as there are. */
async function perCredential(ccache: CCache): Promise<number> {
  const began = performance.now();
  let count = 0;
  for await (const _ of ccache.credentials()) count++;
  return ((performance.now() - began) * 1000) / count;
}

/** A credential of an ordinary size. */
export const credential: CredentialV5 = {
  client: 'bench@EXAMPLE',
  server: 'host/server.example@EXAMPLE',
  keyblock: { type: 18, data: Buffer.alloc(32) },
  authtime: 1,
  starttime: 1,
  endtime: 2,
  renewTill: 0,
  isSkey: 0,
  ticketFlags: 0,
  addresses: [],
  ticket: { type: 0, data: Buffer.alloc(1000) },
  secondTicket: { type: 0, data: Buffer.alloc(0) },
  authdata: [],
};

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Microseconds of one request and its reply, the median of many in a row. */
async function medianRoundTrip(socket: Socket, calls: number): Promise<number> {
  const samples: number[] = [];
  for (let call = 0; call < calls; call++) {
    const began = performance.now();
    await new Promise((resolve) => {
      socket.once('data', resolve);
      socket.write(request);
    });
    samples.push((performance.now() - began) * 1000);
  }
  return median(samples);
}
