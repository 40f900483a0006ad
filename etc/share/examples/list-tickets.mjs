// Prints the tickets of all ccaches; an ECMAScript module.
import { Context } from 'ccapi';

const context = new Context();
try {
  for await (const ccache of context.ccaches()) {
    process.stdout.write(`${await ccache.getName()}: ${await ccache.getPrincipal()}\n`);
    for await (const { data } of ccache.credentials()) {
      process.stdout.write(`  ${data.server} until ${new Date(data.endtime * 1000).toISOString().slice(0, 19)}Z\n`);
    }
  }
} finally {
  await context.close();
}
