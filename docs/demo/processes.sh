# shellcheck shell=bash disable=SC2034,SC2059,SC2154 # other files set and read the same variables; formats are words
# Processes: how they are started, and that none of them and no file is left at the end.

make_folder() { # for the programs and for what they print; the compilers, too, leave nothing elsewhere
    dir=${TMPDIR:-/tmp}
    [[ $dir == /* ]] || dir=$PWD/$dir
    dir+=/treuseaddr-demo.$$.$RANDOM$RANDOM
    mkdir -m 700 -- "$dir" 2>/dev/null ||
        { dir='' && fail no-directory "${TMPDIR:-/tmp}"; }
    CDPATH='' cd -- "$dir" || fail cannot-enter "$dir"
    export TMPDIR=$dir
    [[ ! ${TREUSEADDR_DEMO_PANES:-} ]] || : >"$TREUSEADDR_DEMO_PANES/inside" # until there is a status
    mkfifo keys silence && exec {keys}<>keys {silence}<>silence
}

# A job started under job control has a process group of its own, which holds also the child
# that outlives its parent, and does not ignore SIGINT, as a script's background jobs do.
launch() { # FILE COMMAND...: in the background, its words into the file
    : >"$1" # now, not when the job comes to it
    set -m
    "${inside[@]}" "${@:2}" >>"$1" 2>&1 &
    set +m
    launched=$!
    jobs+=("$launched")
}

end_jobs() {
    local job text left=() end=$((SECONDS + limit))
    # One may have started that launch has not noted yet; or make_folder has not made the folder.
    { jobs -p >"$dir/started"; } 2>/dev/null && while read -r job; do jobs+=("$job"); done <"$dir/started"
    disown -a 2>/dev/null # or the shell would report each as killed
    while find_groups "${jobs[@]}"; do
        if ((SECONDS >= end)); then
            jobs=()
            printf -v text "${words[for-group]}" "${left[*]}"
            printf -v text "${words[waited]}" "$limit" "$text"
            complain "$text"
            return 1
        fi
        for job in "${left[@]}"; do kill -KILL -- "-$job" 2>/dev/null; done
        doze
    done
    jobs=()
}

# In which of these process groups is a process of this demo left? Another program may have the number of one that
# has ended. Our processes are the children of this shell, and those that have our TMPDIR.
find_groups() { # GROUP...: into $left
    local line groups="$*" parent group
    left=()
    (($#)) || return 1 # in a trap, return alone gives the status from before it
    while read -r line; do
        read -r _ parent group _ <<<"${line##*) }"
        if ((parent == $$)) || grep -qsF -- "TMPDIR=$dir" "/proc/${line%% *}/environ"; then left+=("$group"); fi
    done < <(grep -hsE "\) [^ZX] [0-9]+ (${groups// /|}) " /proc/[0-9]*/stat)
    ((${#left[@]}))
}

# SIGALRM: bash up to 5.1 leaves the timer of a `read -t` that a trap has ended, and crashes in a later read.
ignore_signals() { trap '' HUP INT PIPE TERM ALRM; }

clean_up() {
    local status=$?
    ignore_signals
    [[ ! $prompt ]] || echo 2>/dev/null >&2
    [[ $dir ]] || return
    close_panes # or tmux would go on with them
    end_tmux
    end_jobs || status=1
    [[ ! ${TREUSEADDR_DEMO_PANES:-} ]] || echo "$status" >"$TREUSEADDR_DEMO_PANES/status"
    cd / && rm -rf -- "$dir"
    exit "$status"
}
