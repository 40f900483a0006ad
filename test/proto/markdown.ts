// Reads the tables and blocks of the specifications in proto/*.md.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

/** A line of an example: its bytes, and of a labelled one which value they are. */
interface Labelled {
  hex: string;
  label: string;
}

/** One message of a vector: `->` a request, `<-` a reply. */
export interface VectorMessage {
  isRequest: boolean;
  hex: string;
  /** The values, by their paths. */
  values: Record<string, unknown>;
}

/** One specification. */
export class Specification {
  readonly text: string;

  constructor(name: string) {
    this.text = readFileSync(join(root, 'proto', name), 'utf8');
  }

  /** The rows of the table with these columns, each by its columns, without backquotes. Throws unless there is one such table. */
  table(...columns: string[]): Record<string, string>[] {
    const lines = this.text.split('\n');
    const heading = `| ${columns.join(' | ')} |`;
    const starts = lines.flatMap((line, at) => (line === heading ? [at] : []));
    if (starts.length !== 1) throw new Error(`${starts.length} tables of ${heading}`);
    const rows: Record<string, string>[] = [];
    for (const line of lines.slice((starts[0] as number) + 2)) {
      if (!line.startsWith('|')) break;
      const cells = line.split('|').slice(1, -1);
      if (cells.length !== columns.length) throw new Error(`not ${columns.length} cells: ${line}`);
      rows.push(
        Object.fromEntries(columns.map((column, i) => [column, (cells[i] as string).trim().replaceAll('`', '')])),
      );
    }
    return rows;
  }

  /** The fenced blocks of a kind, each with the rest of its first line. */
  blocks(kind: string): { title: string; lines: string[] }[] {
    return [...this.text.matchAll(/^```(\w+) ?(.*)\n([^`]*)\n```$/gm)]
      .filter(([, found]) => found === kind)
      .map(([, , title, body]) => ({ title: title as string, lines: (body as string).split('\n') }));
  }

  /** The example of a type: its bytes, and its values by their paths. */
  example(title: string): { hex: string; values: Record<string, unknown> } {
    const found = this.blocks('example').filter((block) => block.title === title);
    if (found.length !== 1) throw new Error(`${found.length} examples of ${title}`);
    return joined((found[0] as { lines: string[] }).lines.map(labelled));
  }

  /** The vectors, each with its messages. */
  vectors(): { title: string; messages: VectorMessage[] }[] {
    return this.blocks('vector').map(({ title, lines }) => {
      const starts = lines.flatMap((line, at) => (/^(->|<-) /.test(line) ? [at] : []));
      const messages = starts.map((start, i) => ({
        isRequest: lines[start]?.startsWith('->') === true,
        ...joined(lines.slice(start, starts[i + 1]).map((line) => labelled(line.slice(3)))),
      }));
      return { title, messages };
    });
  }

  /** The anchors of the headings, as GitHub makes them. */
  get anchors(): string[] {
    return [...this.text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading as string));
  }
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}

function labelled(line: string): Labelled {
  const [, hex = '', label = ''] = /^((?:[0-9a-f]{2,} ?)+)(?: +(.*))?$/.exec(line) ?? [];
  if (hex === '') throw new Error(`no bytes: ${line}`);
  return { hex: hex.replaceAll(' ', ''), label };
}

/** `path: JSON` is a value; any other label is for the reader alone. */
function joined(lines: Labelled[]): { hex: string; values: Record<string, unknown> } {
  const values: Record<string, unknown> = {};
  for (const { label } of lines) {
    const [, path, json] = /^([\w.]+): ([[{"\d-].*)$/.exec(label) ?? [];
    if (path !== undefined && json !== undefined) values[path] = JSON.parse(json);
  }
  return { hex: lines.map(({ hex }) => hex).join(''), values };
}

/** A decoded value as the specifications write it: bytes as hexadecimal text. */
export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, part) =>
      part?.type === 'Buffer' && Array.isArray(part.data) ? Buffer.from(part.data).toString('hex') : part,
    ),
  );
}

/** What stands at a path such as `a.0.b`. */
export function at(value: unknown, path: string): unknown {
  return path.split('.').reduce((part, key) => (part as Record<string, unknown> | undefined)?.[key], value);
}

/** `getCredUUIDList` as the protocol calls it: `GET_CRED_UUID_LIST`. */
export function constantOf(name: string): string {
  return name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toUpperCase();
}
