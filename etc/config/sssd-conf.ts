import { readdirSync } from 'node:fs';
import { parse } from 'ini';
import { readRegularFile } from '../host/read-file.ts';

const SSSD_CONF = '/etc/sssd/sssd.conf';
const SSSD_SNIPPETS = '/etc/sssd/conf.d';

/** Bytes of the largest file that is read. */
const MAX_FILE = 1 << 20;

/** What sssd has been told of a domain's ccaches. */
interface CCacheTemplate {
  file: string;
  section: string;
  value: string;
}

/**
 * The names by which sssd makes ccaches at a login, where an admin has chosen one that is not KCM's: those tickets come into
 * no server. A later file outranks an earlier one. Nothing where a file is missing or may not be read, as sssd's own may
 * only by root. Source: sssd.conf(5), sssd-krb5(5).
 */
export function foreignCCacheTemplates(main = SSSD_CONF, snippets = SSSD_SNIPPETS): CCacheTemplate[] {
  const found = new Map<string, CCacheTemplate>();
  for (const file of [main, ...snippetsOf(snippets)]) {
    for (const [section, key, value] of settingsOf(file)) {
      const isTemplate = section.startsWith('domain/') && key === 'krb5_ccname_template';
      if (isTemplate) found.set(section, { file, section, value });
    }
  }
  return [...found.values()].filter(({ value }) => !value.startsWith('KCM:'));
}

/** Section, key and value of each setting. */
function settingsOf(file: string): [section: string, key: string, value: string][] {
  try {
    return flattened(parse(readRegularFile(file, MAX_FILE).toString()), '');
  } catch {
    return [];
  }
}

/** The ini package takes a dot in the name of a section, as in `[domain/example.com]`, for a section in another. */
function flattened(tree: object, section: string): [string, string, string][] {
  return Object.entries(tree).flatMap(([name, value]): [string, string, string][] => {
    if (typeof value === 'string') return [[section, name, value]];
    return flattened(Object(value), section === '' ? name : `${section}.${name}`);
  });
}

/** sssd reads the files in this order that end in `.conf`, and none that begins with a dot. */
function snippetsOf(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter((name) => /^[^.].*\.conf$/.test(name));
    return names.sort().map((name) => `${directory}/${name}`);
  } catch {
    return [];
  }
}
