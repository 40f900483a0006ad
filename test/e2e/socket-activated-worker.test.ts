// A worker as a systemd user unit: systemd's socket is S.ccapi, and the worker takes over what it is passed.
import { existsSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { isListening } from '../../etc/host/is-listening.ts';
import { credentialFor } from '../server/model/model.ts';
import { end, eventually, memory, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { cleanEnvironment, programs } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

describeWith(['Linux', 'systemd'], 'a worker that systemd starts', () => {
  const uid = process.getuid?.() as number;
  let base: string;
  let path: string;
  let worker: ReturnType<typeof start>;
  const activate = () =>
    start(
      '/usr/bin/systemd-socket-activate',
      ['-l', path, process.execPath, programs.server, `--directory=${base}`, '--idle-timeout=2'],
      {
        env: cleanEnvironment(),
        stdio: 'ignore',
      },
    );
  const context = () =>
    new Context({
      env: { CCAPI_DIRECTORY: base, CCAPI_PORT: '1', CCAPI_AUTOSTART: 'no', KRB5_CONFIG: '/nonexistent' },
    });

  beforeAll(async () => {
    base = temporaryDirectory(memory);
    mkdirSync(`${base}/${uid}`, { mode: 0o700 });
    path = `${base}/${uid}/S.ccapi`;
    worker = activate();
    await eventually(() => existsSync(path));
  });

  it('is started by the first who connects, and leaves the socket as it is', async () => {
    const before = lstatSync(path).ino;
    await using first = context();
    await using second = context();
    expect(readdirSync(`${base}/${uid}`)).toEqual(['S.ccapi']);
    const ccache = await first.createCCache('a', 'alice@R');
    await ccache.storeCredentials(credentialFor('s@R'));
    expect(await (await second.openCCache('a')).getPrincipal()).toBe('alice@R');
    expect(workersBelow(base)).toEqual([worker.pid]);
    expect(lstatSync(path).ino).toBe(before);
  });

  it('leaves when it is idle, and the next one has what it kept', async () => {
    const gone = new Promise((resolve) => worker.once('exit', resolve));
    expect(await gone).toBe(0);
    expect(lstatSync(path).isSocket()).toBe(true);
    worker = activate();
    await using after = context();
    await eventually(() => isListening(path));
    expect(await after.getDefaultCCacheName()).toBe('a');
    await end(worker);
  });
});
