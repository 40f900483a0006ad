import { parseArgs } from 'node:util';
import { parseServerURI } from '../../etc/config/server-uri.ts';
import { type CCache, Context } from '../index.ts';
import { importCCache, readCCache, skipIfGone } from './ccache-contents.ts';
import { type Command, cacheOption, type Options, UsageError } from './command.ts';
import { iterateFinished, openCCache } from './open-ccache.ts';
import { Outcome } from './outcome.ts';

const options = {
  ...cacheOption('this ccache; without it the default one'),
  all: { type: 'boolean', summary: 'all ccaches', help: 'all of them' },
  json: { type: 'boolean', summary: 'as JSON', help: 'says as JSON which ccaches have arrived' },
} as const satisfies Options;

export const copy: Command = {
  synopsis: ['[-c NAME | --all] [--json] FROM TO'],
  about: `Copies ccaches from one credential-cache server to another. FROM and TO are "." for the one that the other commands use,
or unix:///PATH, ssh://[USER@]HOST[:PORT][/PATH/TO/ccapi], exec:COMMAND, inetd://HOST[:PORT]. What arrives takes the place
of the ccache of the same principal, or with -c of the same name, in one step: where it breaks off, nothing has changed.`,
  options,
  offers: ['.', 'unix:///', 'ssh://', 'exec:', 'inetd://'],
  example: 'ccapi copy --all . ssh://host',

  async run(args) {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [from, to] = positionals;
    if (from === undefined || to === undefined || positionals.length > 2) throw new UsageError('expected FROM and TO');
    if (values.all && values.cache !== undefined) throw new UsageError('--all and -c exclude each other');
    using outcome = new Outcome(values.json);
    await using source = new Context(optionsFor(from));
    await using destination = new Context(optionsFor(to));
    for (const ccache of await chooseCCaches(source, values)) {
      const contents = values.all ? await skipIfGone(() => readCCache(ccache)) : await readCCache(ccache);
      if (!contents) continue;
      const arrived = await importCCache(destination, contents, values.cache);
      const { principal, credentials } = contents;
      const name = await arrived.getName();
      outcome.add(
        { principal, name, credentials: credentials.length },
        `${principal}: ${credentials.length} credentials are now in KCM:${name}`,
      );
    }
  },
};

function optionsFor(text: string): { env?: NodeJS.ProcessEnv } {
  if (text === '.') return {};
  if (!parseServerURI(text)) throw new UsageError(`${JSON.stringify(text)} is neither "." nor a URI of a server`);
  return { env: { ...process.env, CCAPI_SERVER: text } };
}

async function chooseCCaches(context: Context, { all, cache }: { all?: boolean; cache?: string }): Promise<CCache[]> {
  if (!all) return [await openCCache(context, cache)];
  const ccaches: CCache[] = [];
  for await (const ccache of iterateFinished(context)) ccaches.push(ccache);
  return ccaches;
}
