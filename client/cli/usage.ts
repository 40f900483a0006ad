import type { Command, CommandTable, Option } from './command.ts';

/** What `ccapi COMMAND --help` prints, as lines. */
export function usageOf(name: string, { synopsis, about, options = {}, example }: Command): string[] {
  const forms = synopsis.map((form, i) => `${i === 0 ? 'usage: ' : '       '}ccapi ${name} ${form}`.trimEnd());
  const rows = rowsOf(Object.entries(options));
  const examples = example.split('\n').map((line) => `  ${line}`);
  return [...forms, '', ...about.split('\n'), '', ...rows, ...(rows.length > 0 ? [''] : []), ...examples];
}

/** What `ccapi --help` prints, as lines. */
export function overview(commands: CommandTable): string[] {
  const width = Math.max(...Object.keys(commands).map((name) => name.length)) + 2;
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}${summary}`);
  return [
    'usage: ccapi COMMAND [OPTIONS]',
    '',
    ...rows,
    '',
    'ccapi help COMMAND says more of each, ccapi --version which version this is.',
  ];
}

/** An option as it is typed: by its letter where it has one. */
export function optionText(name: string, { short }: Option): string {
  return short === undefined ? `--${name}` : `-${short}`;
}

function rowsOf(options: readonly [string, Option][]): string[] {
  const texts = options.map(([name, option]) => [optionText(name, option), option.value].filter(Boolean).join(' '));
  const width = Math.max(...texts.map((text) => text.length)) + 3;
  return options.flatMap(([, { summary, help = summary }], i) =>
    help.split('\n').map((line, j) => `  ${(j === 0 ? (texts[i] as string) : '').padEnd(width)}${line}`),
  );
}
