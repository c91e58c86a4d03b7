# bash completion for sluice. Commands and options are those that its --help tells of.

_sluice_options() {
    sluice "$1" --help 2>/dev/null | grep -oE -- '(^|[ ,[])--?[a-z][a-z-]*' | grep -oE -- '--?[a-z-]+' | sort -u
}

_sluice() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]-}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(sluice --help 2>/dev/null |
            sed -n '/^commands:/,/^$/s/^  \([a-z-]*\).*/\1/p') --help --version" -- "$word")
        return
    fi
    case $command:$before in
    *:--log-format) mapfile -t COMPREPLY < <(compgen -W "logfmt json" -- "$word") ;;
    *:--log-level) mapfile -t COMPREPLY < <(compgen -W "debug info warning error" -- "$word") ;;
    *:--haproxy | *:-H) mapfile -t COMPREPLY < <(compgen -W "2.6 3.0 3.2" -- "$word") ;;
    spoe-config:--only | spoe-config:-o) mapfile -t COMPREPLY < <(compgen -W "spoe haproxy" -- "$word") ;;
    replay:--format | replay:-f) mapfile -t COMPREPLY < <(compgen -W "http json" -- "$word") ;;
    import:import) mapfile -t COMPREPLY < <(compgen -W "envoy" -- "$word") ;;
    *)
        if [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_sluice_options "$command")" -- "$word")
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    esac
}

complete -F _sluice sluice
