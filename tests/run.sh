#!/usr/bin/env bash
# Installs what the tests need and is missing, and runs `cargo test` with the arguments given: for example
# `tests/run.sh outcome`, or `tests/run.sh -- --ignored` for the long tests, of which each may need more.

[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # typed as "sh tests/run.sh"
set -u +o posix

die() { # MESSAGE
    printf 'run.sh: %s\n' "$1" >&2
    exit 1
}

is_there() { # TOOL|TOOL...
    local tool tools
    IFS='|' read -ra tools <<<"$1"
    for tool in "${tools[@]}"; do
        { [[ $tool == */* && -e $tool ]] || command -v "$tool" >/dev/null; } && return
    done
    return 1
}

root=$(readlink -f -- "$0")
root=${root%/tests/*}
cd -- "$root" || die "cannot enter $root"
# shellcheck source=tests/scripts/install.sh
. tests/scripts/install.sh || die "no tests/scripts/install.sh in $root: run this from the repository it came with"
export PATH=$PATH:/usr/sbin:/sbin
find_cargo
command -v cargo >/dev/null || die "missing: cargo: install Rust 1.88 or newer (https://rustup.rs)"
! rust_is_old || die "Rust 1.88 or newer is needed, not $result: https://rustup.rs has it"

look_around() { # fails where no test can run, and names the kinds of tests that cannot
    local found line
    command -v unshare >/dev/null || return 0 # util-linux, which is installed below
    found=$(sh tests/probe.sh 2>&1) || die "$found"
    mapfile -t found <<<"$found"
    ((${#found[@]} > 1)) || return 0
    for line in "${found[@]:1:${#found[@]}-2}"; do printf 'run.sh: not tried here: %s\n' "$line" >&2; done
    printf 'run.sh: to try all: %s\n' "${found[-1]}" >&2
}

install_for() { # TRIAL...: what these need and is missing; * stands for all trials
    local start tool names missing=() packages=()
    while read -r start tool names; do
        [[ $start && $start != '#'* && " $*" == *" $start"* ]] || continue
        is_there "$tool" && continue
        tool=${tool%%|*}
        [[ " ${missing[*]} " != *" $tool "* ]] || continue # it has two rows
        missing+=("$tool") packages+=("$names") package[$tool]=$names
    done <tests/tools.txt
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null ||
        die "missing: ${missing[*]}: install what has them (Debian's packages: ${packages[*]})"
    install_tools "${missing[@]}"
}

look_around
install_for '*'
if [[ " $* " == *" --"@(ignored|include-ignored)" "* && " $* " != *" --list "* ]]; then
    trials=()
    list=$(cargo test "$@" --list) || exit
    while read -r line; do [[ $line != *": test" ]] || trials+=("${line%: test}"); done <<<"$list"
    install_for "${trials[@]}"
fi
exec cargo test "$@"
