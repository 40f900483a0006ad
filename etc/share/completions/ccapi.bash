# Completion of ccapi's arguments in bash; for /usr/share/bash-completion/completions/ccapi.

_ccapi_names() {
    CCAPI_AUTOSTART=no ccapi list -l 2>/dev/null | sed -n 's/^.*[[:space:]]API:\(.*[^ ]\)$/\1/; s/  (default)$//; 2,$p'
}

_ccapi() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=
    local IFS=$'\n'
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words='list path env exec import export destroy switch move copy connect status doctor purge stop config watch --help'
    elif [[ $command == exec ]]; then
        [[ $prev == exec ]] && words='-- --help'
        # What stands behind it is a command of its own.
        if declare -F _command_offset >/dev/null; then
            _command_offset $((2 + (COMP_CWORD > 2 && ${#COMP_WORDS[2]} == 2)))
            return
        fi
    elif [[ $prev == -c && $command != env ]] || [[ $command == move && $cur != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_ccapi_names)" -- "$cur")
        return
    else
        case $command in
            list) words='-A -l -c -f -e -a -s -t --sessions --all --json --help' ;;
            path) words='--explain --help' ;;
            env) words='-s -c --help' ;;
            import) words='-c FILE: DIR: --help' ;;
            export) words='-c FILE: --help' ;;
            destroy) words='-A -c --session --help' ;;
            switch) words='-c -p --help' ;;
            copy) words='-c --all . unix:/// ssh:// exec: inetd:// --help' ;;
            status) words='--all-users --json --help' ;;
            doctor | watch) words='--json --help' ;;
            config) words='--json --check --help' ;;
            connect | move | purge | stop) words='--help' ;;
        esac
    fi
    IFS=' ' mapfile -t COMPREPLY < <(IFS=' '; compgen -W "$words" -- "$cur")
    [[ ${COMPREPLY[0]-} == *[:/] ]] && compopt -o nospace 2>/dev/null
    return 0
}

complete -F _ccapi ccapi
