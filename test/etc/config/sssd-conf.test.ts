// What sssd was told of ccaches: the machine's default counts only where a domain has none of its own.
import { mkdirSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { foreignCCacheTemplates } from '../../../etc/config/sssd-conf.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';

let main: string;
let snippets: string;
const write = (file: string, ...lines: string[]) => writeFileSync(file, `${lines.join('\n')}\n`);

beforeEach(() => {
  const directory = temporaryDirectory();
  [main, snippets] = [`${directory}/sssd.conf`, `${directory}/conf.d`];
  mkdirSync(snippets);
});

it('names each domain that keeps its tickets elsewhere', () => {
  write(
    main,
    '# as an admin has it',
    '[sssd]',
    'services = nss, pam',
    'krb5_ccname_template = of no domain',
    '',
    '[domain/example.com]',
    'id_provider = ldap',
    'ldap_search_base = dc=example,dc=com',
    'krb5_ccname_template = FILE:%d/krb5cc_%U_XXXXXX',
    '[domain/plain]',
    '; krb5_ccname_template = FILE:',
    '[domain/keyring.example]',
    'krb5_ccname_template=KEYRING:persistent:%U',
    '[domain/ours]',
    'krb5_ccname_template = KCM:',
  );
  expect(foreignCCacheTemplates(main, snippets)).toEqual([
    { file: main, section: 'domain/example.com', value: 'FILE:%d/krb5cc_%U_XXXXXX' },
    { file: main, section: 'domain/keyring.example', value: 'KEYRING:persistent:%U' },
  ]);
});

it('goes by the last file that says something of a domain, in the order of their names', () => {
  write(main, '[domain/a.b]', 'krb5_ccname_template = FILE:/1');
  write(`${snippets}/02.conf`, '[domain/a.b]', 'krb5_ccname_template = FILE:/2');
  write(`${snippets}/01.conf`, '[domain/a.b]', 'krb5_ccname_template = KCM:');
  for (const name of ['.03.conf', '03.conf.bak'])
    write(`${snippets}/${name}`, '[domain/a.b]', 'krb5_ccname_template = KCM:');
  expect(foreignCCacheTemplates(main, snippets)).toEqual([
    { file: `${snippets}/02.conf`, section: 'domain/a.b', value: 'FILE:/2' },
  ]);
  write(`${snippets}/10.conf`, '[domain/a.b]', 'krb5_ccname_template = KCM:');
  expect(foreignCCacheTemplates(main, snippets)).toEqual([]);
});

it('has nothing to say where there is no sssd, or none that can be read', () => {
  expect(foreignCCacheTemplates(main, snippets)).toEqual([]);
  mkdirSync(main);
  write(`${snippets}/1.conf`, '\0\x01]][=');
  expect(foreignCCacheTemplates(main, snippets)).toEqual([]);
});
