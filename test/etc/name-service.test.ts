// Users and groups for a process that serves everybody from one thread.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { NameService, NameServiceError } from '../../etc/name-service.ts';
import { temporaryDirectory } from '../setup/cleanup.ts';

let directory: string;
let names: NameService;
beforeEach(() => {
  directory = temporaryDirectory();
  answer('exit 2');
  names = new NameService(`${directory}/getent`);
});

/** Has `getent` do this, and note each of its calls. */
function answer(lines: string): void {
  writeFileSync(`${directory}/getent`, `#!/bin/sh\necho "$*" >> ${directory}/asked\n${lines}\n`);
  chmodSync(`${directory}/getent`, 0o755);
}

const asked = () => readFileSync(`${directory}/asked`, 'utf8').trim().split('\n');

it('what the files have is not asked for', async () => {
  expect(await names.user(0)).toMatchObject({ name: 'root', gid: 0 });
  expect(await names.isUser(0, 'root')).toBe(true);
  expect(await names.isUser(1, 'root')).toBe(false);
  expect(await names.isInGroup(0, 'root')).toBe(true);
  expect(names.isKnown(0)).toBe(true);
  expect(asked).toThrow('ENOENT');
});

it('what they do not have is asked for once, by many at the same time', async () => {
  answer('echo "ldap:x:54321:54321::/home/ldap:/bin/sh"');
  expect(names.isKnown(54321)).toBe(false);
  const users = await Promise.all(Array.from({ length: 20 }, () => names.user(54321)));
  expect(new Set(users.map((user) => user?.name))).toEqual(new Set(['ldap']));
  expect(await names.isUser(54321, 'ldap')).toBe(true);
  expect(names.isKnown(54321)).toBe(true);
  expect(asked()).toEqual(['passwd -- 54321']);
});

it('that there is no such entry is an answer too', async () => {
  for (let time = 0; time < 3; time++) expect(await names.user(54321)).toBeUndefined();
  expect(await names.isInGroup(0, 'no such group')).toBeUndefined();
  expect(asked()).toEqual(['passwd -- 54321', 'group -- no such group']);
});

it('a name service that fails is no answer, and is asked again', async () => {
  answer('exit 1');
  await expect(names.user(54321)).rejects.toThrow(NameServiceError);
  answer('echo "ldap:x:54321:54321::/home/ldap:/bin/sh"');
  expect(await names.user(54321)).toMatchObject({ name: 'ldap' });
});

it('a system without getent has its files', async () => {
  expect(await new NameService('/nonexistent').user(54321)).toBeUndefined();
});

it('of rules, the names that no database has are told', async () => {
  const rules = [{ user: 'root' }, { user: 'gone' }, { group: 'root' }, { group: 'lost' }, { from: 1, to: 2 }];
  const missing = names.missingNames(rules.map((pattern, order) => ({ pattern, order })));
  expect(await missing).toEqual(['gone', '@lost']);
});
