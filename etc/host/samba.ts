import { namesIn } from './read-or-nothing.ts';

/** Where distributions put libraries, there or in a directory for the architecture. */
const LIBRARIES = ['/usr/lib', '/usr/lib64'];

/**
 * Whether Samba is here with a Heimdal of its own, as in Debian. It takes `default_ccache_name = KCM:` for the name of a file,
 * and no `default_cc_type`; `default_cc_name` comes before both.
 */
export function hasSambaHeimdal(): boolean {
  return LIBRARIES.flatMap((directory) => [directory, ...namesIn(directory).map((name) => `${directory}/${name}`)])
    .flatMap((directory) => namesIn(`${directory}/samba`))
    .some((name) => name.startsWith('libkrb5-samba4.so'));
}
