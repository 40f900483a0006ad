// npm run bench [-- --quick]: ratios against baselines of the same run. Nothing here passes or fails by a time. The whole
// of it writes RESULTS.md and results.svg beside this file.
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { cleanUp } from '../setup/cleanup.ts';
import { installMissing } from '../setup/debian-packages.ts';
import { costs } from './costs.ts';
import { floors } from './floors.ts';
import { growth } from './growth.ts';
import { asRates, kerberos } from './kerberos.ts';
import { asPlot } from './plot.ts';
import { roundTrips } from './round-trip.ts';
import { startUp } from './start-up.ts';
import { asTable, type Row } from './table.ts';

const quick = process.argv.includes('--quick');

async function main(): Promise<void> {
  try {
    if (!quick) installMissing('bench');
    // All starts first: a process that has grown starts others more slowly, and would flatter what is compared with them.
    const starts = await runs(() => startUp(quick ? 2 : 10));
    const trips = await runs(() => roundTrips(quick ? 2 : 10, quick ? 500 : 5000));
    const { cells, direct, notes, programs, connections, load } = await kerberos(quick);
    const sections = [
      `# Figures\n\n\`npm run bench\`, as ${user()}, Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}. Medians of interleaved rounds; three runs, one after the other.`,
      asTable(starts.map((rows, run) => [...rows, ...(trips[run] ?? [])])),
      '## What stock programs pay most',
      connections,
      '## Beside other places for tickets',
      'Operations a second through libkrb5, by one C program for all (`load.c`); a credential has a ticket of 1,000 bytes. Ours is under inetd and behind the front door, as it is installed.',
      ...(quick ? [] : ['Client and server on one core:', asRates(cells, true), 'Freely scheduled:']),
      asRates(cells, false),
      "At the worker's own socket, where no stock program comes, on one core:",
      asRates(direct, !quick),
      ...notes,
      'Whole programs, in milliseconds:',
      programs,
      '## What it costs to have it',
      await costs(quick),
      '## Where it ends',
      await floors(load, quick),
      await growth(),
    ];
    const text = `${sections.join('\n\n')}\n`;
    process.stdout.write(text);
    if (quick) return;
    writeFileSync(`${import.meta.dirname}/RESULTS.md`, text);
    writeFileSync(`${import.meta.dirname}/results.svg`, asPlot(cells));
  } finally {
    await cleanUp();
  }
}

async function runs(run: () => Promise<Row[]>): Promise<Row[][]> {
  const all: Row[][] = [];
  for (let i = 0; i < (quick ? 1 : 3); i++) all.push(await run());
  return all;
}

function user(): string {
  return process.getuid?.() === 0 ? 'root' : 'an ordinary user';
}

main().catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
