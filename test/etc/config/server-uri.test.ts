// What CCAPI_SERVER may say.
import { describe, expect, it } from 'vitest';
import { parseServerURIs } from '../../../etc/config/server-uri.ts';

const parsed = (text: string) => parseServerURIs(text)?.map(({ text: _, ...uri }) => uri);

it.each([
  ['inetd://127.0.0.1:789', { scheme: 'inetd', host: '127.0.0.1', port: 789 }],
  ['inetd://[::1]:789', { scheme: 'inetd', host: '::1', port: 789 }],
  ['inetd://localhost', { scheme: 'inetd', host: 'localhost', port: undefined }],
  ['unix:///run/ccapi/0/S.ccapi', { scheme: 'unix', path: '/run/ccapi/0/S.ccapi' }],
  ['unix:///with space', { scheme: 'unix', path: '/with space' }],
  ['ssh://host', { scheme: 'ssh', user: undefined, host: 'host', port: undefined, command: 'ccapi' }],
  ['ssh://me@host:2222/opt/ccapi', { scheme: 'ssh', user: 'me', host: 'host', port: 2222, command: '/opt/ccapi' }],
  ['ssh://[fe80::1]/', { scheme: 'ssh', user: undefined, host: 'fe80::1', port: undefined, command: 'ccapi' }],
  ['exec:cat', { scheme: 'exec', command: ['cat'] }],
  [`exec: cat  '' "it's" `, { scheme: 'exec', command: ['cat', '', "it's"] }],
  [`exec:sh -c 'a, b' "c d"e`, { scheme: 'exec', command: ['sh', '-c', 'a, b', 'c de'] }],
])('%s', (text, expected) => {
  expect(parsed(text)).toEqual([expected]);
});

it('several in turn; a command is the last', () => {
  expect(parsed('unix:///a, inetd://h:1,exec:x y,z')).toEqual([
    { scheme: 'unix', path: '/a' },
    { scheme: 'inetd', host: 'h', port: 1 },
    { scheme: 'exec', command: ['x', 'y,z'] },
  ]);
});

describe('what is none', () => {
  it.each([
    '',
    'http://host',
    '/run/socket',
    'unix://relative',
    'unix:/one/slash',
    'inetd://',
    'inetd://host:0',
    'inetd://host:65536',
    'ssh://',
    'ssh://-oProxyCommand=x',
    'ssh://-l@host',
    'ssh://ho st',
    'ssh://host:x',
    'exec:',
    `exec:sh 'unfinished`,
    'unix:///a,gopher://b',
  ])('%s', (text) => expect(parseServerURIs(text)).toBeUndefined());

  it.each([
    ['an unfinished quote behind a long word', `exec:${'a'.repeat(100_000)}'`],
    ['very many quotes', `exec:${'" '.repeat(50_001)}`],
    ['a long host with a space in it', `ssh://${'a'.repeat(100_000)} b`],
    ['nothing but commas', ','.repeat(100_000)],
  ])('%s', (_, text) => expect(parseServerURIs(text)).toBeUndefined());
});
