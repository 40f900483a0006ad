import { median } from './table.ts';

/** What one operation takes with each peer. */
export interface Figures {
  what: string;
  unit: 'µs' | 'ms';
  /** Samples, by the name of the peer. */
  of: Map<string, number[]>;
}

/** What ours may be at the most against another, by the budget. */
const budgets: Record<string, Record<string, number>> = {
  'new connection and first reply': { 'a bare Node server that echoes': 3, 'sssd-kcm': 0.3, "Heimdal's kcm": 5 },
  'gss_init_sec_context with the ticket there': { FILE: 8, "Heimdal's kcm": 3 },
};

/** Medians, and the ratio of ours to each. */
export function asTable({ what, unit, of }: Figures): string {
  const ours = of.get('ccapi') ?? [];
  const lines = [...of].map(([name, samples]) => {
    const budget = budgets[what]?.[name];
    // One that has given up has none.
    if (samples.length === 0) return `| ${name} | – | – |  |`;
    const ratio = name === 'ccapi' ? '' : `${(median(ours) / median(samples)).toFixed(2)}×`;
    return `| ${name} | ${median(samples).toFixed(0)} ${unit} | ${ratio} | ${budget ? `≤ ${budget}×` : ''} |`;
  });
  return [
    `| ${what}, all on one core | median | ccapi against it | budget |`,
    '| --- | ---: | ---: | ---: |',
    ...lines,
  ].join('\n');
}
