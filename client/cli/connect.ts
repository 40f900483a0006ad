import { parseArgs } from 'node:util';
import { Locator } from '../locator.ts';
import { type Command, joinStreams } from './command.ts';

export const connect: Command = {
  synopsis: [''],
  about: `Joins standard input and output to your credential-cache server, which is started if it does not run: the far end of
ssh://. Nothing is added to what either says; it ends with either.`,
  example: `CCAPI_SERVER='exec:ssh host ccapi connect' ccapi list`,

  async run(args) {
    parseArgs({ args, options: {} });
    const locator = new Locator({ here: true });
    const { socket } = await locator.find({ launch: true });
    await joinStreams(socket);
  },
};
