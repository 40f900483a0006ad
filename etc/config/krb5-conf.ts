import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CCAPIError, ConfigError } from '../../proto/errors.ts';
import { readRegularFile } from '../host/read-file.ts';

/** Where krb5.conf is looked for when the environment does not say. */
const DEFAULT_KRB5_CONF = '/etc/krb5.conf';

/** One `key = value` line of a section, and where it stands. */
interface Relation {
  key: string;
  value: string;
  file: string;
  /** Counted from 1. */
  line: number;
}

/** The files that KRB5_CONFIG names, `:` between them, or the default. */
export function krb5ConfPaths(env: NodeJS.ProcessEnv): string[] {
  return (env.KRB5_CONFIG || DEFAULT_KRB5_CONF).split(':').filter((path) => path !== '');
}

/**
 * The relations of one top-level section in the order of their precedence: where a key stands twice, libkrb5 takes the
 * first. The files are read as libkrb5's `prof_parse.c` reads them: comments on lines of their own, quoted values,
 * nested sections in braces (left out), `include` and `includedir`, a final `*` behind a key or section that closes it
 * to the files after it. A file that is missing or that may not be read is passed over, where another can be read; a
 * directory in the list stands for the files in it. `looked` is told each file and directory before it is read, also one
 * that is missing. Throws 202 (`ccErrBadParam`) naming file and line where one does not parse, and where none may be read.
 */
export function readSection(
  paths: readonly string[],
  section: string,
  looked: (path: string) => void = () => {},
): Relation[] {
  const relations: Relation[] = [];
  const closedKeys = new Set<string>();
  const found: ReturnType<typeof parseListed>[] = [];
  for (const path of paths) {
    const tree: Tree = { section, relations: [], finalKeys: new Set(), final: false, looked };
    looked(path);
    found.push(parseListed(path, tree));
    relations.push(...tree.relations.filter(({ key }) => !closedKeys.has(key)));
    for (const key of tree.finalKeys) closedKeys.add(key);
    if (tree.final) break;
  }
  const closed = paths[found.indexOf('closed')];
  // libkrb5 refuses all work then, with "Permission denied".
  if (closed !== undefined && !found.includes('read')) {
    throw new ConfigError(`${closed} may not be read by uid ${process.geteuid?.()}: chmod a+r ${closed}`);
  }
  return relations;
}

/** What one file of the list, with all it includes, says of the section that is wanted. */
interface Tree {
  readonly section: string;
  readonly relations: Relation[];
  readonly finalKeys: Set<string>;
  final: boolean;
  readonly looked: (path: string) => void;
}

/** How deep files may include one another; libkrb5 has no limit and runs out of stack. */
const MAX_NESTING = 16;

function parseFile(file: string, text: string, tree: Tree, nesting: number): void {
  const parser = new FileParser(file, tree, nesting);
  const lines = text.replace(/^\ufeff/, '').split('\n');
  lines.forEach((line, index) => {
    parser.line(line, index + 1);
  });
}

/** One file's state. Included files have their own and share only the tree: so they are independent in their syntax. */
class FileParser {
  readonly #file: string;
  readonly #tree: Tree;
  readonly #nesting: number;
  #section: string | undefined;
  #depth = 0;
  #braceExpected = false;
  #line = 0;

  constructor(file: string, tree: Tree, nesting: number) {
    this.#file = file;
    this.#tree = tree;
    this.#nesting = nesting;
  }

  line(raw: string, number: number): void {
    this.#line = number;
    const directive = /^(include|includedir|module)[ \t\v\f\r]+(.*?)\s*$/.exec(raw);
    if (directive) this.#directive(directive[1] as string, directive[2] as string);
    else if (this.#braceExpected) this.#openingBrace(raw.trim());
    else this.#statement(raw.trim());
  }

  #directive(name: string, path: string): void {
    if (name === 'module') return;
    const from = `${this.#file}:${this.#line}`;
    if (this.#nesting >= MAX_NESTING) throw this.#wrong(`files include one another more than ${MAX_NESTING} deep`);
    this.#tree.looked(path);
    if (name === 'includedir') parseDirectory(path, this.#tree, this.#nesting + 1, from);
    else parseFile(path, readIncluded(path, from), this.#tree, this.#nesting + 1);
  }

  #openingBrace(text: string): void {
    if (!text.startsWith('{')) throw this.#wrong('a "{" is missing');
    this.#braceExpected = false;
  }

  #statement(text: string): void {
    if (text === '' || text.startsWith('#') || text.startsWith(';')) return;
    if (text.startsWith('[')) this.#sectionHeader(text);
    else if (this.#section === undefined) return;
    else if (text.startsWith('}')) this.#closingBrace();
    else this.#relation(text);
  }

  #sectionHeader(text: string): void {
    if (this.#depth > 0) throw this.#wrong('a section begins inside of braces');
    const [, name, final] = /^\[([^\]]*)\](\*?)$/.exec(text) ?? [];
    if (name === undefined) throw this.#wrong('a section header is not of the form [name]');
    this.#section = name;
    if (final && name === this.#tree.section) this.#tree.final = true;
  }

  #closingBrace(): void {
    if (this.#depth === 0) throw this.#wrong('a "}" too many');
    this.#depth--;
  }

  #relation(text: string): void {
    const [, key, star, rest] = /^([^\s=*]+)(\*?)[^\s=]*\s*=\s*(.*)$/.exec(text) ?? [];
    if (key === undefined || rest === undefined) throw this.#wrong('expected: key = value');
    const ours = this.#depth === 0 && this.#section === this.#tree.section;
    if (ours) this.#tree.relations.push({ key, value: unquoted(rest), file: this.#file, line: this.#line });
    if (ours && star) this.#tree.finalKeys.add(key);
    if (rest === '') this.#braceExpected = true;
    if (rest === '' || /^\{\s*$/.test(rest)) this.#depth++;
  }

  #wrong(what: string): CCAPIError {
    return new ConfigError(`${this.#file}:${this.#line}: ${what}`);
  }
}

/** A value in double quotes has `\n`, `\t`, `\b` and quoted characters; any other stands as it is. */
function unquoted(value: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)/.exec(value)?.[1];
  const named: Record<string, string> = { n: '\n', t: '\t', b: '\b' };
  return quoted?.replace(/\\(.)/g, (_, character: string) => named[character] ?? character) ?? value;
}

/** libkrb5 reads of a directory the files named in letters, digits, `-` and `_`, and those that end in `.conf`. */
function parseDirectory(directory: string, tree: Tree, nesting: number, from: string): void {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    throw new ConfigError(`${from}: ${directory} cannot be read`, { cause: error });
  }
  for (const name of names.sort()) {
    const file = join(directory, name);
    const wanted = /^[A-Za-z0-9_-]+$/.test(name) || /^[^.].*\.conf$/.test(name);
    if (!wanted || isDirectory(file)) continue;
    tree.looked(file);
    parseFile(file, readIncluded(file, from), tree, nesting);
  }
}

/** Bytes of the largest file that is read; the largest in use have some tens of thousands. */
const MAX_FILE = 4 * 2 ** 20;

function readIncluded(file: string, from: string): string {
  try {
    return readRegularFile(file, MAX_FILE).toString();
  } catch (error) {
    const why = error instanceof CCAPIError ? error.message : `${file} cannot be read`;
    throw new ConfigError(`${from}: ${why}`, { cause: error });
  }
}

/** Parses one of the list, where it is there and may be read. */
function parseListed(path: string, tree: Tree): 'read' | 'closed' | 'missing' {
  if (isDirectory(path)) parseDirectory(path, tree, 0, path);
  else {
    const text = readListed(path);
    if (text === 'closed' || text === 'missing') return text;
    parseFile(path, text.content, tree, 0);
  }
  return 'read';
}

function readListed(file: string): { content: string } | 'closed' | 'missing' {
  try {
    return { content: readRegularFile(file, MAX_FILE).toString() };
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') return 'closed';
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing';
    throw error instanceof CCAPIError ? error : new ConfigError(`${file} cannot be read`, { cause: error });
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
