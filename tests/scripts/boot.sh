#!/usr/bin/env bash
# Boots a kernel under QEMU, without KVM, containers or root, and runs one program on it as root.
#
#     tests/scripts/boot.sh [-w FOLDER] [-m MODULE]... [-f FILE]... IMAGE PROGRAM [ARGUMENT...]
#     tests/scripts/boot.sh [-w FOLDER]             only looks for QEMU, and unpacks it if it is missing
#
# IMAGE    of x86-64, ARM64 or RISC-V, like Debian's. PROGRAM is linked statically, for the same machine.
# -w       the folder to work in: the project's target/tmp if not given
# -m       a module to insert first: .ko, or .ko.xz
# -f       a file to put beside the program, into the root folder
#
# What the program prints comes out here, and its exit status is this script's. If the kernel does not
# boot, or the program does not end within $LIMIT seconds (180), the console's last lines come out, and
# the status is 125. QEMU is the one on the PATH, or it is unpacked from Debian's packages.
set -euo pipefail

here=$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")
die() {
    printf 'boot.sh: %s\n' "$*" >&2
    exit 125
}

work=$here/../target/tmp limit=${LIMIT:-180} modules=() files=() folders=()
while getopts w:m:f: option; do
    case $option in
    w) work=$OPTARG ;;
    m) modules+=("$OPTARG") ;;
    f) files+=("$OPTARG") ;;
    *) exit 125 ;;
    esac
done
shift $((OPTIND - 1))
(($# != 1)) || die "usage: boot.sh [-w FOLDER] [-m MODULE]... [-f FILE]... IMAGE PROGRAM [ARGUMENT...]"
mkdir -p -- "$work"
work=$(realpath -- "$work")

# QEMU and cpio of this system, or those that have been unpacked.
for tool in qemu-system-x86_64 qemu-system-aarch64 qemu-system-riscv64 cpio xz; do
    command -v "$tool" >/dev/null && continue
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
    [[ -e $work/qemu/unpacked && $# != 0 ]] ||
        "$here/debian.sh" --missing "$codename" "$(dpkg --print-architecture)" "$work/qemu" \
            qemu-system-x86 qemu-system-arm qemu-system-riscv64 opensbi cpio xz-utils || die "$tool is missing, and could not be unpacked"
    PATH=$work/qemu/usr/bin:$work/qemu/bin:$PATH
    LD_LIBRARY_PATH=$(printf '%s:' "$work"/qemu/{usr/,}lib/*-linux-gnu)
    export LD_LIBRARY_PATH
    folders=(-L "$work/qemu/usr/share/qemu" -L "$work/qemu/usr/share/seabios")
    break
done
(($# > 1)) || exit 0

image=$1 program=$2
shift 2
for file in "$image" "$program" "${modules[@]}" "${files[@]}"; do
    [[ -r $file ]] || die "$file cannot be read"
done

# Which machine: the marks that both kinds of image have at a known place.
at() { dd if="$image" bs=1 skip="$1" count=4 status=none | tr -d '\0'; }
if [[ $(at 514) == HdrS ]]; then
    # One thread for both processors. With two, a processor may still run the int3 that the other has
    # already replaced (the kernel patches its code so), and now and then the kernel panics.
    qemu=(qemu-system-x86_64 -accel 'tcg,thread=single' -no-user-config -cpu max) console=ttyS0 cc=gcc
elif [[ $(at 56) == ARMd || $(at 4) == zimg ]]; then
    qemu=(qemu-system-aarch64 -accel 'tcg,thread=multi' -machine virt -cpu max) console=ttyAMA0 cc=aarch64-linux-gnu-gcc
elif [[ $(at 56) == $'RSC\x05' ]]; then
    qemu=(qemu-system-riscv64 -accel 'tcg,thread=multi' -machine virt) console=ttyS0 cc=riscv64-linux-gnu-gcc
else
    die "$image is no kernel of x86-64, ARM64 or RISC-V"
fi
command -v "$cc" >/dev/null || die "$cc is missing: install $([[ $cc == gcc ]] && echo gcc || echo "gcc-${cc%-gcc}")"

pid='' room=$(mktemp -d -- "$work/boot-XXXXXX")
# shellcheck disable=SC2317 # the trap reaches it
leave() {
    [[ $pid ]] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    rm -rf -- "$room"
}
trap leave EXIT
for signal in INT TERM HUP; do
    # shellcheck disable=SC2064 # now is when it is known
    trap "exit $((128 + $(kill -l $signal)))" $signal
done

mkdir -p "$room/root/modules" "$room/root/dev"
"$cc" -Wall -Wextra -O1 -static -o "$room/root/init" "$here/init.c" || die "init.c cannot be built"
cp -- "$program" "$room/root/program"
for file in "${files[@]}"; do
    cp -- "$file" "$room/root"
done
for at in "${!modules[@]}"; do
    name=$(printf '%s/root/modules/%02d-%s' "$room" "$at" "$(basename -- "${modules[at]}" .xz)")
    case ${modules[at]} in
    *.xz) xz -dc -- "${modules[at]}" >"$name" ;;
    *) cp -- "${modules[at]}" "$name" ;;
    esac
done
(cd "$room/root" && find . | cpio --quiet -o -H newc) >"$room/initrd"

# The kernel hands what stands after "--" to init. On a slow machine its watchdog would write into the output. The
# machine ends with this script, whatever ends it.
setpriv --pdeathsig TERM timeout "$limit" setpriv --pdeathsig KILL \
    "${qemu[@]}" "${folders[@]}" -smp 2 -m 384 -nodefaults -display none -no-reboot \
    -kernel "$image" -initrd "$room/initrd" -serial "file:$room/console" \
    -append "console=$console panic=-1 nowatchdog -- /program $*" </dev/null >"$room/qemu" 2>&1 &
pid=$!
ended=0
wait "$pid" || ended=$?
pid=''

# What init has printed in a section, byte for byte.
section() {
    awk -v name="@@@ $1" '/^@@@ /{ on = $0 == name; next } on { printf "%s%s", end, $0; end = "\n" }' \
        "$room/console"
}
status=$(sed -n 's/^@@@ status //p' "$room/console" 2>/dev/null || true)
if [[ ! $status ]]; then
    {
        cat "$room/qemu"
        tail -n 20 "$room/console" 2>/dev/null || true
    } >&2
    ((ended != 124)) || die "$image has not run $program to its end in $limit s: above are the console's last lines"
    die "$image has not run $program to its end (QEMU's status: $ended): above are the console's last lines"
fi
section out
section err >&2
exit "$status"
