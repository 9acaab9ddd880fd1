# SPDX-License-Identifier: Apache-2.0
# Completion for bash: source it, or install it as /usr/share/bash-completion/completions/pronghorn.

_pronghorn()
{
    local word="${COMP_WORDS[COMP_CWORD]}" index
    # What stands behind "--" is another program's command line.
    for ((index = 1; index < COMP_CWORD; index++)); do
        if [ "${COMP_WORDS[index]}" = -- ]; then
            if ((index + 1 == COMP_CWORD)); then
                mapfile -t COMPREPLY < <(compgen -c -- "$word")
            else
                COMPREPLY=()
            fi
            return
        fi
    done

    local line="${COMP_LINE:0:COMP_POINT}"
    line="${line#"${COMP_WORDS[0]}"}"
    line="${line# }"
    mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" "[suggest:${#line}]" "$line" 2> /dev/null)
}

complete -o default -F _pronghorn pronghorn
