/** A figure beside its baseline from the same run. */
export interface Row {
  what: string;
  /** Samples, in milliseconds or microseconds. */
  samples: number[];
  against: string;
  baseline: number[];
  unit: 'ms' | 'µs';
  /** The ratio that DESIGN allows, where it names one. */
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

/** The rows as a Markdown table. */
export function asTable(rows: Row[]): string {
  const lines = rows.map(({ what, samples, against, baseline, unit, budget }) => {
    const [value, base] = [median(samples), median(baseline)];
    const cells = [
      what,
      `${value.toFixed(1)} ${unit}`,
      against,
      `${base.toFixed(1)} ${unit}`,
      `${(value / base).toFixed(2)}×`,
    ];
    return `| ${[...cells, budget ? `≤ ${budget}×` : ''].join(' | ')} |`;
  });
  return [
    '| case | median | against | median | ratio | budget |',
    '| --- | ---: | --- | ---: | ---: | ---: |',
    ...lines,
  ].join('\n');
}
