// Where path_template says a user's directory is.
import { describe, expect, it } from 'vitest';
import { expandPathTemplate, isPathTemplate } from '../../../etc/config/path-template.ts';

it.each([
  ['/run/user/%u/ccapi', '/run/user/0/ccapi'],
  ['/var/lib/%n', '/var/lib/root'],
  ['~/.ccapi', '/root/.ccapi'],
  ['/x/100%%/%u-%n', '/x/100%/0-root'],
  ['/x/~/%u', '/x/~/0'],
  ['/x y/é/%u', '/x y/é/0'],
])('%s', (template, path) => {
  expect(isPathTemplate(template)).toBe(true);
  expect(expandPathTemplate(template, 0)).toBe(path);
});

it('needs to know the user for a name and a home, and not for a number', () => {
  expect(expandPathTemplate('/x/%u', 3_999_999_999)).toBe('/x/3999999999');
  for (const template of ['/x/%n', '~/x']) {
    expect(() => expandPathTemplate(template, 3_999_999_999)).toThrow('the passwd database has no uid 3999999999');
  }
});

it('leads to no path with a newline or a colon in it', () => {
  for (const home of ['/home/a\nb', '/home/a:b', 'home', '/home/../etc']) {
    const user = { uid: 1000, gid: 1000, name: 'a', home };
    expect(() => expandPathTemplate('~/ccapi', 1000, () => user)).toThrow('is no path for uid 1000');
  }
  const user = { uid: 1000, gid: 1000, name: 'a/../b', home: '/' };
  expect(() => expandPathTemplate('/x/%n', 1000, () => user)).toThrow('is no path for uid 1000');
});

describe('is none', () => {
  it.each([
    '',
    '/',
    '~',
    '/run/ccapi',
    'run/%u',
    '/%u/../x',
    '/%u/./x',
    '/%u//x',
    '/%u/',
    '/%x/%u',
    '/%u%',
    '~x/%u',
    `/%u/${'x'.repeat(80)}`,
    '/%u/a\nb',
    '/%u/a\n',
    '/%u/a\tb',
    '/%u/a\0b',
    '/%u/a\x7fb',
    '/%u/a\x85b',
    '/%u:',
    '~/a:b',
  ])('%s', (text) => expect(isPathTemplate(text)).toBe(false));
});
