// npm run bench [-- --quick]: ratios against baselines of the same run. Nothing here passes or fails by a time.
import { cpus } from 'node:os';
import { cleanUp } from '../setup/cleanup.ts';
import { growth } from './growth.ts';
import { roundTrips } from './round-trip.ts';
import { startUp } from './start-up.ts';
import { asTable } from './table.ts';

const quick = process.argv.includes('--quick');

async function main(): Promise<void> {
  try {
    const rows = [...(await startUp(quick ? 2 : 10)), ...(await roundTrips(quick ? 2 : 10, quick ? 500 : 5000))];
    process.stdout.write(
      `${asTable(rows)}\n\n${await growth()}\n\nNode ${process.version}, ${cpus().length} × ${cpus()[0]?.model}\n`,
    );
  } finally {
    await cleanUp();
  }
}

main().catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
