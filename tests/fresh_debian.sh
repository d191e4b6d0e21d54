#!/usr/bin/env bash
# A fresh minimal Debian with this project and this machine's Rust in it. As root:
#   fresh_debian.sh make FOLDER SUITE TARGET   debootstrap, a user, the project; TARGET is where cargo has built
#   fresh_debian.sh run FOLDER USER COMMAND    runs the command there, in the project's folder, as that user
set -eu

die() { # MESSAGE
    printf 'fresh_debian.sh: %s\n' "$1" >&2
    exit 1
}

place="srv/a path with spaces" # on which the project must work

in_namespaces_make() { # FOLDER SUITE TARGET
    local log=$1.log project
    rm -rf -- "$1"
    mkdir -p -- "$1"
    debootstrap --variant=minbase "$2" "$1" >"$log" 2>&1 </dev/null ||
        die "debootstrap $2 failed (is Debian's package mirror reachable?): $(tail -n 1 "$log")"
    chroot "$1" useradd --create-home --shell /bin/bash user
    project=$1/$place/treuseaddr
    mkdir -p -- "$project"
    tar -C "$root" --exclude=./target --exclude=./.git -c . | tar -C "$project" -x
    # The crates that this Rust has built already for the ordinary trials. The project itself is built anew.
    mkdir -p -- "$project/target"
    (cd -- "$3" && find . \( -name '*treuseaddr*' -o -name '*bindtable*' -o -name 'tests-*' -o -name 'bench-*' -o \
        -name incremental -o -path './tmp/[!t]*' -o \
        -path ./tmp/target/static -o -path './tmp/target/mach*' -o -path ./tmp/target/musl -o \
        -path ./tmp/target/listeners \) -prune -o \
        -type f -path '*/*/*' -print0) |
        tar -C "$3" --null -T - --ignore-failed-read -c 2>/dev/null | tar -C "$project/target" -x
    chmod 755 "$1" "$1/$place"
}

in_namespaces_run() { # FOLDER USER COMMAND
    local sysroot home file cargo=${CARGO_HOME:-$HOME/.cargo}
    sysroot=$(rustc --print sysroot)
    home=/root
    [[ $2 == root ]] || home=/home/$2
    mount --bind "$1" "$1"
    cd "$1"
    mkdir -p usr/local/rust
    mount --bind -o ro "$sysroot" usr/local/rust
    for file in cargo-fmt rustfmt; do mount --bind /dev/null "usr/local/rust/bin/$file"; done
    # The crates, at the path that they have here: elsewhere cargo would build them anew.
    mkdir -p ".$cargo/registry"
    cp -r "$cargo/registry/cache" "$cargo/registry/index" ".$cargo/registry"
    chmod o+x root
    mount --rbind /dev dev
    mount --rbind /sys sys
    mount -t proc proc proc
    cp -L /etc/resolv.conf /etc/hosts etc
    pivot_root . mnt
    umount -l /mnt
    chown -R "$2" "$home" "$cargo" "/$place"
    cd "/$place/treuseaddr"
    exec setpriv --reuid="$2" --regid="$2" --init-groups env -i HOME="$home" USER="$2" CARGO_HOME="$cargo" \
        PATH=/usr/local/rust/bin:/usr/local/bin:/usr/bin:/bin bash -c "$3"
}

root=$(readlink -f -- "$0")
root=${root%/tests/*}
((EUID == 0)) || die "a fresh Debian needs root: run tests/run.sh -- --ignored as root"
case $1 in
make | run) exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "in_namespaces_$1" "${@:2}" ;;
in_namespaces_*) "$@" ;;
*) die "make or run, not $1" ;;
esac
