import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type CCacheFile, writeCCacheFile } from '../../proto/ccache-file.ts';
import { fromCredentialV5 } from '../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { Context } from '../index.ts';
import { type CCacheContents, readCCache } from './ccache-contents.ts';
import { type Command, cacheOption } from './command.ts';
import { filePath, onlyResidual } from './file-ccaches.ts';
import { openCCache } from './open-ccache.ts';

const options = cacheOption('this ccache');

export const exportTickets: Command = {
  synopsis: ['[-c NAME] FILE:PATH'],
  about: `Writes the default ccache to a file that every Kerberos program reads. Only you may read it, and it is there as a
whole or not at all.`,
  options,
  offers: ['FILE:'],
  example: 'ccapi export FILE:/tmp/for-java && KRB5CCNAME=/tmp/for-java java …',

  async run(args) {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const path = filePath(onlyResidual(positionals, 'FILE:PATH'));
    await using context = new Context();
    const contents = await readCCache(await openCCache(context, values.cache));
    replaceFile(path, writeCCacheFile(fileOf(contents)));
  },
};

function fileOf({ principal: text, kdcOffset, credentials: stored }: CCacheContents): CCacheFile {
  const credentials = stored.map(fromCredentialV5);
  // A ccache's own principal has lost its name type on the way; the tickets made for it have not.
  const own = stored.findIndex(({ client }) => client === text);
  return {
    ...(kdcOffset === undefined ? {} : { kdcOffset: { seconds: kdcOffset, microseconds: 0 } }),
    otherTags: [],
    principal: credentials[own]?.client ?? parsePrincipal(text),
    credentials,
  };
}

/** A reader of the path finds the old file or the new one. */
function replaceFile(path: string, bytes: Buffer): void {
  const temporary = `${path}.${process.pid}.${process.hrtime.bigint() % 1_000_000n}`;
  const descriptor = openSync(temporary, 'wx', 0o600);
  try {
    writeFileSync(descriptor, bytes);
    fsyncSync(descriptor);
    renameSync(temporary, path);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  } finally {
    closeSync(descriptor);
    bytes.fill(0);
  }
}
