/** A user whose rights are taken on; with `gid` also their group's, and no other group's. */
export interface RightsOf {
  uid: number;
  gid?: number;
}

/**
 * Does something with no more rights than a user has, where this process is root; else with its own. It has to be done at
 * once: the whole process has them. What was begun, such as a connection, was begun by the user.
 */
export function withRightsOf<T>({ uid, gid }: RightsOf, act: () => T): T {
  if (uid === 0 || process.geteuid?.() !== 0) return act();
  const own = { gid: process.getegid?.() as number, groups: process.getgroups?.() ?? [] };
  try {
    if (gid !== undefined) {
      process.setgroups?.([gid]);
      process.setegid?.(gid);
    }
    process.seteuid?.(uid);
    return act();
  } finally {
    process.seteuid?.(0);
    if (gid !== undefined) {
      process.setegid?.(own.gid);
      process.setgroups?.(own.groups);
    }
  }
}
