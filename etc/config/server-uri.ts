/** Where a client may find a server, as `CCAPI_SERVER` says it (proto/RENDEZVOUS.md#other-hosts). */
export type ServerURI =
  | { scheme: 'inetd'; text: string; host: string; port: number | undefined }
  | { scheme: 'unix'; text: string; path: string }
  | { scheme: 'ssh'; text: string; user: string | undefined; host: string; port: number | undefined; command: string }
  | { scheme: 'exec'; text: string; command: [string, ...string[]] };

/** Reads URIs with commas between them, to be tried in turn; undefined where one is none of ours. */
export function parseServerURIs(text: string): ServerURI[] | undefined {
  // What is behind exec: is a command, which may have commas in it.
  const [, listed = '', command] = /^(.*?)(?:(?:^|,)\s*(exec:.*))?$/s.exec(text) ?? [];
  const texts = [...listed.split(',').map((uri) => uri.trim()), ...(command === undefined ? [] : [command.trim()])];
  const uris = texts.filter((uri) => uri !== '').map(parseServerURI);
  return uris.length > 0 && uris.every((uri) => uri !== undefined) ? uris : undefined;
}

/** Reads one of them. */
export function parseServerURI(text: string): ServerURI | undefined {
  const [, scheme = '', rest = ''] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  const read = { inetd, unix, ssh, exec }[scheme];
  return read?.(text, rest);
}

function inetd(text: string, rest: string): ServerURI | undefined {
  const [, bracketed, plain, port] =
    /^\/\/(?:\[([0-9a-fA-F:.]+)\]|([^\s/:@[\]]+))(?::([0-9]{1,5}))?\/?$/.exec(rest) ?? [];
  const host = bracketed ?? plain;
  return host === undefined || !isPort(port) ? undefined : { scheme: 'inetd', text, host, port: asPort(port) };
}

function unix(text: string, rest: string): ServerURI | undefined {
  const [, path] = /^\/\/(\/[^\0]+)$/.exec(rest) ?? [];
  return path === undefined ? undefined : { scheme: 'unix', text, path };
}

/** Neither name may begin with a hyphen: ssh would take it for an option. */
function ssh(text: string, rest: string): ServerURI | undefined {
  const [, user, bracketed, plain, port, path] =
    /^\/\/(?:([^\s/:@-][^\s/:@]*)@)?(?:\[([0-9a-fA-F:.]+)\]|([^\s/:@[\]-][^\s/:@[\]]*))(?::([0-9]{1,5}))?(\/[^\0]*)?$/.exec(
      rest,
    ) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || !isPort(port)) return undefined;
  const command = path === undefined || path === '/' ? 'ccapi' : path;
  return { scheme: 'ssh', text, user, host, port: asPort(port), command };
}

/** Words with spaces between them; single or double quotes keep what is in them together. No shell sees them. */
function exec(text: string, rest: string): ServerURI | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (const [part, spaces, single, double] of rest.matchAll(/(\s+)|'([^']*)'|"([^"]*)"|[^\s'"]+|['"]/g)) {
    if (part === "'" || part === '"') return undefined;
    if (spaces === undefined) word = (word ?? '') + (single ?? double ?? part);
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  const [program, ...args] = word === undefined ? words : [...words, word];
  return program ? { scheme: 'exec', text, command: [program, ...args] } : undefined;
}

function isPort(text: string | undefined): boolean {
  return text === undefined || (Number(text) >= 1 && Number(text) <= 65_535);
}

function asPort(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
