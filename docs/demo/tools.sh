# shellcheck shell=bash disable=SC2034,SC2154 # other files set and read the same variables
# The programs that the demo starts: which nc and which netstat, and how that nc is told what.

has() { command -v "$1" >/dev/null; }
busybox_has() { has busybox && busybox --list | grep -qx "$1"; }

find_all_tools() {
    [[ $kind == c ]] || has cargo ||
        fail no-cargo
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
    busybox_has netstat && netstat=(busybox netstat)
    has netstat && netstat=(netstat)
    ((${#nc[@]})) || missing+=(nc)
    ((!${#nc[@]})) || [[ $experiments != *3* ]] || find_sender || missing+=("${words[nc-with-options]}")
    ((${#netstat[@]})) || missing+=(netstat)
    has cc || missing+=(cc) # Rust links with it
    [[ $kind == rust ]] || has stdbuf || missing+=(stdbuf)
    [[ ! $split ]] || has tmux || missing+=(tmux)
    ((!${#nc[@]})) || learn_the_nc
    ((!${#missing[@]}))
}

help_of() { # COMMAND...: into $text
    "$@" -h >help 2>&1 </dev/null
    contents help
}

learn_the_nc() { # how it listens on every address, of IPv4 alone where it can be told; does it end with the server?
    local text
    nc_ends=''
    help_of "${nc[@]}"
    case $text in
    *OpenBSD*) serving=("${nc[@]}" -l 0.0.0.0 "$port") ;;
    *--send-only*) serving=("${nc[@]}" -4 -l "$port") ;;
    *) serving=("${nc[@]}" -l -p "$port") ;;
    esac
    case $text in *BusyBox* | "[v1.1"*) nc_ends=1 ;; esac
}

find_sender() { # of datagrams: the nc, or another one where that cannot
    local tool text quit
    for tool in "${nc[*]}" ncat nc.openbsd nc.traditional nc; do
        has "${tool% *}" || continue
        # shellcheck disable=SC2086 # busybox nc
        help_of $tool
        quit=-w1 # after a second; or as soon as all is sent
        [[ $text == *"-q secs"* ]] && quit=-q0
        # From 127.0.0.1, so that the group is the loopback's; ncat may broadcast without an option.
        case $text in
        *--send-only*) read -ra sender <<<"$tool -u --send-only -s 127.0.0.1" ;;
        *-b*-s*-u*) read -ra sender <<<"$tool -u -b $quit -s 127.0.0.1" ;;
        *) continue ;;
        esac
        return 0
    done
    return 1
}
