// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the shells, not of a template.
import { parseArgs } from 'node:util';
import { type Command, type CommandTable, type Offer, type Option, printLines, UsageError } from './command.ts';
import { optionText } from './usage.ts';

/** What completions need of a command. */
interface Completed {
  name: string;
  summary: string;
  options: [name: string, option: Option][];
  offers: Offer | undefined;
}

const HELP: [string, Option] = ['help', { type: 'boolean', summary: 'say how it is used' }];

/** Prints the names of the ccaches, a line each, and starts no server for it. */
const NAMES = 'CCAPI_AUTOSTART=no ccapi list -l 2>/dev/null';

const shells = { bash: forBash, fish: forFish, zsh: forZsh };

export const completions: Command = {
  synopsis: ['bash | fish | zsh'],
  about: `Prints the completions of a shell. The package has them as files too, in dist/completions.`,
  offers: Object.keys(shells),
  example: `source <(ccapi completions bash)`,

  async run(args, commands) {
    const { positionals } = parseArgs({ args, options: {}, allowPositionals: true });
    const [shell = ''] = positionals;
    if (positionals.length !== 1 || !Object.hasOwn(shells, shell)) throw new UsageError('expected bash, fish or zsh');
    printLines(shells[shell as keyof typeof shells](await loadCompleted(commands)));
  },
};

function loadCompleted(commands: CommandTable): Promise<Completed[]> {
  return Promise.all(
    Object.entries(commands).map(async ([name, { summary, load }]) => {
      const { options = {}, offers } = await load();
      return { name, summary, options: [...Object.entries(options), HELP], offers };
    }),
  );
}

function forBash(commands: Completed[]): string[] {
  const cases = commands.map(({ name, options, offers }) => {
    const words = [...options.map(([option, is]) => optionText(option, is)), ...(isList(offers) ? offers : [])];
    return `            ${name}) words='${words.join(' ')}' ;;`;
  });
  const named = (is: (command: Completed) => boolean) => commands.filter(is).map(({ name }) => name);
  const byLetter = named(({ options }) =>
    options.some(([, { short, offers }]) => short === 'c' && offers === 'ccaches'),
  );
  const byPlace = named(({ offers }) => offers === 'ccaches');
  return [
    "# Completion of ccapi's arguments in bash; for /usr/share/bash-completion/completions/ccapi.",
    '',
    '_ccapi_names() {',
    `    ${NAMES} | sed -n 's/^.*[[:space:]]KCM:\\(.*[^ ]\\)$/\\1/; s/  (default)$//; 2,$p'`,
    '}',
    '',
    '_ccapi() {',
    '    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=',
    "    local IFS=$'\\n'",
    '    COMPREPLY=()',
    '    if ((COMP_CWORD == 1)); then',
    `        words='${commands.map(({ name }) => name).join(' ')} --help'`,
    '    elif [[ $command == exec ]]; then',
    "        [[ $prev == exec ]] && words='-- --help'",
    '        # What stands behind it is a command of its own.',
    '        if declare -F _command_offset >/dev/null; then',
    '            _command_offset $((2 + (COMP_CWORD > 2 && ${#COMP_WORDS[2]} == 2)))',
    '            return',
    '        fi',
    `    elif [[ $prev == -c && ' ${byLetter.join(' ')} ' == *" $command "* ]] ||`,
    `        [[ ' ${byPlace.join(' ')} ' == *" $command "* && $cur != -* ]]; then`,
    '        mapfile -t COMPREPLY < <(compgen -W "$(_ccapi_names)" -- "$cur")',
    '        return',
    '    else',
    '        case $command in',
    ...cases,
    '        esac',
    '    fi',
    `    IFS=' ' mapfile -t COMPREPLY < <(IFS=' '; compgen -W "$words" -- "$cur")`,
    '    [[ ${COMPREPLY[0]-} == *[:/] ]] && compopt -o nospace 2>/dev/null',
    '    return 0',
    '}',
    '',
    'complete -F _ccapi ccapi',
  ];
}

function forFish(commands: Completed[]): string[] {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const described = (summary: string) => `-d ${quoted(summary.replace(/^./, (letter) => letter.toUpperCase()))}`;
  const offered = (offers: Offer | undefined) => {
    if (offers === 'ccaches') return ["-a '(__ccapi_names)'"];
    if (offers === 'command') return ["-F -a '(__fish_complete_subcommand --fcs-skip=2)'"];
    return isList(offers) ? [`-a ${quoted(offers.join(' '))}`] : [];
  };
  const perOption = (name: string, [option, is]: [string, Option]) => {
    const letter = is.short === undefined ? `-l ${option}` : `-s ${is.short}`;
    const value = is.type === 'string' ? ['-x', ...offered(is.offers)] : [];
    return ['complete -c ccapi -n', quoted(`__ccapi_is ${name}`), letter, ...value, described(is.summary)].join(' ');
  };
  return [
    "# Completion of ccapi's arguments in fish; for /usr/share/fish/vendor_completions.d/ccapi.fish.",
    '',
    'function __ccapi_names',
    `    ${NAMES} | string match -r -g 'KCM:(.*?)(?:  \\(default\\))?$'`,
    'end',
    '',
    'function __ccapi_is',
    '    set -l words (commandline -opc)',
    '    test (count $words) -ge 2; and contains -- $words[2] $argv',
    'end',
    '',
    'complete -c ccapi -f',
    `complete -c ccapi -l help ${described(HELP[1].summary)}`,
    ...commands.map(
      ({ name, summary }) => `complete -c ccapi -n __fish_use_subcommand -a ${name} ${described(summary)}`,
    ),
    ...commands.flatMap(({ name, options, offers }) => [
      ...options.filter((option) => option !== HELP).map((option) => perOption(name, option)),
      ...offered(offers).map((words) => `complete -c ccapi -n ${quoted(`__ccapi_is ${name}`)} ${words}`),
    ]),
  ];
}

function forZsh(commands: Completed[]): string[] {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const plain = (text: string) => text.replaceAll(':', '\\:');
  const action = (offers: Offer | undefined, value = ''): string => {
    if (offers === 'ccaches') return ':ccache:_ccapi_ccaches';
    return isList(offers) ? `:argument:(${offers.map(plain).join(' ')})` : `:${value.toLowerCase()}:`;
  };
  const perOption = ([option, is]: [string, Option]) => {
    const text = `${optionText(option, is)}[${plain(is.summary)}]`;
    return quoted(is.type === 'string' ? `${text}${action(is.offers, is.value)}` : text);
  };
  const perCommand = ({ name, options, offers }: Completed) => {
    if (offers === 'command') return `        ${name}) shift words; ((CURRENT--)); _normal ;;`;
    const files = isList(offers) && offers.includes('FILE:') ? "'*:ccache:_files -P FILE\\:'" : undefined;
    const places = offers === undefined ? [] : [files ?? quoted(`*${action(offers)}`)];
    return `        ${name}) _arguments ${[...options.map(perOption), ...places].join(' ')} ;;`;
  };
  return [
    '#compdef ccapi',
    "# Completion of ccapi's arguments in zsh; for /usr/share/zsh/vendor-completions/_ccapi.",
    '',
    '_ccapi_ccaches() {',
    '  local -a names',
    `  names=(\${(f)"$(${NAMES} | sed -n '2,$s/^.*[[:space:]]KCM://p' | sed 's/  (default)$//')"})`,
    '  compadd -a names',
    '}',
    '',
    '_ccapi() {',
    '  local state',
    '  local -a commands',
    '  commands=(',
    ...commands.map(({ name, summary }) => `    ${quoted(`${name}:${plain(summary)}`)}`),
    '  )',
    `  _arguments -C '--help[${HELP[1].summary}]' '1:command:->command' '*::argument:->arguments'`,
    '  case $state in',
    '    command) _describe command commands ;;',
    '    arguments)',
    '      case $words[1] in',
    ...commands.map(perCommand),
    '      esac ;;',
    '  esac',
    '}',
    '',
    '_ccapi "$@"',
  ];
}

function isList(offers: Offer | undefined): offers is readonly string[] {
  return Array.isArray(offers);
}
