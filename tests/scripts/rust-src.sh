# shellcheck shell=sh
# Brings the source of Rust's libraries into the folder $1, from Debian's package of this rustc's version,
# if the toolchain does not have it itself, at $2; and the crates that the libraries are built with. The
# targets follow; if the toolchain has the libraries of each, nothing is done.
set -e
folder=$1 library=$(rustc --print sysroot)/$2
shift 2
missing=
for target in "$@"; do
    ls "$(rustc --print target-libdir --target "$target")"/libcore-*.rlib >/dev/null 2>&1 || missing=yes
done
[ "$missing" ] || exit 0
if [ ! -e "$library" ]; then
    version=$(rustc --version | cut -d ' ' -f 2)
    tests/scripts/debian.sh trixie-backports amd64 "$folder" "rust-src=$version*" || {
        echo "the libraries of rustc $version are missing for other machines: rustup target add $*" >&2
        exit 1
    }
    library=$(echo "$folder"/usr/src/*/library)
fi
for target in "$@"; do
    RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library \
        "${CARGO:-cargo}" fetch --quiet -Z build-std=std --target "$target"
done
