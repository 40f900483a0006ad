// The comparison at a glance: a panel for each operation, a bar for each place, on a logarithmic scale.
import { type Cell, labelOf, type Operation, operations } from './kerberos.ts';

const SIZES: Record<Operation, number> = {
  store: 10_000,
  lookUp: 10_000,
  list: 1000,
  principal: 1000,
  walk: 100,
  crowd: 8,
};
const [WIDTH, LABEL, ROW, PANEL] = [760, 130, 20, 180];
const LARGEST = 1e7;

/** The figures of client and server on one core, as an SVG. */
export function asPlot(cells: Cell[]): string {
  const parts: string[] = [];
  let y = 30;
  for (const operation of Object.keys(operations) as Operation[]) {
    const size = SIZES[operation];
    const bars = cells.filter(
      (cell) => cell.operation === operation && cell.size === size && cell.pinned === (operation !== 'crowd'),
    );
    if (bars.length === 0) continue;
    parts.push(text(10, y, `${labelOf(operation, size)}: operations a second`, 'bold'));
    for (const { peer, perSecond } of bars) {
      y += ROW;
      const length = perSecond > 1 ? (Math.log10(perSecond) / Math.log10(LARGEST)) * (WIDTH - LABEL - PANEL) : 0;
      const colour = peer === 'ccapi' ? '#c2410c' : '#94a3b8';
      parts.push(text(20, y, peer));
      parts.push(`<rect x="${LABEL}" y="${y - 12}" width="${length.toFixed(1)}" height="14" fill="${colour}"/>`);
      parts.push(text(LABEL + length + 6, y, perSecond > 0 ? Math.round(perSecond).toLocaleString('en') : 'none'));
    }
    y += ROW * 2;
  }
  const frame = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" font-family="sans-serif" font-size="12">`;
  const title = '<title>Operations a second of ccapi and other places for Kerberos tickets</title>';
  return `${frame}\n${title}\n<rect width="100%" height="100%" fill="white"/>\n${parts.join('\n')}\n</svg>\n`;
}

function text(x: number, y: number, words: string, weight = 'normal'): string {
  return `<text x="${x.toFixed(1)}" y="${y}" font-weight="${weight}">${words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;
}
