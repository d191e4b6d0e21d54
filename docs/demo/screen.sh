# shellcheck shell=bash disable=SC2034,SC2059,SC2154 # other files set and read the same variables; formats are words
# What is seen: sentences, commands, what the programs print, columns, colors, and the wait for Enter.

set_the_screen() {
    bold='' strong='' dim='' green='' red='' yellow='' plain='' erase=''
    [[ -t 1 && ${TERM:-dumb} != dumb ]] || return 0
    [[ -t 2 ]] && erase=$'\r\e[K'
    [[ ${NO_COLOR:-} ]] ||
        bold=$'\e[1m' strong=$'\e[1;35m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[m'
}

out() { # LINE...
    [[ $quiet ]] || printf '%s\n' "$@" 2>/dev/null || fail no-output
}

emphasize() { # TEXT: into $text, with each *word* so that it strikes the eye
    local rest=$1
    text=''
    while [[ $rest == *\**\** ]]; do
        text+=${rest%%\**}$strong rest=${rest#*\*}
        text+=${rest%%\**}$plain rest=${rest#*\*}
    done
    text+=$rest
}

pad() { # TEXT COLUMNS: into $text, with blanks up to so many columns
    # In the locale C a character of UTF-8 is bytes: one that begins it, and \x80 to \xbf that go on. From \xe3
    # on, which begins U+3000 and all that follows, it fills two columns: those are Chinese and Japanese.
    local characters=${1//[$'\x80'-$'\xbf']/} wide=${1//[^$'\xe3'-$'\xf4']/}
    printf -v text '%*s' "$(($2 > ${#characters} + ${#wide} ? $2 - ${#characters} - ${#wide} : 0))" ''
    text=$1$text
}

# ---- sentences ----

experiment() { # NUMBER: on a network that nothing has used
    number=$1
    afresh
}

step() { # COUNT TITLE
    local count
    printf -v count "${words[count]}" "$number" "${1%/*}" "${1#*/}"
    out "" "$bold$count ${words[$2]}$plain"
    titled=1
}

ask() { # SENTENCE: the next command waits, with --pause
    local text
    emphasize "${words[$1]}"
    [[ $titled ]] || out ""
    out "$text"
    pending=1 titled=''
}

tell() { # SENTENCE; if the outcome was another one, the sentence would be wrong
    local text
    emphasize "${words[$1]}"
    out "${surprised:-$text}"
    surprised=''
}

recap() { # NUMBER
    local text
    emphasize "${words[recap-$1]}"
    out "" "$bold${words[recap]}$plain" "$text"
}

# ---- commands, and what they print: in the story, or with --split each in its own pane ----

terminal_of() { # WHO: into $terminal
    case $1 in
    typed | client) terminal=nc ;;
    old | new | thief) terminal=server ;;
    *) terminal=$1 ;;
    esac
}

put() { # LINE...: at $terminal
    [[ $quiet ]] && return
    if [[ ${pane[$terminal]:-} ]]; then printf '%s\n' "$@" >&"${pane[$terminal]}"; else out "${@/#/${indent:-}}"; fi
}

typed() { # WHO COMMAND [&]
    local terminal text="$green\$ $2${3:+ $3}$plain"
    terminal_of "$1"
    if [[ ${pane[$terminal]:-} ]]; then
        text="$green\$ $2$plain"
        [[ $terminal != netstat ]] || text=$'\e[H\e[2J'$text # only the newest rows
    fi
    put "$text"
}

interrupted() { # WHO: Ctrl+C in its terminal
    local terminal=$1
    if [[ ${pane[$1]:-} ]]; then put '^C'; else put "$green\$ kill -INT \$$1$plain  $dim# ${words[ctrl-c]}$plain"; fi
}

printed() { # WHO LINE...
    local terminal indent='  '
    terminal_of "$1"
    put "${@:2}"
}

said() { # WHO LINE...: of several that print at the same time
    local text terminal indent='  ' prefix=''
    terminal_of "$1"
    if [[ ! ${pane[$terminal]:-} || $1 == @(old|new|thief) ]]; then
        pad "${words[$1]}" 6
        prefix="$dim$text |$plain "
    fi
    shift
    put "${@/#/$prefix}"
}

clear_panes() { # of nc and netstat: what they show has gone
    local terminal
    for terminal in nc netstat; do
        [[ $quiet || ! ${pane[$terminal]:-} ]] || printf '\e[H\e[2J' >&"${pane[$terminal]}"
    done
}

# ---- the wait ----

wait_here() { # with --pause: for Enter. A TIME_WAIT runs out meanwhile, and its seconds are shown.
    local status line
    [[ $pause && $pending && ! $quiet ]] || { pending='' && return; }
    pending=''
    while :; do
        line=${words[enter]}
        if [[ $remains ]]; then
            if seconds_left "$remains"; then
                printf -v line "$line  ${words[seconds]}" "$remains" "$n"
            else
                printf -v line "$line  ${words[no-seconds]}" "$remains"
            fi
        fi
        if [[ ! $prompt || ($erase && $line != "$prompt") ]]; then printf '%s%s ' "$erase" "$dim$line$plain" >&2; fi
        prompt=$line
        # In turns, for bash may notice a signal that comes just before a read only at its end.
        read -rt 1 && status=0 || status=$?
        ((status > 128)) || break
    done
    prompt=''
    ((status == 0)) || echo >&2 # the end of the input, which no newline echoes
    if [[ $erase ]]; then printf '\e[A%s' "$erase" >&2; fi
}
