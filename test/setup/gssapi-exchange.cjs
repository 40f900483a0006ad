// An initiator and an acceptor for the service that the first argument names. Prints the name that the acceptor sees.
const { initializeClient, initializeServer } = require('kerberos');

async function main([service]) {
  const [initiator, acceptor] = [await initializeClient(service), await initializeServer(service)];
  let token = '';
  while (!acceptor.contextComplete) {
    token = await initiator.step(token);
    token = await acceptor.step(token);
  }
  if (!initiator.contextComplete) await initiator.step(token ?? '');
  process.stdout.write(`${acceptor.username}\n`);
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
