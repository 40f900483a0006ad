import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { writeClientKrb5Conf } from '../../../etc/config/client-krb5-conf.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';

const env = { KRB5_CONFIG: '/etc/other.conf' };
let directory: string;

beforeEach(() => {
  directory = temporaryDirectory();
  mkdirSync(`${directory}/own`, { mode: 0o700 });
});

it('stands beside the socket, without links on its path, and ahead of the others', () => {
  symlinkSync('.', `${directory}/link`);
  expect(writeClientKrb5Conf(`${directory}/link/own/S.ccapi`, env)).toBe(`${directory}/own/krb5.conf:/etc/other.conf`);
  expect(readFileSync(`${directory}/own/krb5.conf`, 'utf8')).toContain(`kcm_socket = ${directory}/link/own/S.ccapi\n`);
  expect(readdirSync(`${directory}/own`)).toEqual(['krb5.conf']);
});

it.each(['a:b', 'a\nb', 'a\u0085b'])('is refused for a path that it cannot hold: %j', (name) => {
  expect(() => writeClientKrb5Conf(`${directory}/${name}/S`, env)).toThrow('cannot stand in a krb5.conf');
});
