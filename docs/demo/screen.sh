# shellcheck shell=bash
# What is seen: sentences, commands and what the programs print, in the story or with --split in panes; colors;
# and the wait for Enter.

declare -A color=([bold]='' [strong]='' [dim]='' [green]='' [red]='' [yellow]='' [plain]='')
erase=''     # begins a line anew, where that can be done
quiet=''     # is what the stopped server has left made anew?
waits=0      # how many waits this experiment has had
silent=0     # after going back: nothing is shown before so many of them
declare -A last_wait=() # how many each experiment had in all
titled=''    # is the title of a step the last line?
pending=''   # is there a question, so that the next command waits?
prompt=''    # the line at which it waits
surprised='' # what is said in place of the next sentence, which would be wrong
declare -A noted=() # the notes that have been made, each once
declare -A pane=()  # with --split, the terminals: of the server, of nc, of netstat
panes=()            # tmux's names of them
tmux=''             # the process of tmux, in the demo that has started it

set_the_screen() {
    [[ -t 1 && ${TERM:-dumb} != dumb ]] || return 0
    [[ -t 2 ]] && erase=$'\r\e[K'
    [[ ${NO_COLOR:-} ]] ||
        color=([bold]=$'\e[1m' [strong]=$'\e[1;35m' [dim]=$'\e[2m' [green]=$'\e[32m' [red]=$'\e[31m'
            [yellow]=$'\e[33m' [plain]=$'\e[m')
}

is_silent() { [[ $quiet ]] || ((waits < silent)); }

out() { # LINE...
    is_silent || printf '%s\n' "$@" 2>/dev/null || fail no-output
}

emphasize() { # TEXT: with each *word* so that it strikes the eye
    local rest=$1 text=''
    while [[ $rest == *\**\** ]]; do
        text+=${rest%%\**}${color[strong]} rest=${rest#*\*}
        text+=${rest%%\**}${color[plain]} rest=${rest#*\*}
    done
    result=$text$rest
}

pad() { # TEXT COLUMNS: with blanks up to so many columns
    # In the locale C a character of UTF-8 is bytes: one that begins it, and \x80 to \xbf that go on. From \xe3
    # on, which begins U+3000 and all that follows, it fills two columns: those are Chinese and Japanese.
    local characters=${1//[$'\x80'-$'\xbf']/} wide=${1//[^$'\xe3'-$'\xf4']/} blanks
    blanks=$(($2 - ${#characters} - ${#wide}))
    printf -v result '%s%*s' "$1" "$((blanks > 0 ? blanks : 0))" ''
}

# ---- sentences ----

step() { # COUNT TITLE
    format count "$number" "${1%/*}" "${1#*/}"
    out "" "${color[bold]}$result ${words[$2]}${color[plain]}"
    titled=1
}

ask() { # SENTENCE: at which the next command waits
    emphasize "${words[$1]}"
    [[ $titled ]] || out ""
    out "$result"
    pending=1 titled=''
}

tell() { # SENTENCE; if the outcome was another one, the sentence would be wrong
    emphasize "${words[$1]}"
    out "${surprised:-$result}"
    surprised=''
}

note() { # KEY ARGUMENT...: once
    [[ ! ${noted[$1]:-} ]] || return 0
    noted[$1]=1
    format "$@"
    out "  ${color[dim]}$result${color[plain]}"
}

recap() { # NUMBER
    emphasize "${words[recap-$1]}"
    out "" "${color[bold]}${words[recap]}${color[plain]}" "$result"
}

# ---- commands, and what they print: in the story, or with --split each in its own pane ----

terminal_of() { # WHO
    case $1 in
    typed | client) result=nc ;;
    old | new | thief) result=server ;;
    *) result=$1 ;;
    esac
}

put() { # TERMINAL INDENT LINE...: indented in the story alone
    local terminal=$1 indent=$2
    shift 2
    if [[ ! ${pane[$terminal]:-} ]]; then
        out "${@/#/$indent}"
    elif ! is_silent; then
        printf '%s\n' "$@" >&"${pane[$terminal]}"
    fi
}

typed() { # WHO COMMAND [&]
    local line="${color[green]}\$ $2${3:+ $3}${color[plain]}"
    terminal_of "$1"
    if [[ ${pane[$result]:-} ]]; then
        line="${color[green]}\$ $2${color[plain]}"
        [[ $result != netstat ]] || line=$'\e[H\e[2J'$line # only the newest rows
    fi
    put "$result" '' "$line"
}

interrupted() { # WHO: Ctrl+C in its terminal
    if [[ ${pane[$1]:-} ]]; then
        put "$1" '' '^C'
    else
        out "${color[green]}\$ kill -INT \$$1${color[plain]}  ${color[dim]}# ${words[ctrl-c]}${color[plain]}"
    fi
}

printed() { # WHO LINE...
    terminal_of "$1"
    put "$result" '  ' "${@:2}"
}

said() { # WHO LINE...: of several that print at the same time
    local terminal prefix=''
    terminal_of "$1"
    terminal=$result
    if [[ ! ${pane[$terminal]:-} || $1 == @(old|new|thief) ]]; then
        pad "${words[$1]}" 6
        prefix="${color[dim]}$result |${color[plain]} "
    fi
    shift
    put "$terminal" '  ' "${@/#/$prefix}"
}

hear() { # FILE TEXT: waits for the text, and shows all that the program has printed
    local lines
    format for-text "$2" "${words[$1]}"
    await "$result" has_printed "$1" "$2"
    mapfile -t lines <"$1"
    said "$1" "${lines[@]}"
}

# ---- the wait ----

wait_here() { # for Enter, if there is a question. A TIME_WAIT runs out meanwhile, and its seconds are shown.
    local status line typed drawn=''
    if [[ ! $pause || ! $pending || $quiet ]]; then
        pending=''
        return
    fi
    pending=''
    last_wait[$number]=$((++waits))
    ((waits > silent)) || return 0
    silent=0
    trap 'drawn=' CONT # after Ctrl+Z and fg it is drawn again
    while :; do
        line=${words[enter]}
        ((waits > 1)) || line+="  ${words[keys]}"
        if [[ $remains ]]; then
            if seconds_left "$remains"; then
                format seconds "$remains" "$result"
            else
                format no-seconds "$remains"
            fi
            line+="  $result"
        fi
        if [[ ! $drawn || ($erase && $line != "$prompt") ]]; then
            drawn=1 # first: the signal may come while it is drawn
            printf '%s%s ' "$erase" "${color[dim]}$line${color[plain]}" >&2
            prompt=$line
        fi
        # In turns, for bash may notice a signal that comes just before a read only at its end.
        read -rt 1 typed && status=0 || status=$?
        ((status > 128)) || break
    done
    trap - CONT
    prompt=''
    ((status == 0)) || echo >&2 # the end of the input, which no newline echoes
    if [[ $erase ]]; then printf '\e[A%s' "$erase" >&2; fi
    case $typed in
    [qQ]*) exit 0 ;;
    [bB]*) go_back ;;
    esac
}

# To the wait before this one: its experiment is played again, in silence up to there. The place that has
# called is not returned to: the rest of the demo is played from here, and exits.
go_back() {
    local target=$((waits - 1)) first=$number chosen row kept=()
    if ((target == 0)); then # the last one of the experiment before, or the first one again
        for chosen in $experiments; do
            ((chosen >= number)) || first=$chosen target=${last_wait[$chosen]}
        done
    fi
    silent=$((target > 0 ? target - 1 : 0))
    for row in "${outcomes[@]}"; do ((${row%% *} >= first)) || kept+=("$row"); done
    outcomes=("${kept[@]}") surprised='' titled=''
    printf '\n%s\n' "${color[dim]}${words[back]}${color[plain]}"
    play "$first"
}

# ---- --split: the same demo in tmux, the story at the top, below it the server and nc, and netstat at the bottom ----

split_screen() { # ARGUMENTS...: starts the demo again, in tmux, and waits for its end
    local height=0 width=0 status demo tty
    stty size >terminal || echo 0 0 >terminal
    read -r height width <terminal
    ((height >= 24 && width >= 80)) || fail small-terminal "$width" "$height"
    exec {tty}<&0 # a background job has no other standard input
    # The socket's path is in $dir, by a name that is short: unix(7) allows 107 bytes.
    printf -v demo '%q ' env TREUSEADDR_DEMO_PANES="$dir" bash "$folder/../demo.sh" --lang "$language" "$@"
    printf '%s\n' 'set -g default-shell /bin/sh' 'set -g status off' 'set -g destroy-unattached on' 'set -s escape-time 0' >tmux.conf
    TMUX='' tmux ${utf8:+-u} -S "/proc/$$/cwd/tmux" -f tmux.conf new-session "$demo" <&"$tty" 2>tmux.log &
    tmux=$!
    wait "$tmux"
    [[ -r status ]] || { contents tmux.log && fail tmux-ended "$result"; }
    tmux=''
    read -r status <"$dir/status"
    [[ ! -r report ]] || { contents report && out "$result"; }
    [[ ! -r errors ]] || cat errors >&2
    exit "$status"
}

end_tmux() { # with the demo in it, which then cleans up
    local i
    [[ $tmux ]] || return 0
    tmux -S "/proc/$$/cwd/tmux" kill-server 2>/dev/null
    wait "$tmux"
    for ((i = 0; i < 500; i++)); do
        [[ -e inside && ! -e status ]] || break
        doze
    done
}

open_panes() {
    [[ $outer ]] || return 0
    open_pane netstat -v -l 13
    open_pane server -v -b -l 6
    open_pane nc -h -l 40
    tmux select-pane -t "$TMUX_PANE"
    printf '\e[H\e[2J'
}

open_pane() { # NAME OPTION...: beside or below the one that is active
    local id tty
    tmux split-window -P -F '#{pane_id} #{pane_tty}' "${@:2}" 'exec tail -f /dev/null' >opened
    read -r id tty <opened
    [[ $tty ]] || fail no-pane
    exec {tty}>"$tty"
    pane[$1]=$tty panes+=("$id")
}

clear_panes() { # of nc and netstat: what they show has gone
    local terminal
    for terminal in nc netstat; do
        is_silent || [[ ! ${pane[$terminal]:-} ]] || printf '\e[H\e[2J' >&"${pane[$terminal]}"
    done
}

close_panes() {
    local id
    pane=()
    for id in "${panes[@]}"; do tmux kill-pane -t "$id" 2>/dev/null; done
    panes=()
}

keep_errors() { # LINES, which would go with tmux
    [[ ! $outer ]] || printf '%s\n' "$1" >>"$outer/errors"
}

keep_report() { # LINE...: for the terminal in which tmux was started, once it is read here
    [[ $outer ]] || return 0
    printf '%s\n' "$@" >"$outer/report"
    pending=1
    wait_here
}
