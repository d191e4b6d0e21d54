#!/usr/bin/env bash
# Unpacks Debian packages into a folder, and installs nothing. Any suite and any architecture will do,
# since apt-get gets lists, a cache and a record of installed packages of its own.
#
#     tests/scripts/debian.sh [--and PATTERN | --missing] SUITE ARCHITECTURE FOLDER PACKAGE...
#
# SUITE      one suite, or several with commas (sid,experimental): the newest version of each package
# --and      also each package that the named ones need, directly or not, whose whole name matches
#            PATTERN, an extended regular expression: linux-image-cloud-amd64 names today's kernel so
# --missing  also what the named ones need and this system has not installed
#
# FOLDER/unpacked lists the packages that FOLDER holds. If they are the same again, nothing is done.
# The mirror is the one that this system's apt uses for Debian, or $DEBIAN_MIRROR.
set -euo pipefail

die() {
    printf 'debian.sh: %s\n' "$*" >&2
    exit 1
}

and='' missing='' status=/dev/null
case ${1-} in
--and) and=$2 && shift 2 ;;
--missing) missing=yes && shift ;;
esac
(($# > 3)) || die "usage: debian.sh [--and PATTERN | --missing] SUITE ARCHITECTURE FOLDER PACKAGE..."
suites=$1 arch=$2 folder=$3
shift 3
for tool in apt-get dpkg-deb flock; do
    command -v "$tool" >/dev/null || die "this needs Debian's tools, and $tool is missing"
done
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -e $keys ]] || die "the keys of Debian's packages are missing: install debian-archive-keyring"
# shellcheck disable=SC2016 # apt-get expands it
mirror=${DEBIAN_MIRROR-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
    grep -m1 '/debian/$' || true)}
[[ $mirror ]] || die "this system's apt names no mirror of Debian: set DEBIAN_MIRROR"

# One run at a time for each set of lists.
state=$(dirname -- "$folder")/apt-$suites-$arch
mkdir -p -- "$folder" "$state"/{lists,archives}/partial
folder=$(realpath -- "$folder") state=$(realpath -- "$state")
exec 9>"$state/lock"
flock 9

if [[ $missing ]]; then
    # A tool that is unpacked does not meet the packages that conflict with it.
    status=$state/status
    awk -v RS= -v ORS='\n\n' '!/^Package: qemu-/' /var/lib/dpkg/status >"$status"
fi
for suite in ${suites//,/ }; do
    printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$mirror" "$suite"
done >"$state/sources.list"
printf 'Package: *\nPin: release *\nPin-Priority: 500\n' >"$state/preferences"
cat >"$state/apt.conf" <<END
Dir::State "$state";
Dir::State::lists "$state/lists";
Dir::State::status "$status";
Dir::Cache "$state";
Dir::Cache::archives "$state/archives";
Dir::Etc::sourcelist "$state/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "$state/preferences";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "5";
Debug::NoLocking "true";
END
export APT_CONFIG=$state/apt.conf

# apt COMMAND...: runs it, and shows what it says only if it fails.
apt() {
    "$@" >"$state/log" 2>&1 </dev/null || die "\"$*\" failed for $suites: $(grep -m1 '^E:' "$state/log" || tail -n 1 "$state/log")"
}

apt apt-get update
if [[ $missing ]]; then
    rm -f -- "$state"/archives/*.deb
    apt apt-get install -y --no-install-recommends --download-only "$@"
else
    packages=("$@")
    if [[ $and ]]; then
        while read -r package; do
            [[ $package =~ ^($and)$ ]] && packages+=("$package")
        done < <(apt-cache depends --recurse --important "$@" | grep '^[a-z]')
    fi
    mkdir -p "$state/archives"
    cd "$state/archives"
    rm -f -- ./*.deb
    apt apt-get download "${packages[@]}"
fi

cd "$state/archives"
names=$(printf '%s\n' *.deb)
[[ $(cat -- "$folder/unpacked" 2>/dev/null) == "$names" ]] && exit
rm -rf -- "${folder:?}"/*
for package in *.deb; do
    dpkg-deb -x "$package" "$folder" || die "$package cannot be unpacked"
done
printf '%s\n' "$names" >"$folder/unpacked"
