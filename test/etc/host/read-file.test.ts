import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import { readSection } from '../../../etc/config/krb5-conf.ts';
import { readRegularFile } from '../../../etc/host/read-file.ts';
import { afterwards, temporaryDirectory } from '../../setup/cleanup.ts';
import { ccapi } from '../../setup/programs.ts';

const MiB = 2 ** 20;
let directory: string;

beforeEach(async () => {
  directory = temporaryDirectory();
  execFileSync('mkfifo', [`${directory}/fifo`]);
  mkdirSync(`${directory}/directory`);
  writeFileSync(`${directory}/sparse`, Buffer.from([5, 4]));
  truncateSync(`${directory}/sparse`, 2 ** 40);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${directory}/socket`, resolve));
  afterwards(() => void server.close());
});

/** What is refused, and in which words. */
const others: [name: string, path: () => string, why: string][] = [
  ['a device without an end', () => '/dev/zero', '/dev/zero is a device and not a file'],
  ['a FIFO', () => `${directory}/fifo`, `fifo is a FIFO and not a file`],
  ['a sparse file of a terabyte', () => `${directory}/sparse`, 'sparse is larger than '],
];

describe('a file', () => {
  it.each([0, 1, 2, 3, 4095, 4096, 4097, 100_000, MiB])('of %i bytes is read as a whole, through links', (size) => {
    const bytes = Buffer.from(Array.from({ length: size }, (_, i) => i % 251));
    writeFileSync(`${directory}/file`, bytes);
    symlinkSync('file', `${directory}/link`);
    expect(readRegularFile(`${directory}/link`, MiB).equals(bytes)).toBe(true);
  });

  it('is refused by one byte too many', () => {
    writeFileSync(`${directory}/file`, Buffer.alloc(MiB + 1));
    const unread = () => {
      throw new Error('it was read');
    };
    expect(() => readRegularFile(`${directory}/file`, MiB, unread)).toThrow('file is larger than 1 MiB, the limit');
  });

  it('is refused where it grows beyond that while it is read', () => {
    writeFileSync(`${directory}/file`, 'ab');
    const grow = () => appendFileSync(`${directory}/file`, Buffer.alloc(2 * MiB));
    expect(() => readRegularFile(`${directory}/file`, MiB, grow)).toThrow('is larger than 1 MiB');
  });

  it('is judged by its first two bytes before the rest is read', () => {
    writeFileSync(`${directory}/file`, 'abc');
    const heads: string[] = [];
    const refuse = (head: Buffer) => {
      heads.push(head.toString());
      throw new Error('refused');
    };
    expect(() => readRegularFile(`${directory}/file`, MiB, refuse)).toThrow('refused');
    expect(heads).toEqual(['ab']);
  });

  it.runIf(process.platform === 'linux')('of /proc, which says that it is empty, is read', () => {
    expect(readRegularFile('/proc/self/maps', MiB).length).toBeGreaterThan(4096);
    expect(readRegularFile('/proc/self/cmdline', MiB).equals(readFileSync('/proc/self/cmdline'))).toBe(true);
  });

  it('is empty where it is /dev/null', () => {
    expect(readRegularFile('/dev/null', MiB)).toHaveLength(0);
  });

  it.each([
    ...others,
    ['a directory', () => `${directory}/directory`, 'directory is a directory and not a file'],
    ['a socket', () => `${directory}/socket`, 'ENXIO'],
    ['nothing', () => `${directory}/none`, 'ENOENT'],
  ] as typeof others)('is not %s', (_, path, why) => {
    expect(() => readRegularFile(path(), MiB)).toThrow(why);
  });
});

describe('refused at once, and by name, is', () => {
  const env = () => ({ CCAPI_DIRECTORY: `${directory}/run`, CCAPI_PORT: '1' });

  it.each(others)('%s as a krb5.conf, in the list, an include, or a directory', (_, path, why) => {
    expect(() => readSection([path()], 'ccapi')).toThrow(why);
    writeFileSync(`${directory}/conf`, `# a comment\ninclude ${path()}\n`);
    expect(() => readSection([`${directory}/conf`], 'ccapi')).toThrow(`${directory}/conf:2: `);
    expect(() => readSection([`${directory}/conf`], 'ccapi')).toThrow(why);
    symlinkSync(path(), `${directory}/directory/linked`);
    writeFileSync(`${directory}/conf`, `includedir ${directory}/directory\n`);
    expect(() => readSection([`${directory}/conf`], 'ccapi')).toThrow(
      `${directory}/conf:1: ${directory}/directory/linked`,
    );
  });

  it.each(others)('%s by import', async (_, path, why) => {
    const { code, stderr } = await ccapi(['import', `FILE:${path()}`], { env: env() });
    expect(code).toBe(1);
    expect(stderr).toContain(why);
  });

  it('a large file that is no ccache, by its first bytes', async () => {
    writeFileSync(`${directory}/large`, '');
    truncateSync(`${directory}/large`, 64 * MiB);
    const { code, stderr } = await ccapi(['import', `FILE:${directory}/large`], { env: env() });
    expect([code, stderr]).toEqual([1, `ccapi: ${directory}/large: not a FILE ccache\n`]);
  });

  it('a FIFO in a DIR, as a ccache and as its primary', async () => {
    execFileSync('mkfifo', [`${directory}/directory/tkt`]);
    const asCCache = await ccapi(['import', `DIR:${directory}/directory`], { env: env() });
    expect([asCCache.code, asCCache.stderr]).toEqual([1, expect.stringContaining('tkt is a FIFO and not a file')]);
    execFileSync('mkfifo', [`${directory}/directory/primary`]);
    const asPrimary = await ccapi(['import', `DIR:${directory}/directory`], { env: env() });
    expect([asPrimary.code, asPrimary.stderr]).toEqual([
      1,
      expect.stringContaining('primary is a FIFO and not a file'),
    ]);
  });

  it('a FIFO that KRB5_CONFIG names, by every program', async () => {
    const { code, stderr } = await ccapi(['list'], { env: { ...env(), KRB5_CONFIG: `${directory}/fifo` } });
    expect([code, stderr]).toEqual([1, expect.stringContaining(`${directory}/fifo is a FIFO and not a file`)]);
  });
});
