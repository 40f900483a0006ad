/** A figure beside its baseline from the same run. */
export interface Row {
  what: string;
  /** Samples, in milliseconds or microseconds. */
  samples: number[];
  against: string;
  baseline: number[];
  unit: 'ms' | 'µs';
  /** The ratio that the budget allows, where it names one. */
  budget?: number;
}

/** Takes a sample of each case in turn, round after round, so that what the machine does meanwhile falls on all alike. */
export async function interleaved<Name extends string>(
  rounds: number,
  cases: Record<Name, () => number | Promise<number>>,
): Promise<Record<Name, number[]>> {
  const samples = Object.fromEntries(Object.keys(cases).map((name) => [name, []])) as unknown as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of Object.keys(cases) as Name[]) samples[name].push(await cases[name]());
  }
  return samples;
}

export function median(samples: number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** The rows of several runs as a Markdown table: the medians of all samples, and the ratio of each run. */
export function asTable(runs: Row[][]): string {
  const lines = (runs[0] ?? []).map(({ what, against, unit, budget }, row) => {
    const of = runs.map((rows) => rows[row] as Row);
    const value = median(of.flatMap(({ samples }) => samples));
    const base = median(of.flatMap(({ baseline }) => baseline));
    const ratios = of.map(({ samples, baseline }) => `${(median(samples) / median(baseline)).toFixed(2)}×`);
    const cells = [what, `${value.toFixed(1)} ${unit}`, against, `${base.toFixed(1)} ${unit}`, ratios.join(', ')];
    return `| ${[...cells, budget ? `≤ ${budget}×` : ''].join(' | ')} |`;
  });
  return [
    '| case | median | against | median | ratio in each run | budget |',
    '| --- | ---: | --- | ---: | ---: | ---: |',
    ...lines,
  ].join('\n');
}
