import { isListening } from '../../etc/host/is-listening.ts';
import { eventually, start } from '../setup/cleanup.ts';
import { cleanEnvironment } from '../setup/programs.ts';

/**
 * Starts the least server that Node can be: it echoes what it gets on a UNIX socket. `wrapper` is a command that runs it in
 * its turn. Returns the socket's path.
 */
export async function startEcho(path: string, wrapper: string[] = []): Promise<string> {
  const program = `require('net').createServer((s) => { s.on('data', (d) => s.write(d)); s.on('error', () => {}) }).listen(${JSON.stringify(path)})`;
  const [command = '', ...args] = [...wrapper, process.execPath, '-e', program];
  start(command, args, { env: cleanEnvironment(), stdio: 'ignore' });
  await eventually(() => isListening(path));
  return path;
}
