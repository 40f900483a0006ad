// The login session of a process, by the kernel's audit.
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { auditSession, NO_SESSION, ownSession } from '../../etc/session.ts';
import { describeWith } from '../setup/requirements.ts';

describeWith(['Linux'], 'the login session', () => {
  it('of this process has a name', () => {
    expect(auditSession('self')).toMatch(/^[0-9]+$/);
    expect(ownSession({})).toBe(auditSession('self'));
  });

  it('of a process that is not to be seen is not taken for none', () => {
    const { pid } = spawnSync('true');
    expect(auditSession(pid)).toBeUndefined();
    expect(NO_SESSION).toBe('0');
  });

  it('is what the login says, where that is a name', () => {
    expect(ownSession({ XDG_SESSION_ID: 'c2' })).toBe('c2');
    expect(ownSession({ XDG_SESSION_ID: '../..' })).toBe(auditSession('self'));
  });
});
