# shellcheck shell=bash
# The programs that the demo starts: which nc and which netstat this system has, and the build of the servers.

missing=() # tools that this system does not have
# The start of each command.
nc=()
nc_ends=''    # does this nc end when the server does?
serving=()    # nc as a server, on every address
sender=()     # nc as a sender of datagrams, or another one
netstat=()
unbuffered=() # makes a C program print each line at once

has() { command -v "$1" >/dev/null; }
busybox_has() { has busybox && busybox --list | grep -qx "$1"; }

find_all_tools() {
    [[ $kind == c ]] || has cargo || fail no-cargo
    if ! find_tools; then
        install_tools "${missing[@]}"
        find_tools || fail still-missing "${missing[*]}"
    fi
}

find_tools() {
    local tool
    missing=() nc=() netstat=() sender=()
    busybox_has nc && nc=(busybox nc)
    for tool in nc.traditional nc.openbsd ncat nc; do has "$tool" && nc=("$tool"); done
    if ((${#nc[@]} == 0)); then
        missing+=(nc)
    else
        [[ $experiments != *3* ]] || find_sender || missing+=("${words[nc-with-options]}")
        learn_the_nc
    fi
    busybox_has netstat && netstat=(busybox netstat)
    has netstat && netstat=(netstat)
    ((${#netstat[@]})) || missing+=(netstat)
    has cc || missing+=(cc) # Rust links with it
    [[ $kind == rust ]] || has stdbuf || missing+=(stdbuf)
    [[ $mode != split ]] || has tmux || missing+=(tmux)
    ((${#missing[@]} == 0))
}

help_of() { # COMMAND...
    "$@" -h >help 2>&1 </dev/null
    contents help
}

learn_the_nc() { # how it listens on every address, of IPv4 alone where it can be told; does it end with the server?
    help_of "${nc[@]}"
    case $result in
    *OpenBSD*) serving=("${nc[@]}" -l 0.0.0.0 "$port") ;;
    *--send-only*) serving=("${nc[@]}" -4 -l "$port") ;;
    *) serving=("${nc[@]}" -l -p "$port") ;;
    esac
    case $result in
    *BusyBox* | "[v1.1"*) nc_ends=1 ;;
    *) nc_ends='' ;;
    esac
}

find_sender() { # of datagrams: the nc, or another one where that cannot
    local tool quit
    for tool in "${nc[*]}" ncat nc.openbsd nc.traditional nc; do
        read -ra sender <<<"$tool" # busybox nc
        has "${sender[0]}" || continue
        help_of "${sender[@]}"
        quit=-w1 # after a second; or as soon as all is sent
        [[ $result == *"-q secs"* ]] && quit=-q0
        # From 127.0.0.1, so that the group is the loopback's; ncat may broadcast without an option.
        case $result in
        *--send-only*) sender+=(-u --send-only -s 127.0.0.1) ;;
        *-b*-s*-u*) sender+=(-u -b "$quit" -s 127.0.0.1) ;;
        *) continue ;;
        esac
        return 0
    done
    sender=()
    return 1
}

# ---- the build ----

# Each program in each variant that is run, into the folder of this run: ./treuseaddr2-close-reuseaddr is
# treuseaddr2 with the features close-listener and reuseaddr.
build_all() {
    local features suffix programs
    out "${color[bold]}${words[build]}${color[plain]}"
    for features in '' reuseaddr close-listener close-listener,reuseaddr; do
        programs=()
        [[ $experiments == *[13]* && $features != close* ]] && programs+=(treuseaddr)
        [[ $experiments == *2* ]] && programs+=(treuseaddr2)
        [[ $experiments == *3* && $features != close* ]] && programs+=(ureuseaddr)
        ((${#programs[@]})) || continue
        suffix=${features:+-$features}
        suffix=${suffix/-listener/}
        suffix=${suffix/,/-}
        case $kind in
        c) build_c "$features" "$suffix" "${programs[@]}" ;;
        *) build_rust "$features" "$suffix" "${programs[@]}" ;;
        esac
        [[ -x ${programs[0]}$suffix ]] || fail cannot-execute "${dir%/*}"
    done
    [[ $kind == rust ]] || out "${words[stdbuf]}"
}

build_c() { # FEATURES SUFFIX PROGRAM...
    local name flags=(-Wall -Wextra)
    [[ $1 == *reuseaddr* ]] && flags+=(-DREUSEADDR)
    [[ $1 == *close-listener* ]] && flags+=(-DCLOSE_LISTENER)
    for name in "${@:3}"; do
        show_build "cc${flags[2]:+ }${flags[*]:2} -o $name$2" "src/$name.c"
        run_build cc "${flags[@]}" -o "$dir/$name$2" "src/$name.c"
    done
}

build_rust() { # FEATURES SUFFIX PROGRAM...
    local features=$1 name line lock command=(cargo build --release)
    for name in "${@:3}"; do command+=(--bin "$name"); done
    [[ $kind != libc ]] || features=libc${1:+,$1}
    show_build "${command[*]}" "${features:+--features $features}"
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

show_build() { # BEGINNING END: on two lines, if one is too short
    local break=' '
    ((${#1} + ${#2} < 77)) || break=$' \\\n    '
    out "${color[green]}\$ $1${2:+$break}$2${color[plain]}"
}

run_build() { # COMMAND...: in silence, unless it fails
    launch log in_repository "$@" </dev/null
    wait "$launched" && jobs=() && return
    grep -v '^{' log >errors
    contents errors
    printf '%s\n' "$result" >&2
    keep_errors "$result"
    fail failed "$1"
}

in_repository() { cd "$root" && exec "$@"; }
