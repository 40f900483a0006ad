/**
 * What the name of a ccache begins with that is still being filled. Our server has it go with the connection that made
 * it, so that nothing half-done stays where that breaks off; to MIT's it is a name like any other.
 */
const PREFIX = 'unfinished ';

/** A name that no other ccache has. */
export function stagingName(): string {
  return PREFIX + crypto.randomUUID();
}

/** Whether a ccache of this name is still being filled. */
export function isStaging(name: string): boolean {
  return name.startsWith(PREFIX);
}
