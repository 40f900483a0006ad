// Waits for a ticket of a service, for as many seconds as are named; a CommonJS module.
// node wait-for-ticket.cjs host/a.example@EXAMPLE 60
const { CCAPIError, Context } = require('ccapi');

/** @param {InstanceType<typeof Context>} context @param {string} service */
async function hasTicket(context, service) {
  for await (const ccache of context.ccaches()) {
    for await (const { data } of ccache.credentials()) if (data.server === service) return true;
  }
  return false;
}

async function main(service = '', seconds = '60') {
  const context = new Context();
  const deadline = AbortSignal.timeout(Number(seconds) * 1000);
  try {
    do {
      // The first time it returns at once, and later for each change since the time before.
      await context.waitForChange(deadline);
    } while (!(await hasTicket(context, service)));
    process.stdout.write(`there is a ticket for ${service}\n`);
  } finally {
    await context.close();
  }
}

main(...process.argv.slice(2)).catch((error) => {
  process.stderr.write(CCAPIError.is(error) ? `${error.name} (${error.code}): ${error.message}\n` : `${error}\n`);
  process.exitCode = 1;
});
