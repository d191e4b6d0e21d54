# shellcheck shell=bash disable=SC2034,SC2154 # other files set and read the same variables
# The build of each program in each variant that is run, into the folder of this run: ./treuseaddr2-close-reuseaddr
# is treuseaddr2 with the features close-listener and reuseaddr.

build_all() {
    local features suffix programs
    out "$bold${words[build]}$plain"
    for features in '' reuseaddr close-listener close-listener,reuseaddr; do
        programs=()
        [[ $experiments == *[13]* && $features != close* ]] && programs+=(treuseaddr)
        [[ $experiments == *2* ]] && programs+=(treuseaddr2)
        [[ $experiments == *3* && $features != close* ]] && programs+=(ureuseaddr)
        ((${#programs[@]})) || continue
        suffix=${features:+-$features}
        suffix=${suffix/-listener/}
        suffix=${suffix/,/-}
        if [[ $kind == c ]]; then build_c "$features" "$suffix"; else build_rust "$features" "$suffix"; fi
        [[ -x ${programs[0]}$suffix ]] || fail cannot-execute "${dir%/*}"
    done
    [[ $kind == rust ]] || out "${words[stdbuf]}"
}

run_build() { # COMMAND...: in silence, unless it fails
    local text
    launch log in_repository "$@" </dev/null
    wait "$launched" && jobs=() && return
    grep -v '^{' log >errors
    contents errors
    printf '%s\n' "$text" >&2
    keep_errors "$text"
    fail failed "$1"
}

show_command() { # BEGINNING END: on two lines, if one is too short
    local break=' '
    ((${#1} + ${#2} < 77)) || break=$' \\\n    '
    out "$green\$ $1${2:+$break}$2$plain"
}

in_repository() { cd "$root" && exec "$@"; }

build_c() { # FEATURES SUFFIX
    local name flags=(-Wall -Wextra)
    [[ $1 == *reuseaddr* ]] && flags+=(-DREUSEADDR)
    [[ $1 == *close-listener* ]] && flags+=(-DCLOSE_LISTENER)
    for name in "${programs[@]}"; do
        show_command "cc${flags[2]:+ }${flags[*]:2} -o $name$2" "src/$name.c"
        run_build cc "${flags[@]}" -o "$dir/$name$2" "src/$name.c"
    done
}

build_rust() { # FEATURES SUFFIX
    local features=$1 name line lock command=(cargo build --release)
    for name in "${programs[@]}"; do command+=(--bin "$name"); done
    [[ $kind == libc ]] && features=libc${1:+,$1}
    show_command "${command[*]}" "${features:+--features $features}"
    [[ ! $features ]] || command+=(--features "$features")
    # No other demo's build may come between this one and its copy.
    { mkdir -p -- "$CARGO_TARGET_DIR" && [[ -w $CARGO_TARGET_DIR ]] && exec {lock}<"$CARGO_TARGET_DIR"; } 2>/dev/null ||
        fail cannot-write "$CARGO_TARGET_DIR"
    launch log flock "$lock" && wait "$launched"
    run_build "${command[@]}" --quiet --message-format json-render-diagnostics
    # Copied, since the next build overwrites them. Cargo's messages say where they are.
    while read -r line; do
        [[ $line =~ \"executable\":\"([^\"]+/([^\"/]+))\" ]] || continue
        cp -- "${BASH_REMATCH[1]}" "./${BASH_REMATCH[2]}$2" || fail cannot-copy "${BASH_REMATCH[1]}"
    done <log
    exec {lock}<&-
}
