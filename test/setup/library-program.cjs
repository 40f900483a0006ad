// A program that has the library loaded all day: does what each line says, and prints the outcome.
const { createInterface } = require('node:readline');
const { Context } = require(process.argv[2]);

const context = new Context();
const data = (length) => ({ type: 18, data: Buffer.alloc(length, 7) });

async function firstOf(ccache) {
  for await (const credentials of ccache.credentials()) return credentials;
  return undefined;
}

const calls = {
  create: async (name) => (await context.createCCache(name, `${name}@TEST.EXAMPLE`)).getName(),
  store: async (name, service) =>
    (await context.openCCache(name)).storeCredentials({
      client: `${name}@TEST.EXAMPLE`,
      server: `${service}@TEST.EXAMPLE`,
      keyblock: data(32),
      authtime: 1_700_000_000,
      starttime: 1_700_000_000,
      endtime: 4_000_000_000,
      renewTill: 0,
      isSkey: 0,
      ticketFlags: 0,
      addresses: [],
      ticket: data(700),
      secondTicket: data(0),
      authdata: [],
    }),
  remove: async (name) => {
    const ccache = await context.openCCache(name);
    const credentials = await firstOf(ccache);
    if (credentials) await ccache.removeCredentials(credentials);
    return credentials?.data.server;
  },
  default: async (name) => (await context.openCCache(name)).setDefault(),
  destroy: async (name) => (await context.openCCache(name)).destroy(),
  offset: async (name, seconds) => (await context.openCCache(name)).setKDCTimeOffset(Number(seconds)),
  names: async () => {
    const names = [];
    for await (const ccache of context.ccaches())
      names.push(`${await ccache.getName()} ${await ccache.getPrincipal()}`);
    return names;
  },
};

async function main() {
  for await (const line of createInterface({ input: process.stdin })) {
    const [call, ...args] = line.split(' ');
    const outcome = await calls[call](...args).catch((error) => `${error.name} ${error.message}`);
    process.stdout.write(`${JSON.stringify(outcome ?? null)}\n`);
  }
}

main();
