# shellcheck shell=bash
# The order of things: signals, the arguments, tools, the build, the network, the story, the table.
# docs/demo.sh sources this and calls `main`.
#
# Two rules for all of these files:
# - A function that finds a text or a number leaves it in $result. Take it at once: the next call may overwrite it.
# - No $(...) and no <(...) once signals are trapped: bash can lose a Ctrl+C that comes while it reads the output
#   of the one or parses the other. `read` from a file does not.
# The files share their variables, so shellcheck has to see all of them: `shellcheck -x -a docs/demo.sh`.

# First of all: an older bash, such as macOS's, does not know `declare -A`.
read -r system machine < <(uname -sm)
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || {
    case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
    zh*.[Uu][Tt][Ff]*) echo "demo.sh: 需要 Linux 和 bash 4.4 或更高版本，这里是 $system 和 bash $BASH_VERSION" >&2 ;;
    *) echo "demo.sh: Linux and bash 4.4 or newer are needed, not $system and bash $BASH_VERSION" >&2 ;;
    esac
    exit 1
}

result=''
root=${folder%/docs/demo}
port=3459 hex_port=0D83
limit=20    # seconds that a state is waited for
failure=1   # the exit status of an error
outcomes=() # rows of the table: program|old|new|expected|seen
utf8=''     # has the locale this encoding?
language=''
declare -A words=()
outer=${TREUSEADDR_DEMO_PANES:-} # with --split, in tmux: the folder of the demo that has started tmux
# The arguments.
kind=rust      # or c, or libc
experiments='' # their numbers
mode=''        # or split, or by-hand
pause=''       # are questions waited at?

# shellcheck source=tests/scripts/install.sh
. "$root/tests/scripts/install.sh"
# shellcheck source=docs/demo/programs.sh
. "$folder/programs.sh"
# shellcheck source=docs/demo/processes.sh
. "$folder/processes.sh"
# shellcheck source=docs/demo/network.sh
. "$folder/network.sh"
# shellcheck source=docs/demo/screen.sh
. "$folder/screen.sh"
# shellcheck source=docs/demo/stage.sh
. "$folder/stage.sh"
# shellcheck source=docs/demo/by-hand.sh
. "$folder/by-hand.sh"

main() { # ARGUMENTS...
    choose_language
    [[ $system == Linux ]] || fail not-linux
    find_cargo # before signals are trapped: it has a process substitution
    trap_signals "$@"
    [[ -f $root/src/treuseaddr.c ]] || fail no-sources
    { : <&0; } 2>/dev/null || exec </dev/null

    read_options "$@"
    set_the_screen
    if [[ $mode == by-hand ]]; then
        make_folder
        print_by_hand
        return
    fi
    [[ $kind != rust || $machine == @(x86_64|aarch64|riscv64) ]] || fail wrong-machine "$machine"
    make_folder
    find_all_tools
    if [[ $mode == split && ! $outer ]]; then split_screen "$@"; fi
    build_all
    find_network
    open_panes
    play "${experiments%% *}"
}

play() { # FIRST: the experiments from this one on, then the table; and the demo ends
    local chosen
    for chosen in $experiments; do
        ((chosen >= $1)) || continue
        waits=0
        "experiment_$chosen"
    done
    report
    exit
}

format() { # KEY ARGUMENT...: these words, filled in, into $result
    # shellcheck disable=SC2059 # the words are a format
    printf -v result -- "${words[$1]}" "${@:2}"
}

fail() { # KEY ARGUMENT...: dies with these words
    format "$@"
    die "$result"
}

die() { # MESSAGE
    complain "$1"
    exit "$failure"
}

complain() { # MESSAGE
    printf 'demo.sh: %s\n' "$1" >&2
    keep_errors "demo.sh: $1"
}

misuse() { # KEY ARGUMENT...: as fail, with the status of wrong usage
    failure=2
    fail "$@"
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
    env --default-signal=INT true 2>/dev/null || fail signals-ignored
    exec env --default-signal=INT --default-signal=PIPE bash "$0" "$@"
}

# ---- the arguments and the environment ----

read_options() { # ARGUMENTS...
    local help='' no_pause='' file known=''
    while (($#)); do
        case $1 in
        --c | --libc)
            [[ $kind == rust || $kind == "${1#--}" ]] || misuse c-or-libc
            kind=${1#--}
            ;;
        --only)
            [[ ${2:-} == [123] ]] || misuse which-experiment
            choose_experiments "$2"
            shift
            ;;
        --all) choose_experiments "1 2 3" ;;
        --no-pause) no_pause=1 ;;
        --split | --by-hand)
            [[ ! $mode || $mode == "${1#--}" ]] || misuse split-or-by-hand
            mode=${1#--}
            ;;
        --lang)
            if [[ ${2:-} != [a-z][a-z] || ! -r $folder/words.$2.sh ]]; then
                for file in "$folder"/words.*.sh; do
                    file=${file%.sh}
                    known+="${known:+, }${file##*.}"
                done
                misuse which-language "$known"
            fi
            read_words "$2"
            shift
            ;;
        -h | --help) help=1 ;;
        *) misuse unknown-argument "$1" ;;
        esac
        shift
    done
    [[ ! $help ]] || { out "${words[usage]}" && exit; }
    [[ $no_pause || ! -t 0 || ! -t 1 || ! -t 2 ]] || pause=1
    [[ $mode != split || ! $no_pause ]] || misuse split-pauses
    [[ $mode != split || $pause ]] || misuse no-terminal
    experiments=${experiments:-1 2}
    [[ $kind == rust ]] || unbuffered=(stdbuf -oL)
    if [[ ! ${CARGO_TARGET_DIR:-} ]]; then
        CARGO_TARGET_DIR=$root/target/demo
    elif [[ $CARGO_TARGET_DIR != /* ]]; then
        CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR
    fi
    export CARGO_TARGET_DIR LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
}

choose_experiments() { # NUMBERS
    [[ ! $experiments || $experiments == "$1" ]] || misuse only-or-all
    experiments=$1
}

choose_language() { # of the locale, if there are words in it and it has their encoding
    local locale=${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}
    [[ $locale != *.[Uu][Tt][Ff]* ]] || utf8=1
    if [[ $utf8 && $locale == [a-z][a-z][_.]* && -r $folder/words.${locale:0:2}.sh ]]; then
        read_words "${locale:0:2}"
    else
        read_words en
    fi
}

read_words() { # LANGUAGE
    language=$1
    # shellcheck source=docs/demo/words.en.sh
    . "$folder/words.$language.sh"
}

# ---- the table of every outcome, and the exit status ----

report() {
    local row cells line lines=() differ=0 verdict
    pending=1 remains=''
    wait_here # or the table would take the place of the last answer
    close_panes
    table_row "${words[columns]}"
    lines=("" "${color[bold]}${words[outcomes]}${color[plain]}"
        "${color[dim]}${result%"${result##*[! ]}"}${color[plain]}")
    for row in "${outcomes[@]}"; do
        IFS='|' read -ra cells <<<"$row"
        verdict=${color[green]}${words[ok]}
        if [[ ${cells[3]} != "${cells[4]}" ]]; then
            verdict=${color[red]}${words[not-ok]}
            ((++differ))
        fi
        table_row "$row"
        lines+=("$result$verdict${color[plain]}")
    done
    if [[ $experiments == *3* ]]; then lines+=("${words[in-use-of-nc]}"); else lines+=("${words[in-use-is]}"); fi
    if ((differ == 0)); then
        format as-expected "${#outcomes[@]}"
        lines+=("" "$result")
    fi
    out "${lines[@]}"
    keep_report "${lines[@]}"
    ((differ == 0)) || fail outcomes-differ "$differ" "${#outcomes[@]}"
}

table_row() { # CELLS: in at most 60 columns, with the verdict
    local cells i line='' columns=(20 9 9 9 8)
    IFS='|' read -ra cells <<<"$1"
    for i in "${!columns[@]}"; do
        pad "${cells[i]}" "${columns[i]}"
        line+=$result
    done
    result=$line
}
