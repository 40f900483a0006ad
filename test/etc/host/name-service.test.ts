// Users and groups for a process that serves all users from one thread.
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NameService, NameServiceError } from '../../../etc/host/name-service.ts';
import { databases } from '../../../etc/host/passwd.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';

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

it('an answer that is no entry, or comes too late, is none', { timeout: 30_000 }, async () => {
  answer('exec sleep 20');
  await expect(names.user(54321)).rejects.toThrow(NameServiceError);
  answer('echo "no entry"');
  expect(await names.user(54321)).toBeUndefined();
});

it('a name that the files have is that of no other uid, whatever the name service says', async () => {
  answer('echo "root:x:54321:54321::/root:/bin/sh"');
  expect(await names.isUser(54321, 'root')).toBe(false);
});

it('many look-ups wait for their turn, and all are answered', async () => {
  answer(`sleep 0.2; echo end >> ${directory}/asked; echo "name$3:x:$3:1::/:/bin/sh"`);
  const uids = Array.from({ length: 70 }, (_, i) => 54_000 + i);
  const users = await Promise.all(uids.map((uid) => names.user(uid)));
  expect(users.map((user) => user?.uid)).toEqual(uids);
  let running = 0;
  const most = asked().reduce((most, line) => {
    running += line === 'end' ? -1 : 1;
    return Math.max(most, running);
  }, 0);
  expect(most).toBeLessThanOrEqual(32);
  // None of them has left a turn taken.
  expect(await names.user(55_000)).toMatchObject({ uid: 55_000 });
});

describe('as time goes by', () => {
  const entry = 'echo "ldap:x:54321:54321::/home/ldap:/bin/sh"';
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['hrtime'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('that there is no such entry holds for ten seconds', async () => {
    expect(await names.user(54321)).toBeUndefined();
    answer(entry);
    vi.advanceTimersByTime(9_999);
    expect(await names.user(54321)).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(await names.user(54321)).toMatchObject({ name: 'ldap' });
  });

  it('an entry holds for a minute, and stands in for ten more while it is asked for again', async () => {
    answer(entry);
    await names.user(54321);
    vi.advanceTimersByTime(59_999);
    await names.user(54321);
    expect(asked()).toHaveLength(1);
    answer('exit 1');
    vi.advanceTimersByTime(1);
    expect(await names.user(54321)).toMatchObject({ name: 'ldap' });
    await vi.waitFor(() => expect(asked()).toHaveLength(2));
    vi.advanceTimersByTime(600_001);
    await expect(names.user(54321)).rejects.toThrow(NameServiceError);
  });
});

describe('the files', () => {
  const { passwd, group } = databases;
  const paths = { passwd: passwd.path, group: group.path };
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['hrtime'] });
    passwd.path = `${directory}/passwd`;
    group.path = `${directory}/group`;
    writeFileSync(passwd.path, 'alice:x:1000:100::/:/bin/sh\nbob:x:1001:101::/:/bin/sh\n');
    writeFileSync(group.path, 'staff:x:50:alice,carol\n');
  });
  afterEach(() => {
    vi.useRealTimers();
    passwd.path = paths.passwd;
    group.path = paths.group;
  });

  it('have the members of a group', async () => {
    expect(await names.isInGroup(1000, 'staff')).toBe(true);
    expect(await names.isInGroup(1001, 'staff')).toBe(false);
    expect(await names.isInGroup(4711, 'staff')).toBe(false);
  });

  it('have of two entries of a uid or a name the first', async () => {
    writeFileSync(passwd.path, 'alice:x:1000:100::/:/bin/sh\nalias:x:1000:0::/:/bin/sh\nalice:x:0:0::/:/bin/sh\n');
    expect(await names.user(1000)).toMatchObject({ name: 'alice' });
    expect(await names.isUser(1000, 'alice')).toBe(true);
    expect(await names.isUser(0, 'alice')).toBe(false);
  });

  it('are read again when they have changed, at the latest a second later', async () => {
    expect(await names.isInGroup(1001, 'staff')).toBe(false);
    writeFileSync(group.path, 'staff:x:50:alice,bob,carol\n');
    vi.advanceTimersByTime(1000);
    expect(await names.isInGroup(1001, 'staff')).toBe(true);
    rmSync(passwd.path);
    vi.advanceTimersByTime(1000);
    expect(names.isKnown(1001)).toBe(false);
  });
});

it('a system without getent has its files', async () => {
  expect(await new NameService('/nonexistent').user(54321)).toBeUndefined();
});

it('of rules, the names that no database has are told', async () => {
  const rules = [{ user: 'root' }, { user: 'gone' }, { group: 'root' }, { group: 'lost' }, { from: 1, to: 2 }];
  const missing = names.missingNames(rules.map((pattern, order) => ({ pattern, order })));
  expect(await missing).toEqual(['gone', '@lost']);
  // What cannot be asked for is not said to be missing.
  answer('exit 1');
  expect(await names.missingNames([{ pattern: { user: 'other' } }])).toEqual([]);
});
