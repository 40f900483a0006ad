/** A systemd unit as `ccapi-launcher --print-systemd-units` prints it: the path that its first line names, and its text. */
export interface PrintedUnit {
  path: string;
  text: string;
}

/** Cuts what is printed before each line that names a place. */
export function parseUnits(text: string): PrintedUnit[] {
  return text.split(/^(?=# For \S+\.(?:slice|socket|service)[.:])/m).flatMap((part) => {
    const path = /^# For (\S+?)[.:](?:\s|$)/.exec(part)?.[1];
    return path === undefined ? [] : [{ path, text: part }];
  });
}

/** Whether systemd is to start it by itself. Source: systemd.unit(5). */
export function isEnabling({ text }: PrintedUnit): boolean {
  return text.includes('\n[Install]\n');
}
