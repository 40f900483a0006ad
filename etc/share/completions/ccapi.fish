# Completion of ccapi's arguments in fish; for /usr/share/fish/vendor_completions.d/ccapi.fish.

function __ccapi_names
    CCAPI_AUTOSTART=no ccapi list -l 2>/dev/null | string match -r -g 'API:(.*?)(?:  \(default\))?$'
end

function __ccapi_is
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

complete -c ccapi -f
complete -c ccapi -l help -d 'Say how it is used'

complete -c ccapi -n __fish_use_subcommand -a list -d 'Show the tickets'
complete -c ccapi -n __fish_use_subcommand -a path -d 'Print the path of the server\'s socket'
complete -c ccapi -n __fish_use_subcommand -a env -d 'Print how a shell has stock programs use it'
complete -c ccapi -n __fish_use_subcommand -a exec -d 'Run a command with its tickets in the server'
complete -c ccapi -n __fish_use_subcommand -a import -d 'Take tickets in from a file'
complete -c ccapi -n __fish_use_subcommand -a export -d 'Write tickets to a file'
complete -c ccapi -n __fish_use_subcommand -a destroy -d 'Destroy tickets'
complete -c ccapi -n __fish_use_subcommand -a switch -d 'Choose the default ccache'
complete -c ccapi -n __fish_use_subcommand -a move -d 'Move the tickets of one ccache into another'
complete -c ccapi -n __fish_use_subcommand -a copy -d 'Copy tickets from one server to another'
complete -c ccapi -n __fish_use_subcommand -a connect -d 'Join standard input and output to it'
complete -c ccapi -n __fish_use_subcommand -a status -d 'Show how the server is'
complete -c ccapi -n __fish_use_subcommand -a doctor -d 'Find what is wrong, and say what to do'
complete -c ccapi -n __fish_use_subcommand -a purge -d 'Remove what has expired'
complete -c ccapi -n __fish_use_subcommand -a stop -d 'End the server'
complete -c ccapi -n __fish_use_subcommand -a config -d 'Show the settings, and where they were set'
complete -c ccapi -n __fish_use_subcommand -a watch -d 'Print changes as they happen'

complete -c ccapi -n '__ccapi_is list import export destroy switch copy' -s c -x -a '(__ccapi_names)' -d 'This ccache'
complete -c ccapi -n '__ccapi_is move' -a '(__ccapi_names)'
complete -c ccapi -n '__ccapi_is list' -s A -d 'All ccaches'
complete -c ccapi -n '__ccapi_is list' -s l -d 'All ccaches, a line each'
complete -c ccapi -n '__ccapi_is list' -s f -d 'With flags'
complete -c ccapi -n '__ccapi_is list' -s e -d 'With enctypes'
complete -c ccapi -n '__ccapi_is list' -s a -d 'With addresses'
complete -c ccapi -n '__ccapi_is list' -s s -d 'Only say by the exit status whether there is a ticket'
complete -c ccapi -n '__ccapi_is list' -s t -d 'The same as -s'
complete -c ccapi -n '__ccapi_is list' -l sessions -d 'Of all login sessions'
complete -c ccapi -n '__ccapi_is list' -l all -d 'With libkrb5\'s notes'
complete -c ccapi -n '__ccapi_is list status doctor config watch' -l json -d 'As JSON'
complete -c ccapi -n '__ccapi_is config' -l check -d 'Only say what is wrong'
complete -c ccapi -n '__ccapi_is path' -l explain -d 'Which rule led there'
complete -c ccapi -n '__ccapi_is env' -s s -d 'For sh'
complete -c ccapi -n '__ccapi_is env' -s c -d 'For csh'
complete -c ccapi -n '__ccapi_is destroy' -s A -d 'All ccaches'
complete -c ccapi -n '__ccapi_is destroy' -l session -d 'All of a login session'
complete -c ccapi -n '__ccapi_is switch' -s p -x -d 'The ccache of this principal'
complete -c ccapi -n '__ccapi_is copy' -l all -d 'All ccaches'
complete -c ccapi -n '__ccapi_is copy' -a '. unix:/// ssh:// exec: inetd://'
complete -c ccapi -n '__ccapi_is status' -l all-users -d 'Of all users'
complete -c ccapi -n '__ccapi_is import' -a 'FILE: DIR:'
complete -c ccapi -n '__ccapi_is export' -a FILE:
complete -c ccapi -n '__ccapi_is exec' -F -a '(__fish_complete_subcommand --fcs-skip=2)'
