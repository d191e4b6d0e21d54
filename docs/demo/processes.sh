# shellcheck shell=bash
# Processes: how they are started and waited for, and that none of them and no file is left at the end.

dir=''      # the folder of this run; the demo works in it
keys=''     # a pipe: what is written there is typed into nc
silence=''  # a pipe into which nobody writes
jobs=()     # the process groups that were started
launched='' # the last one

make_folder() { # for the programs and for what they print; the compilers, too, leave nothing elsewhere
    dir=${TMPDIR:-/tmp}
    [[ $dir == /* ]] || dir=$PWD/$dir
    dir+=/treuseaddr-demo.$$.$RANDOM$RANDOM
    mkdir -m 700 -- "$dir" 2>/dev/null ||
        { dir='' && fail no-directory "${TMPDIR:-/tmp}"; }
    CDPATH='' cd -- "$dir" || fail cannot-enter "$dir"
    export TMPDIR=$dir
    [[ ! $outer ]] || : >"$outer/inside" # until there is a status
    mkfifo keys silence && exec {keys}<>keys {silence}<>silence
}

# A job started under job control has a process group of its own, which holds also the child
# that outlives its parent, and does not ignore SIGINT, as a script's background jobs do.
launch() { # FILE COMMAND...: in the background, its words into the file
    : >"$1" # now, not when the job comes to it
    # While job control is on, a signal's trap would report each job that a signal has ended.
    {
        set -m
        "${inside[@]}" "${@:2}" >>"$1" 2>&1 &
        set +m
    } 2>/dev/null
    launched=$!
    jobs+=("$launched")
}

# ---- waiting ----

await() { # WHAT COMMAND...: polls until the command is true
    local what=$1 end=$((SECONDS + limit))
    shift
    until "$@"; do
        ((SECONDS < end)) || fail waited "$limit" "$what"
        doze
    done
}

doze() { # 20 ms, without a process
    read -rt 0.02 <&"$silence"
    return 0
}

gone() { # PID: has it ended? Its state says so: now and then bash misses a SIGCHLD, and leaves it a zombie
    local stat
    ! { read -r stat <"/proc/$1/stat"; } 2>/dev/null || [[ ${stat##*) } == [ZX]* ]]
}

in_state() { grep -qsE "\) [$1] [0-9]+ $2 " /proc/[0-9]*/stat; } # STATES GROUP: is a process of it?

contents() { # FILE: without the last newline
    IFS= read -rd '' result <"$1" # false, for there is no \0
    result=${result%$'\n'}
}

has_printed() { contents "$1" && [[ $result == *"$2"* ]]; } # FILE TEXT
has_printed_or_gone() { has_printed "$@" || gone "$launched"; }

# ---- the end ----

end_jobs() {
    local job end=$((SECONDS + limit))
    # One may have started that launch has not noted yet; or make_folder has not made the folder.
    { jobs -p >"$dir/started"; } 2>/dev/null && while read -r job; do jobs+=("$job"); done <"$dir/started"
    disown -a 2>/dev/null # or the shell would report each as killed
    while find_groups "${jobs[@]}"; do
        if ((SECONDS >= end)); then
            jobs=()
            format for-group "$result"
            format waited "$limit" "$result"
            complain "$result"
            return 1
        fi
        for job in $result; do kill -KILL -- "-$job" 2>/dev/null; done
        doze
    done
    jobs=()
}

# In which of these process groups is a process of this demo left? Another program may have the number of one that
# has ended. Our processes are the children of this shell, and those that have our TMPDIR.
find_groups() { # GROUP...: into $result, with blanks between
    local stat pid parent group values left=()
    result=''
    (($#)) || return 1 # in a trap, return alone gives the status from before it
    for stat in /proc/[0-9]*/stat; do
        pid=${stat//[!0-9]/} result=''
        contents "$stat" 2>/dev/null
        [[ ${result##*) } =~ ^[^ZX]\ ([0-9]+)\ ([0-9]+)\  ]] || continue
        parent=${BASH_REMATCH[1]} group=${BASH_REMATCH[2]}
        [[ " $* " == *" $group "* ]] || continue
        values=()
        mapfile -td '' values 2>/dev/null <"/proc/$pid/environ"
        if ((parent == $$)) || [[ " ${values[*]} " == *" TMPDIR=$dir"[\ /]* ]]; then left+=("$group"); fi
    done
    result=${left[*]}
    ((${#left[@]}))
}

# SIGALRM: bash up to 5.1 leaves the timer of a `read -t` that a trap has ended, and crashes in a later read.
ignore_signals() { trap '' HUP INT PIPE TERM ALRM; }

clean_up() {
    local status=$?
    ignore_signals
    set +m # a signal may have come while launch had it on
    [[ ! $prompt ]] || echo 2>/dev/null >&2
    [[ $dir ]] || return
    close_panes # or tmux would go on with them
    end_tmux
    end_jobs || status=1
    [[ ! $outer ]] || echo "$status" >"$outer/status"
    cd / && rm -rf -- "$dir"
    exit "$status"
}
