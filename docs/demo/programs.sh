# shellcheck shell=bash
# The programs that the demo starts: which nc and which netstat this system has, and the build of the servers.

missing=() # tools that this system does not have
# The start of each command.
nc=()
nc_ends=''    # does this nc end when the server does?
serving=()    # nc as a server, on every address
sender=()     # nc as a sender of datagrams, or another one
netstat=()
builder=()    # cargo as the user who has typed sudo
unbuffered=() # makes a C program print each line at once

declare -A built=() # the paths of cargo's programs

has() { command -v "$1" >/dev/null; }
busybox_has() { has busybox && busybox --list | grep -qx "$1"; }

find_all_tools() {
    if [[ $kind != c ]]; then
        find_the_user_s_cargo
        has cargo || fail no-cargo
        ! rust_is_old || fail old-rust "$result"
    fi
    if ! find_tools; then
        install_tools "${missing[@]}"
        find_tools || fail still-missing "${missing[*]}"
    fi
}

# Under sudo, cargo is in the home of the user who has typed that. It runs as that user, and so the files that it
# makes are not root's.
find_the_user_s_cargo() {
    local home
    [[ $EUID == 0 && ${SUDO_UID:-0} != 0 && ${SUDO_GID:-} && ${SUDO_USER:-} ]] || return 0
    getent passwd "$SUDO_USER" >user
    IFS=: read -r _ _ _ _ _ home _ <user
    [[ $home && -x $home/.cargo/bin/cargo ]] || return 0
    PATH=$home/.cargo/bin:$PATH
    { mkdir -m 700 build && chown "$SUDO_UID:$SUDO_GID" build && chmod 711 .; } || fail cannot-write "$dir"
    builder=(setpriv "--reuid=$SUDO_UID" "--regid=$SUDO_GID" --init-groups
        env -u CARGO_HOME -u RUSTUP_HOME HOME="$home" TMPDIR="$dir/build")
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
    if [[ $kind != c && $experiments == *1* ]]; then build_bindtable; fi
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
    { "${builder[@]}" mkdir -p -- "$CARGO_TARGET_DIR" && [[ -w $CARGO_TARGET_DIR ]] && exec {lock}<"$CARGO_TARGET_DIR"; } 2>/dev/null ||
        fail cannot-write "$CARGO_TARGET_DIR"
    launch log flock "$lock" && wait "$launched"
    run_cargo "${command[@]}"
    # Copied, since the next build overwrites them.
    for name in "${@:3}"; do
        cp -- "${built[$name]}" "./$name$2" || fail cannot-copy "${built[$name]}"
    done
    exec {lock}<&-
}

build_bindtable() { # which says what netstat does not; quickly, since its speed does not matter
    local command=(cargo build -p bindtable)
    show_build "${command[*]}" ''
    run_cargo "${command[@]}"
    ln -s -- "${built[bindtable]}" bindtable || fail cannot-copy "${built[bindtable]}"
}

run_cargo() { # COMMAND...: and where are the programs?
    local line
    run_build "$@" --quiet --message-format json-render-diagnostics
    built=()
    while read -r line; do
        [[ $line =~ \"executable\":\"([^\"]+/([^\"/]+))\" ]] && built[${BASH_REMATCH[2]}]=${BASH_REMATCH[1]}
    done <log
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

in_repository() { cd "$root" && exec "${builder[@]}" "$@"; }
