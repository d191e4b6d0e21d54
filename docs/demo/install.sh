# shellcheck shell=bash
# Installs tools that are missing. docs/demo.sh and tests/run.sh source it. Both define `die MESSAGE`:
# one line on standard error, then exit; and both have read the words.

format() { # KEY ARGUMENT...: these words, filled in, into $result
    # shellcheck disable=SC2059 # the words are a format
    printf -v result -- "${words[$1]}" "${@:2}"
}

fail() { # KEY ARGUMENT...: dies with these words
    format "$@"
    die "$result"
}

# The packages that have a tool, where they are not called as it is. A caller may add to these.
declare -A package=([cc]=gcc [ip]=iproute2 [nc]=netcat-openbsd [netstat]=net-tools [stdbuf]=coreutils
    [unshare]=util-linux)

# install_tools TOOL...: with apt-get, as root or through sudo; on a terminal it asks first. If it cannot
# or may not install, it dies with the command that does.
install_tools() {
    local manager tool answer=yes how=run-this run log become=() install update=()
    for manager in apt-get dnf apk pacman ''; do command -v "$manager" >/dev/null && break; done
    case $manager in
    apt-get) install=(apt-get install -y) update=(apt-get update) package[cc]="gcc libc6-dev" ;;
    dnf) install=(dnf install) package[nc]=nmap-ncat ;;
    apk) install=(apk add) package[cc]="gcc musl-dev" ;;
    pacman) install=(pacman -S) package[nc]=openbsd-netcat ;;
    *) fail install-them "$*" ;;
    esac
    for tool in "$@"; do
        read -ra tool <<<"${package[${tool%% *}]:-${tool%% *}}"
        install+=("${tool[@]}")
    done
    if ((EUID)); then
        if command -v sudo >/dev/null; then
            become=(sudo)
            [[ -t 0 ]] || sudo -n true 2>/dev/null || answer=no
        else
            how=run-as-root answer=no
        fi
    fi
    run="${become[*]}${become:+ }${install[*]}"
    ((${#update[@]})) || answer=no
    if [[ $answer == yes && -t 0 ]]; then
        format run-now "$*" "$run"
        printf '%s ' "$result" >&2
        read -r answer || answer=no
    fi
    [[ ${answer:-yes} == [yY]* ]] || fail "$how" "$*" "${update[*]:+${become[*]}${become:+ }${update[*]} && }$run"
    format installing "$*"
    printf '%s\n$ %s\n' "$result" "$run"
    log=$(mktemp) || fail no-file "${TMPDIR:-/tmp}"
    export DEBIAN_FRONTEND=noninteractive
    # A fresh system has no lists of packages yet, or old ones.
    "${become[@]}" "${install[@]}" >"$log" 2>&1 </dev/null ||
        { "${become[@]}" "${update[@]}" && "${become[@]}" "${install[@]}"; } >"$log" 2>&1 </dev/null ||
        { cat "$log" >&2 && rm -f -- "$log" && fail failed "$run"; }
    rm -f -- "$log"
}
