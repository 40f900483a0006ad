import { parseArgs } from 'node:util';
import { CCAPIError } from '../index.ts';
import { Locator } from '../locator.ts';
import { waitForExit } from '../worker-status.ts';
import type { Command } from './command.ts';

export const stop: Command = {
  synopsis: [''],
  about: `Has your credential-cache server on this host finish what it was asked and end. What it keeps in files is there for the next one; with
persist = never, or where no files are kept, the tickets are gone. Nothing happens where none runs.`,
  example: 'ccapi stop',

  async run(args) {
    parseArgs({ args, options: {} });
    const found = await new Locator({ here: true }).find({ launch: false });
    if (found && !(await waitForExit(found))) {
      throw new CCAPIError('ccErrServerUnavailable', `${found.path}: not a server of this host that could be ended`);
    }
  },
};
