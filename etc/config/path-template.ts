import { ConfigError } from '../../proto/errors.ts';
import { type User, userWithUid } from '../host/passwd.ts';

/**
 * Whether a text is an absolute path without empty parts, "." and "..", that can stand on a line and in a list: without
 * control characters, since a newline in it would be another line of the launcher's answer, and without ":".
 */
export function isPlainPath(text: string): boolean {
  return /^(\/[^/:\p{Cc}]+)+$/u.test(text) && !/\/\.{1,2}(\/|$)/.test(text);
}

/** Whether a text may say where the users' directories are: an absolute path or one below `~`, one for each user. */
export function isPathTemplate(text: string): boolean {
  const isPath = isPlainPath(text.replace(/^~/, '')) && Buffer.byteLength(text) <= 80;
  const marks = text.match(/%./gs) ?? [];
  const isOnesOwn = text.startsWith('~') || marks.some((mark) => mark === '%u' || mark === '%n');
  return (
    isPath && isOnesOwn && marks.every((mark) => ['%u', '%n', '%%'].includes(mark)) && !/(?:^|[^%])(?:%%)*%$/.test(text)
  );
}

/**
 * The directory of a uid: `%u` is its number, `%n` the user's name, `~` at the beginning the home directory, `%%` a
 * percent sign. `findUser` is called where the template needs the user's entry. Throws 202 where there is none.
 */
export function expandPathTemplate(
  template: string,
  uid: number,
  findUser: () => User | undefined = () => userWithUid(uid),
): string {
  const user = () => {
    const found = findUser();
    if (found) return found;
    throw new ConfigError(`path_template = ${template}: the passwd database has no uid ${uid}`);
  };
  const path = template
    .replace(/%(.)/gs, (_, mark) => (mark === 'u' ? String(uid) : mark === 'n' ? user().name : '%'))
    .replace(/^~/, () => user().home);
  if (isPlainPath(path)) return path;
  throw new ConfigError(`path_template = ${template}: ${path} is no path for uid ${uid}`);
}
