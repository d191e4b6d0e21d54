# shellcheck shell=bash disable=SC2034,SC2154 # other files set and read the same variables
# --split: the same demo in tmux, the story at the top, the server on the left, nc and netstat on the right.

split_screen() { # ARGUMENTS...: starts the demo again, in tmux, and waits for its end
    local lines=0 columns=0 status text tty
    read -r lines columns < <(stty size || echo 0 0)
    ((lines >= 24 && columns >= 80)) ||
        fail small-terminal "$columns" "$lines"
    exec {tty}<&0 # a background job has no other standard input
    # The socket's path is in $dir, by a name that is short: unix(7) allows 107 bytes.
    printf -v text '%q ' env TREUSEADDR_DEMO_PANES="$dir" bash "$folder/../demo.sh" --lang "$language" "$@"
    printf '%s\n' 'set -g default-shell /bin/sh' 'set -g status off' 'set -g destroy-unattached on' 'set -s escape-time 0' >tmux.conf
    TMUX='' tmux ${utf8:+-u} -S "/proc/$$/cwd/tmux" -f tmux.conf new-session "$text" <&"$tty" 2>tmux.log &
    tmux=$!
    wait "$tmux"
    [[ -r status ]] || { contents tmux.log && fail tmux-ended "$text"; }
    tmux=''
    read -r status < <(cat status)
    [[ ! -r report ]] || { contents report && out "$text"; }
    [[ ! -r errors ]] || cat errors >&2
    exit "$status"
}

end_tmux() { # with the demo in it, which then cleans up
    local i
    [[ ${tmux:-} ]] || return 0
    tmux -S "/proc/$$/cwd/tmux" kill-server 2>/dev/null
    wait "$tmux"
    for ((i = 0; i < 500; i++)); do
        [[ -e inside && ! -e status ]] || break
        doze
    done
}

open_panes() {
    [[ ${TREUSEADDR_DEMO_PANES:-} ]] || return 0
    open_pane server -v -l 13
    open_pane nc -h -l 48
    open_pane netstat -v -l 8
    tmux select-pane -t "$TMUX_PANE"
    printf '\e[H\e[2J'
}

open_pane() { # NAME OPTION...: beside or below the one that is active
    local id tty
    read -r id tty < <(tmux split-window -P -F '#{pane_id} #{pane_tty}' "${@:2}" 'exec tail -f /dev/null')
    [[ $tty ]] || fail no-pane
    exec {tty}>"$tty"
    pane[$1]=$tty panes+=("$id")
}

keep_errors() { # LINES, which would go with tmux
    [[ ! ${TREUSEADDR_DEMO_PANES:-} ]] || printf '%s\n' "$1" >>"$TREUSEADDR_DEMO_PANES/errors"
}

close_panes() {
    local id
    pane=()
    for id in "${panes[@]}"; do tmux kill-pane -t "$id" 2>/dev/null; done
    panes=()
}

keep_report() { # LINE...: for the terminal in which tmux was started, once it is read here
    [[ ${TREUSEADDR_DEMO_PANES:-} ]] || return 0
    printf '%s\n' "$@" >"$TREUSEADDR_DEMO_PANES/report"
    pending=1
    wait_here
}
