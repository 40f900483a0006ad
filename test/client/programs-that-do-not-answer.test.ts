// A program that gives no byte stream of a server is given up, and ended.
import { expect, it } from 'vitest';
import { openCommand, openSSH } from '../../client/transports.ts';
import { eventually, processesOf, temporaryDirectory } from '../setup/cleanup.ts';

const DEADLINE = 300;
const marked = () => `${temporaryDirectory()}/marked`;
const running = (mark: string) => processesOf('sh', mark).length > 0;

function command(...words: [string, ...string[]]) {
  const uri = { scheme: 'exec' as const, text: `exec:${words[0]}`, command: words };
  return openCommand(uri, process.env, DEADLINE);
}

it('one that says nothing', async () => {
  const mark = marked();
  const outcome = command('/bin/sh', '-c', 'exec 1>&2; read a b', mark);
  await eventually(() => running(mark));
  await expect(outcome).rejects.toMatchObject({ code: 223, message: 'exec:/bin/sh: no answer within 0.3 s' });
  await eventually(() => !running(mark));
});

it('one that says something else', async () => {
  const mark = marked();
  await expect(command('/bin/sh', '-c', 'echo; echo HTTP/1.0 400; read a b; read c', mark)).rejects.toMatchObject({
    message: 'exec:/bin/sh: what answered is no credential-cache server',
  });
  await eventually(() => !running(mark));
});

it('one that logs in and then says nothing', async () => {
  const mark = marked();
  const uri = { scheme: 'ssh' as const, text: 'ssh://host', user: undefined, host: 'host', port: undefined };
  const rsh = ['/bin/sh', '-c', 'echo Welcome; while read a; do :; done', mark] as const;
  const outcome = openSSH({ ...uri, command: 'ccapi' }, rsh, process.env, DEADLINE);
  await expect(outcome).rejects.toMatchObject({ message: 'ssh://host: no answer within 0.3 s' });
  await eventually(() => !running(mark));
});
