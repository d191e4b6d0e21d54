#!/usr/bin/env bash
# A fresh minimal Debian with this project and this machine's Rust in it. As root:
#   fresh_debian.sh make FOLDER SUITE TARGET   debootstrap, a user, the project; TARGET is where cargo has built
#   fresh_debian.sh run FOLDER USER COMMAND    runs the command there, in the project's folder, as that user
#   fresh_debian.sh as USER CARGO COMMAND      the same, once within; CARGO is where the crates are
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
    local sysroot file cargo=${CARGO_HOME:-$HOME/.cargo}
    sysroot=$(rustc --print sysroot)
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
    exec "/$place/treuseaddr/tests/fresh_debian.sh" as "$2" "$cargo" "$3"
}

as() { # USER CARGO COMMAND
    local home=/root
    [[ $1 == root ]] || home=/home/$1
    chown -R "$1" "$home" "$2" "/$place"
    cd "/$place/treuseaddr"
    exec setpriv --reuid="$1" --regid="$1" --init-groups env -i HOME="$home" USER="$1" CARGO_HOME="$2" \
        PATH=/usr/local/rust/bin:/usr/local/bin:/usr/bin:/bin bash -c "$3"
}

root=$(readlink -f -- "$0")
root=${root%/tests/*}
((EUID == 0)) || die "a fresh Debian needs root: run tests/run.sh -- --ignored as root"
case $1 in
make | run) exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "in_namespaces_$1" "${@:2}" ;;
in_namespaces_* | as) "$@" ;;
*) die "make, run or as, not $1" ;;
esac
