// A launcher that starts with a wrong krb5.conf refuses its clients; once that is right, all of it is in force.
import { writeFileSync } from 'node:fs';
import { afterEach, expect, it, vi } from 'vitest';
import { prepareOrRefuse } from '../../launcher/context.ts';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

afterEach(() => void vi.unstubAllEnvs());

describeWith(['Linux'], 'a launcher without settings', () => {
  it('goes on counting connections, by the limits of the settings that it gets', async () => {
    const directory = temporaryDirectory();
    const conf = `${directory}/krb5.conf`;
    vi.stubEnv('KRB5_CONFIG', conf);
    writeFileSync(conf, '[ccapi]\n idle_timeout = soon\n');
    const context = prepareOrRefuse({
      given: { directory: `${directory}/run` },
      launcherUid: process.getuid?.() as number,
      stays: true,
      log: { info: vi.fn(), warning: vi.fn(), error: vi.fn(), refusal: vi.fn() },
      startWorker: vi.fn(),
      isByUnits: false,
    });
    const { quota } = context;
    expect(quota.acquire({ destroy() {} }, 1000)).toBe(true);
    writeFileSync(conf, '[ccapi]\n max_launcher_connections = 7\n max_launcher_connections_per_uid = 3\n');
    context.refresh(true);
    expect(context.quota).toBe(quota);
    expect(quota.most).toEqual({ inAll: 7, perUid: 3 });
  });
});
