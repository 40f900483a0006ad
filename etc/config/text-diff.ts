/** How many lines around a change are shown. */
const CONTEXT = 3;

/**
 * A change of a file as diff -u shows it, as lines; an empty text stands for a file that is not there. It is for files of
 * which one stretch of lines changes: all from the first line that differs to the last is one hunk.
 */
export function unifiedDiff(file: string, before: string, after: string): string[] {
  if (before === after) return [];
  const [old, now] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let same = 0;
  while (same < old.length - start && same < now.length - start && old.at(-1 - same) === now.at(-1 - same)) same++;
  const from = Math.max(0, start - CONTEXT);
  const shown = old.slice(old.length - same, old.length - same + CONTEXT);
  const range = (lines: string[]) => {
    const count = lines.length - same - from + shown.length;
    return `${count === 0 ? from : from + 1},${count}`;
  };
  return [
    `--- ${before === '' ? '/dev/null' : file}`,
    `+++ ${after === '' ? '/dev/null' : file}`,
    `@@ -${range(old)} +${range(now)} @@`,
    ...old.slice(from, start).flatMap((line) => marked(' ', line)),
    ...old.slice(start, old.length - same).flatMap((line) => marked('-', line)),
    ...now.slice(start, now.length - same).flatMap((line) => marked('+', line)),
    ...shown.flatMap((line) => marked(' ', line)),
  ];
}

/** Each with its line break, so that a last line without one differs from the same line with one. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function marked(mark: string, line: string): string[] {
  if (line.endsWith('\n')) return [`${mark}${line.slice(0, -1)}`];
  return [`${mark}${line}`, '\\ No newline at end of file'];
}
