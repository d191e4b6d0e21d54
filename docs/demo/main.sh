# shellcheck shell=bash disable=SC2034,SC2154 # the other files read what this one sets
# The order of things: signals, the arguments, tools, the build, the network, the story, the table.
# docs/demo.sh sources this and calls `main`.
# No $(...) in these files: bash can lose a Ctrl+C that comes while it reads the output of one. `read` from a
# process substitution or from a file does not.

# First of all: an older bash, such as macOS's, does not know `declare -A`.
read -r system machine < <(uname -sm)
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || {
    echo "demo.sh: Linux and bash 4.4 or newer are needed, not $system and bash $BASH_VERSION" >&2
    exit 1
}

die() { # MESSAGE
    complain "$1"
    exit "$failure"
}

complain() { # MESSAGE
    printf 'demo.sh: %s\n' "$1" >&2
    keep_errors "demo.sh: $1"
}

trap_signals() { # ARGUMENTS...
    local key value ignored=0
    trap clean_up EXIT
    # A second signal must not end the clean-up.
    trap 'ignore_signals; exit 129' HUP
    trap 'ignore_signals; exit 130' INT
    trap 'ignore_signals; exit 141' PIPE
    trap 'ignore_signals; exit 143' TERM
    # bash cannot trap a signal that was ignored from its start, as in a background job of a script, and its
    # children ignore it too. SIGHUP stays ignored: nohup asks for that.
    while read -r key value; do
        [[ $key == SigIgn: ]] && ignored=$((16#$value & 0x1002)) # SIGINT is 2, SIGPIPE is 13
    done </proc/$$/status
    ((ignored)) || return
    env --default-signal=INT true 2>/dev/null ||
        fail signals-ignored
    exec env --default-signal=INT --default-signal=PIPE bash "$0" "$@"
}

main() { # ARGUMENTS...
    local number
    choose_language
    [[ $system == Linux ]] || fail not-linux
    trap_signals "$@"
    [[ -f $root/src/treuseaddr.c ]] ||
        fail no-sources
    { : <&0; } 2>/dev/null || exec </dev/null

    read_options "$@"
    set_the_screen
    if [[ $by_hand ]]; then
        make_folder
        print_by_hand
        return
    fi
    [[ $kind != rust || $machine == @(x86_64|aarch64|riscv64) ]] ||
        fail wrong-machine "$machine"
    make_folder
    find_all_tools
    if [[ $split && ! ${TREUSEADDR_DEMO_PANES:-} ]]; then split_screen "$@"; fi
    build_all
    find_network
    open_panes
    for number in $experiments; do "experiment_$number"; done
    report
}

root=${folder%/docs/demo}
port=3459 hex_port=0D83 limit=20 failure=1
unbuffered=() inside=() jobs=() results=() done_so_far=()
receivers=() panes=() other=()
dir='' network='' tcp='' launched='' quiet='' pending='' titled='' prompt='' noted='' sender_noted='' surprised='' remains='' restarted='' tmux='' n=0
declare -A code=([ESTABLISHED]=01 [FIN_WAIT2]=05 [TIME_WAIT]=06 [LISTEN]=0A) # of /proc/net/tcp
declare -A last_words=([treuseaddr]=connected [treuseaddr2]=exit) # once a client is there
declare -A pane=() pid=() words=()

for file in by-hand build install network options processes report screen split stage states tools; do
    # shellcheck disable=SC1090
    . "$folder/$file.sh"
done
