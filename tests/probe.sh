#!/bin/sh
# What the tests may do on this system. tests/run.sh asks before it compiles, and the tests before they start.
#
# Prints the command that the tests start with, which makes namespaces; then a line for each kind of test that
# cannot run; then, if there is such a line, what helps. If no test can run: one line on standard error that
# says why and what helps, and status 1.
set -u

if [ "${1-}" = inside ]; then # in a new network namespace: fails, or prints the kinds that cannot run
    has() { # CAP_X NUMBER
        [ $((0x$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status) >> $2 & 1)) = 1 ]
    }
    has CAP_NET_ADMIN 12 || { echo "CAP_NET_ADMIN is missing" >&2 && exit 1; }
    (: >>/proc/sys/net/ipv4/tcp_fin_timeout) 2>/dev/null ||
        echo "the tests that set sysctls (/proc/sys/net cannot be written)"
    has CAP_NET_RAW 13 || echo "the tests that capture or forge packets (CAP_NET_RAW is missing)"
    has CAP_SYS_PTRACE 19 || echo "the tests that look into another user's processes (CAP_SYS_PTRACE is missing)"
    ! command -v strace >/dev/null || strace -o /dev/null true 2>/dev/null ||
        echo "the tests that need strace (it may not trace here)"
    exit
fi

is() { # FILE VALUE
    [ -r "$1" ] && [ "$(cat "$1")" = "$2" ]
}

# What helps against what is in the way here.
help() {
    confined=''
    ! grep -q '(enforce)' /proc/self/attr/current 2>/dev/null ||
        confined=' --security-opt apparmor=unconfined'
    docker="--security-opt seccomp=unconfined --security-opt systempaths=unconfined$confined"
    podman="--security-opt unmask=ALL$confined"
    host=''
    ! is /proc/sys/user/max_net_namespaces 0 || host="$host user.max_net_namespaces=10000"
    ! is /proc/sys/user/max_user_namespaces 0 || host="$host user.max_user_namespaces=10000"
    ! is /proc/sys/kernel/unprivileged_userns_clone 0 || host="$host kernel.unprivileged_userns_clone=1"
    ! is /proc/sys/kernel/apparmor_restrict_unprivileged_userns 1 ||
        host="$host kernel.apparmor_restrict_unprivileged_userns=0"
    root=''
    [ "$(id -u)" = 0 ] || root='run them as root, or '
    if [ "$host" ]; then
        echo "${root}have the machine's root run \"sysctl$host\""
    elif [ -e /run/.containerenv ]; then
        echo "start the container with $podman"
    elif [ -e /.dockerenv ]; then
        echo "start the container with $docker"
    else
        echo "${root}start the container, if this is one, with Docker's $docker, or Podman's $podman"
    fi
}

best='' lacks='' why=''
for options in "--pid --fork --mount-proc" "--user --map-root-user --pid --fork --mount-proc" "" "--user --map-root-user"; do
    # shellcheck disable=SC2086 # they are words
    if found=$(unshare $options --net sh "$0" inside 2>&1); then
        count=$(echo "$found" | grep -c .)
        [ "$best" ] && [ "$count" -ge "$least" ] && continue
        best="unshare $options" lacks=$found least=$count
        [ "$count" != 0 ] || break
    else
        why=${why:-$(echo "$found" | tail -n 1)}
    fi
done
if [ ! "$best" ]; then
    echo "the tests need network namespaces, and here is none ($why): $(help)" >&2
    exit 1
fi
[ "$best" != "unshare " ] || best=''
printf '%s\n' "$best"
[ ! "$lacks" ] || printf '%s\n' "$lacks" "$(help)"
