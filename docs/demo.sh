#!/usr/bin/env bash
# The article's two SO_REUSEADDR experiments, the two surprises in them, and a third one with UDP,
# with nc and netstat.

[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # typed as "sh docs/demo.sh"
set -u +o posix

usage() {
    cat <<'END'
usage: docs/demo.sh [--c | --libc] [--only 1|2|3] [--pause]

Builds the servers, shows the article's two experiments without and with SO_REUSEADDR,
two surprises in them, and who gets what where two share a port of UDP; and ends with
a table of every outcome, expected and seen.

  --c           the C twins, not the Rust ports
  --libc        the Rust ports on the system's C library
  --only 1|2|3  one experiment: treuseaddr (1), treuseaddr2 (2), or ureuseaddr and who
                can take what from whom (3)
  --pause       wait for Enter before each step, but not while a TIME_WAIT (60 s) runs out
  -h, --help    this text

Environment: CARGO_TARGET_DIR (default: target/demo), TMPDIR, NO_COLOR.
Exit status: 0 all as expected, 1 an outcome differs or something failed, 2 wrong usage,
129, 130, 141, 143 ended by SIGHUP, SIGINT, SIGPIPE, SIGTERM.
END
}

die() { # MESSAGE [STATUS]
    printf 'demo.sh: %s\n' "$1" >&2
    exit "${2:-1}"
}

# ---- the screen ----

out() { printf '%s\n' "$@" 2>/dev/null || die "cannot write to standard output"; }
show() { out "$green\$ $*$plain"; }
title() { out "" "$bold$1$plain"; }

part() { # PROGRAM LABEL WORDS: false if it was not asked for
    [[ ! $only || $only == "$1" ]] || return
    label=$2
    title "$2: $3"
}

ask() { # PROMPT: in turns, for bash may notice only at the end of read a signal from just before
    printf '%s' "$1" >&2
    until read -rt 1; do (($? > 128)) || { echo >&2 && return 1; }; done
}

step() { # SENTENCE
    [[ $pause && ! $hurry ]] && ask "${dim}[Enter]$plain "
    out "" "$1"
}

look() {
    local rows
    show "${netstat[*]} -tna | grep $port"
    rows=$("${inside[@]}" "${netstat[@]}" -tna 2>&1 | grep "$port")
    out "  ${rows//$'\n'/$'\n'  }"
}

glance() { [[ $brief ]] || look; }

# ---- waiting for a state ----

await() { # WHAT COMMAND...: polls until the command is true
    local what=$1 end=$((SECONDS + limit))
    shift
    until "$@"; do
        ((SECONDS < end)) || die "waited $limit s for $what, in vain"
        sleep 0.02
    done
}

rows() { # STATE: has the port a socket in it? n says how many
    local own state
    n=0
    while read -r _ own _ state _; do
        [[ $own == *:$hex_port && $state == "${code[$1]}" ]] && ((++n))
    done < <(cat "$tcp" "${tcp}6" 2>/dev/null)
    ((n))
}

holders() { # n says how many have the port: receivers, or servers that listen
    if [[ $server == ureuseaddr ]]; then n=$(grep -c "^ *[0-9]*: [^ ]*:$hex_port " "${tcp%tcp}udp"); else rows LISTEN; fi
}

gone() { ! kill -0 "$1" 2>/dev/null; }
in_state() { grep -qsE "\) [$1] [0-9]+ $2 " /proc/[0-9]*/stat; } # STATES GROUP: is a process of it?
printed() { [[ $(<"$1") == *"$2"* ]]; }
printed_or_gone() { printed "$@" || gone "$launched"; }
unread() { grep -qs ":$hex_port [^ ]* 0$2 [^ ]*:0*[1-9A-F]" "$1" "${1}6"; } # TABLE STATE: something received
has_read() { in_state S "$1" && ! unread "${tcp%tcp}udp" 7; } # all that was sent, and waits
closing() { rows FIN_WAIT2 || rows TIME_WAIT; }
listens_or_gone() { # HOLDERS_BEFORE
    gone "$launched" || { holders; ((n > $1)); }
}

hear() { # WHO TEXT: and shows all that it has printed
    local lines
    await "\"$2\" from the $1" printed "$1" "$2"
    mapfile -t lines <"$1"
    out "${lines[@]/#/  $dim$1 |$plain }"
}

# ---- processes ----

# A job started under job control has a process group of its own, which holds also the child
# that outlives its parent, and does not ignore SIGINT, as a script's background jobs do.
launch() { # FILE COMMAND...: in the background, its words into the file
    : >"$1" # now, not when the job comes to it
    set -m
    "${inside[@]}" "${@:2}" >>"$1" 2>&1 &
    set +m
    launched=$!
    jobs+=("$launched")
}

end_jobs() {
    local job i groups=("${jobs[@]}")
    for job in $(jobs -p); do groups+=("$job"); done # one may have started that launch had not noted yet
    disown -a 2>/dev/null # or the shell would report each as killed
    for job in "${groups[@]}"; do
        kill -KILL -- "-$job" 2>/dev/null
        for ((i = 0; i < 100; i++)); do
            in_state ^ZX "$job" || break
            sleep 0.02
        done
        gone "-$job" || zombies+=("$job") # an orphan that init has not reaped yet
    done
    jobs=()
}

clean_up() {
    local job i=0
    trap '' HUP INT PIPE TERM
    end_jobs
    [[ $dir ]] && cd / && rm -rf -- "$dir"
    for job in "${zombies[@]}"; do
        until gone "-$job" || ((++i > 150)); do sleep 0.02; done
    done
}

# ---- tools ----

has() { command -v "$1" >/dev/null; }
busybox_has() { has busybox && busybox --list | grep -qx "$1"; }

find_tools() {
    local tool
    missing=() nc=() netstat=()
    busybox_has nc && nc=(busybox nc)
    for tool in nc.traditional nc.openbsd ncat nc; do has "$tool" && nc=("$tool"); done
    busybox_has netstat && netstat=(busybox netstat)
    has netstat && netstat=(netstat)
    ((${#nc[@]})) || missing+=(nc)
    ((!${#nc[@]})) || [[ $only == [12] ]] || find_sender || missing+=("nc with -u, -s and -b")
    ((${#netstat[@]})) || missing+=(netstat)
    has cc || missing+=(cc) # Rust links with it
    [[ $kind == rust ]] || has stdbuf || missing+=(stdbuf)
    ((!${#missing[@]}))
}

find_sender() { # of datagrams: the nc, or another one where that cannot
    local tool help quit
    for tool in "${nc[*]}" ncat nc.openbsd nc.traditional nc; do
        has "${tool% *}" || continue
        help=$($tool -h 2>&1 </dev/null)
        quit=-w1 # after a second; or as soon as all is sent
        [[ $help == *"-q secs"* ]] && quit=-q0
        # From 127.0.0.1, so that the group is the loopback's; ncat may broadcast without an option.
        case $help in
        *--send-only*) read -ra sender <<<"$tool -u --send-only -s 127.0.0.1" ;;
        *-b*-s*-u*) read -ra sender <<<"$tool -u -b $quit -s 127.0.0.1" ;;
        *) continue ;;
        esac
        return 0
    done
    return 1
}

find_listener() { # the nc as a server on every address, of IPv4 alone where it can be told
    local help
    help=$("${nc[@]}" -h 2>&1 </dev/null)
    case $help in
    *OpenBSD*) serving=("${nc[@]}" -l 0.0.0.0 "$port") ;;
    *--send-only*) serving=("${nc[@]}" -4 -l "$port") ;;
    *) serving=("${nc[@]}" -l -p "$port") ;;
    esac
}

install_tools() { # with apt-get; a person at a terminal is asked, a user without one is told
    local tool command become='' REPLY=yes
    local -A package=([nc]=netcat-openbsd [netstat]=net-tools [cc]=gcc [stdbuf]=coreutils)
    for tool in apt-get dnf apk pacman ''; do has "$tool" && break; done
    case $tool in
    apt-get) command="apt-get install -y" package[cc]="gcc libc6-dev" ;;
    dnf) command="dnf install" package[nc]=nmap-ncat ;;
    apk) command="apk add" package[cc]="gcc musl-dev" ;;
    pacman) command="pacman -S" package[nc]=openbsd-netcat ;;
    *) die "missing: ${missing[*]}: install what has them on this system" ;;
    esac
    for tool in "${missing[@]}"; do command+=" ${package[${tool%% *}]}"; done
    ((EUID == 0)) || become="sudo "
    command=$become$command
    if [[ $command != "$become"apt-get* || ($become && ! -t 0) ]] || { [[ $become ]] && ! has sudo; }; then
        REPLY=no
    elif [[ -t 0 ]]; then
        ask "Missing: ${missing[*]}. Run \"$command\" now? [Y/n] " || REPLY=no
    fi
    [[ ${REPLY:-yes} == [yY]* ]] || die "missing: ${missing[*]}: run \"$command\""
    out "Missing: ${missing[*]}. Installing:"
    show "$command"
    export DEBIAN_FRONTEND=noninteractive
    # In the foreground: Ctrl+C is apt-get's to deal with. A fresh container has no lists yet.
    $command >log 2>&1 || { ${become:+sudo} apt-get update && $command; } >log 2>&1 ||
        { cat log >&2 && die "\"$command\" failed: see above"; }
    find_tools || die "missing even after \"$command\": ${missing[*]}"
}

# ---- the build ----

in_repository() { cd "$root" && exec "$@"; }

build() { # COMMAND...: in silence, unless it fails
    launch log in_repository "$@" </dev/null
    wait "$launched" && jobs=() && return
    grep -v '^{' log >&2
    die "$1 failed: see above"
}

build_c() { # FEATURES
    local name flags=(-Wall -Wextra)
    [[ $1 == *reuseaddr* ]] && flags+=(-DREUSEADDR)
    [[ $1 == *close-listener* ]] && flags+=(-DCLOSE_LISTENER)
    for name in "${programs[@]}"; do
        [[ $name$1 == ?reuseaddrclose* ]] && continue # it has no child
        show cc "${flags[@]}" -o "$name${1:+-${1//,/-}}" "src/$name.c"
        build cc "${flags[@]}" -o "$dir/$name${1:+-${1//,/-}}" "src/$name.c"
    done
}

build_rust() { # FEATURES
    local features=$1 command=(cargo build --release) target lock line copies='' name
    for name in "${programs[@]}"; do command+=(--bin "$name"); done
    [[ $kind == libc ]] && features=libc${1:+,$1}
    [[ ${CARGO_TARGET_DIR:-} ]] || command+=(--target-dir target/demo)
    [[ $features ]] && command+=(--features "$features")
    show "${command[@]}"
    target=${CARGO_TARGET_DIR:-$root/target/demo}
    # No other demo's build may come between this one and its copy.
    { mkdir -p -- "$target" && [[ -w $target ]] && exec {lock}<"$target"; } 2>/dev/null ||
        die "cannot write to $target: set CARGO_TARGET_DIR"
    launch log flock "$lock" && wait "$launched"
    build "${command[@]}" --quiet --message-format json-render-diagnostics
    # Copied, since the next build overwrites them. Cargo's messages say where they are.
    while read -r line; do
        [[ $line =~ \"executable\":\"([^\"]+/([^\"/]+))\" ]] || continue
        copies+=" ./${BASH_REMATCH[2]}${1:+-${1//,/-}}"
        cp -- "${BASH_REMATCH[1]}" "${copies##* }" || die "cannot copy ${BASH_REMATCH[1]}"
    done <log
    exec {lock}<&-
    out "  copied to$copies"
}

# ---- the network ----

new_network() { # a network namespace, kept open by a process of its own
    local leave=(--net) enter=(-n)
    [[ $network == user ]] && leave+=(--user --map-root-user) enter+=(-U --preserve-credentials)
    inside=()
    launch network unshare "${leave[@]}" sh -c '
        { ip link set lo up || ifconfig lo up || busybox ip link set lo up; } &&
        echo ready && exec tail -f /dev/null'
    await "a network namespace" printed_or_gone network ready
    printed network ready || return
    tcp=/proc/$launched/net/tcp
    inside=(nsenter -t "$launched" "${enter[@]}")
    "${inside[@]}" true 2>network
}

find_network() {
    local why="unshare or nsenter is missing"
    if has unshare && has nsenter; then
        for network in root user; do
            new_network && end_jobs && return
            end_jobs
        done
        why=$(<network)
    fi
    network=host inside=() tcp=/proc/net/tcp
    out "" "No network namespace can be made here (${why##*$'\n'}): port $port of this machine serves."
}

free_port() { # waits out what is left in TIME_WAIT
    local own peer state timer left shown='' end=$((SECONDS + 120))
    while :; do
        left=-1
        while read -r _ own peer state _ timer _; do
            [[ $own == *:$hex_port || $peer == *0100007F:$hex_port ]] || continue
            [[ $state == "${code[TIME_WAIT]}" || $own != *:$hex_port ]] ||
                die "port $port is in use: stop the program that has it (netstat -tnap | grep $port)"
            timer=$((16#${timer#*:} / 100)) # from clock ticks
            ((timer > left)) && left=$timer
        done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
        ((left < 0)) && break
        ((SECONDS < end)) || die "waited 120 s for the end of TIME_WAIT on port $port, in vain"
        [[ $shown ]] || { out "" && shown=99; }
        if [[ -t 1 ]]; then
            printf '\r  TIME_WAIT on port %d: %2d s left ' "$port" "$left"
        elif ((left <= shown - 20)); then
            out "  TIME_WAIT on port $port: $left s left"
            shown=$left
        fi
        sleep 0.5
    done
    [[ -t 1 && $shown ]] && printf '\r\e[K\e[A'
}

forgo_time_wait() { # a process that is killed with words unread resets its connection
    kill -STOP -- "-$first"
    await "the process to stop" in_state T "$first"
    echo unread >&"$keys"
    await "words that nobody reads" unread "$tcp" 1
}

# ---- the experiments ----

experiment() { # SERVER OLD NEW...: an old server, then new ones on what it has left
    local server=$1 old=$2 new first client
    if [[ $network == host ]]; then free_port; else new_network || die "no network namespace: $(<network)"; fi
    set_up
    for new in "${@:3}"; do restart; done
    [[ $network == host && $server != treuseaddr ]] && forgo_time_wait
    end_jobs
    hurry=''
}

set_up() {
    local listener="inherited the listener: see the LISTEN row"
    [[ $server == *-close-listener ]] && listener="closed the listener: no LISTEN row"
    step "Start the server ${word[$old]} the option."
    show "${unbuffered[@]}" "./$server${suffix[$old]} &"
    launch server "${unbuffered[@]}" "./$server${suffix[$old]}" </dev/null
    first=$launched
    await "the server to listen" listens_or_gone 0
    gone "$first" && die "the server has not started: $(<server)"
    glance
    if [[ $server == treuseaddr ]]; then
        connect "Connect with nc and type a line: it comes back." connected
        type_line
        glance
        stop
    else
        connect "Connect with nc: the parent leaves the connection to a child, and exits." exit
        await "the parent to end" gone "$first"
        step "The child goes on talking. It has $listener."
        type_line
    fi
    look
}

connect() { # SENTENCE LAST_WORD_OF_THE_SERVER
    step "$1"
    show "${nc[*]} 127.0.0.1 $port"
    launch client "${nc[@]}" 127.0.0.1 "$port" <keys
    client=$launched
    hear server "$2"
}

type_line() {
    out "  ${dim}typed  |$plain hello"
    echo hello >&"$keys"
    hear client hello
}

stop() { # the server and then nc: in this order it is the server that leaves a row
    step "Stop the server as Ctrl+C does. The kernel keeps its end of the connection."
    hurry=1
    show "kill -INT $first"
    kill -INT "$first"
    await "the server to end" gone "$first"
    await "a row in FIN_WAIT2 or TIME_WAIT" closing
    if gone "$client"; then
        step "This nc has ended by itself. Only the server's row is left, in TIME_WAIT."
    else
        glance
        step "Stop nc too. Only the server's row is left, in TIME_WAIT."
        show "kill -INT $client"
        kill -INT "$client" 2>/dev/null
        await "nc to end" gone "$client"
    fi
    await "a row in TIME_WAIT" rows TIME_WAIT
}

restart() {
    local expected="in use" seen=listens status before label=$label command
    if [[ ! $tale ]]; then
        [[ $server == treuseaddr && $old != "$new" ]] && label="Surprise 1" # wherever it is told
        [[ $server != treuseaddr2 && $old$new == yesyes ]] && expected=listens
    fi
    step "${story["${tale:-$server} $old $new"]}"
    command=("${unbuffered[@]}" "./$server${suffix[$new]}")
    [[ $new == nc ]] && command=("${serving[@]}")
    show "${command[@]}"
    holders
    before=$n
    launch again "${command[@]}" </dev/null
    await "the server to listen or to end" listens_or_gone "$before"
    if gone "$launched"; then
        wait "$launched"
        status=$?
        seen=$(<again)
        out "  ${seen//$'\n'/$'\n'  }"
        show "echo \$?"
        out "  $status"
        # glibc says "Address already in use", musl "Address in use".
        [[ $seen == "bind: : Address "*"in use" ]] && seen="in use"
        [[ $new == nc && $seen =~ Address.*in\ use|"Can't grab".*bind ]] && seen="in use"
        ((status == 255 || (status && ${#tale}))) || seen="$seen, status $status"
    else
        look
    fi
    results+=("$label|${word[$old]}|${word[$new]}|$expected|$seen")
}

sharing() { # OLD NEW...: a receiver, and then others on its port
    local server=ureuseaddr old=$1 new receivers=()
    local -A pid=()
    if [[ $network == host ]]; then free_port; else new_network || die "no network namespace: $(<network)"; fi
    holders
    ((!n)) || die "port $port is in use: stop the program that has it (netstat -unap | grep $port)"
    receive old "$old" "Start a receiver ${word[$old]} the option. It joins the group $group on the loopback."
    for new in "${@:2}"; do
        [[ $old$new == yesyes ]] || { restart && continue; }
        send Served served 127.0.0.1 old "Send a datagram to 127.0.0.1: it is served."
        receive new yes "Start a second one with the option: it starts, since both have it."
        send Multicast multicast "$group" both "Send one to the group: it reaches both."
        send Broadcast broadcast 127.255.255.255 both "Send one to every address: it reaches both."
        send Unicast unicast 127.0.0.1 new "Send one to 127.0.0.1: it reaches the last one alone, and is lost to the first."
        steal_as_other
    done
    end_jobs
}

receive() { # NAME SWITCH SENTENCE [COMMAND...]: starts a receiver
    step "$3"
    show "${@:4}" "${unbuffered[@]}" "./ureuseaddr${suffix[$2]} &"
    holders
    launch "$1" "${@:4}" "${unbuffered[@]}" "./ureuseaddr${suffix[$2]}" </dev/null
    await "the receiver to have the port" listens_or_gone "$n"
    until has_read "$launched"; do
        gone "$launched" && die "the receiver has not started: $(<"$1")"
        sleep 0.02
    done
    receivers+=("$1") pid[$1]=$launched
}

send() { # LABEL TEXT ADDRESS EXPECTED SENTENCE
    local who line seen=''
    step "$5"
    show "echo $2 | ${sender[*]} $3 $port"
    echo "$2" >datagram
    launch sent "${sender[@]}" "$3" "$port" <datagram
    wait "$launched" || die "${sender[0]} has not sent it: $(<sent)"
    for who in "${receivers[@]}"; do await "the $who receiver to read" has_read "${pid[$who]}"; done
    for who in "${receivers[@]}"; do
        line=$(grep ": $2\$" "$who") && seen+=${seen:+ and }$who
        out "  $dim$who |$plain $line"
    done
    [[ $seen == "old and new" ]] && seen=both
    results+=("$1|${word[yes]}|${pid[new]:+${word[yes]}}|$4|${seen:-nobody}")
}

steal_as_other() { # what another user gets, where this one may start a program as another
    local why other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    if ! why=$(LC_ALL=C "${inside[@]}" "${other[@]}" true 2>&1); then
        out "" "Whether another user can take it can't be tried here (${why##*$'\n'}): run this as root."
        return
    fi
    chmod 711 . # that one has to start it here
    receive thief yes "Start one as the user nobody, with the option: the kernel does not ask whose port it is." "${other[@]}"
    send Theft secret 127.0.0.1 thief "Send a datagram to 127.0.0.1 again: the thief has it, and the others do not."
}

takeover() { # OLD NEW...: can another server take the clients of one that listens?
    local server=treuseaddr old=$1 new tale=takeover first client
    if [[ $network == host ]]; then free_port; else new_network || die "no network namespace: $(<network)"; fi
    step "${story["takeover $old"]}"
    local command=("${unbuffered[@]}" "./treuseaddr${suffix[$old]}")
    [[ $old == nc ]] && command=("${serving[@]}")
    show "${command[@]}" "&"
    launch server "${command[@]}" <&"$silence"
    first=$launched
    await "the server to listen" listens_or_gone 0
    gone "$first" && die "the server has not started: $(<server)"
    for new in "${@:2}"; do restart; done
    step "Who answers a client? The first one."
    show "${nc[*]} 127.0.0.1 $port"
    launch client "${nc[@]}" 127.0.0.1 "$port" <keys
    if [[ $old == nc ]]; then
        out "  ${dim}typed  |$plain hello"
        echo hello >&"$keys"
        hear server hello
    else
        hear server connected
        type_line
    fi
    [[ $network == host ]] && forgo_time_wait
    end_jobs
}

report() {
    local row name old new expected seen verdict differ=0
    title "Every outcome"
    out "${dim}experiment    old server  new server  expected  seen$plain"
    for row in "${results[@]}"; do
        IFS='|' read -r name old new expected seen <<<"$row"
        verdict=${green}ok$plain
        [[ $seen == "$expected" ]] || { verdict=${red}differs$plain && ((++differ)); }
        printf -v row '%-14s%-12s%-12s%-10s%-9s %s' "$name" "$old" "$new" "$expected" "$seen" "$verdict"
        out "$row"
    done
    out "" "in use: \"bind: : Address already in use\", exit status 255; of nc, its own words and status"
    ((!differ)) || die "$differ of ${#results[@]} outcomes differ from what was expected"
    out "All ${#results[@]} outcomes are as expected."
}

main() {
    local features fold=''
    title "The servers are built without and with the option"
    for features in '' reuseaddr close-listener close-listener,reuseaddr; do
        [[ $only == [13] && $features == close* ]] && continue
        [[ $features == close-listener ]] &&
            out "" "For surprise 2, treuseaddr2's child closes the listener first of all:"
        if [[ $kind == c ]]; then build_c "$features"; else build_rust "$features"; fi
    done
    [[ $kind == rust ]] || out "" "With stdbuf -oL the C library prints each line at once, as on a terminal."

    find_network
    # Each TIME_WAIT there costs a minute: surprise 1 is then shown with what experiment 1 has left.
    [[ $network == host ]] && fold=1
    part 1 "Experiment 1" "treuseaddr is stopped and started again${fold:+ (with surprise 1)}" &&
        experiment treuseaddr no no ${fold:+yes} &&
        experiment treuseaddr yes ${fold:+no} yes
    part 2 "Experiment 2" "treuseaddr2 is started again while its child goes on" &&
        experiment treuseaddr2 no no yes &&
        experiment treuseaddr2 yes yes no
    brief=1
    [[ ! $fold ]] && part 1 "Surprise 1" "both servers need the option" &&
        experiment treuseaddr no yes &&
        experiment treuseaddr yes no
    part 2 "Surprise 2" "treuseaddr2 starts again only when its child closes the listener" &&
        experiment treuseaddr2-close-listener no no yes &&
        experiment treuseaddr2-close-listener yes no yes
    part 3 "Experiment 3" "receivers of datagrams share a port" && share
    report
}

share() {
    [[ ${sender[*]} == "${nc[*]} -u"* ]] ||
        out "" "${nc[*]} lacks -u, -s or -b, and cannot send to a group or to every address: ${sender[0]} does."
    sharing no no yes
    sharing yes no yes
    label=TCP
    title "TCP: can a second server take the clients of one that listens?"
    takeover no yes
    takeover yes no yes nc
    takeover nc no yes
}

# ---- what was typed, and where ----

# A signal ignored from the start, as in a script's background job, could not be trapped.
if [[ $(trap -p INT PIPE) ]]; then
    env --default-signal=INT true 2>/dev/null ||
        die "SIGINT or SIGPIPE is ignored here: run this in the foreground"
    exec env --default-signal=INT --default-signal=PIPE bash "$0" "$@"
fi

kind=rust only='' pause=''
while (($#)); do
    case $1 in
    --c | --libc)
        [[ $kind == rust || $kind == "${1#--}" ]] || die "--c and --libc exclude each other" 2
        kind=${1#--}
        ;;
    --only)
        [[ ${2:-} == [123] ]] || die "--only takes 1, 2 or 3: see --help" 2
        only=$2
        shift
        ;;
    --pause) pause=1 ;;
    -h | --help) usage && exit ;;
    *) die "unknown argument \"$1\": see --help" 2 ;;
    esac
    shift
done
[[ ! $pause || -t 0 ]] || die "--pause needs a terminal to read from" 2
[[ $(uname) == Linux ]] || die "this shows Linux's TCP and UDP: run it on Linux"
[[ $kind != rust || $(uname -m) == x86_64 ]] ||
    die "the default build serves x86-64 alone, not $(uname -m): add --libc or --c"
((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || die "bash 4.4 or newer is needed, not $BASH_VERSION"
root=$(readlink -f -- "$0")
root=${root%/docs/*}
[[ -f $root/src/treuseaddr.c ]] ||
    die "no src/treuseaddr.c beside docs/: run this from the repository it came with"
{ : <&0; } 2>/dev/null || exec </dev/null

port=3459 hex_port=0D83 group=239.255.34.59 limit=20
unbuffered=() inside=() jobs=() zombies=() results=() sender=() serving=()
programs=(treuseaddr treuseaddr2 ureuseaddr)
dir='' label='' hurry='' brief='' network='' tcp='' launched='' tale='' n=0
case $only in
[12]) programs=("${programs[only - 1]}") ;;
3) programs=(treuseaddr ureuseaddr) ;;
esac
[[ $kind == rust ]] || unbuffered=(stdbuf -oL)
bold='' dim='' green='' red='' plain=''
[[ -t 1 && ! ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]] &&
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[m'
declare -A code=([FIN_WAIT2]=05 [TIME_WAIT]=06 [LISTEN]=0A) # of /proc/net/tcp
declare -A suffix=([no]='' [yes]=-reuseaddr [nc]='') word=([no]=without [yes]=with [nc]=nc)
declare -A story=(
    [treuseaddr no no]="Start it again: the row in TIME_WAIT keeps the address."
    [treuseaddr no yes]="Start one with the option: the row remembers that its server had none."
    [treuseaddr yes no]="Start one without the option: it does not help that the stopped one had it."
    [treuseaddr yes yes]="Start it again: both have the option, and the row does not matter."
    [treuseaddr2 no no]="Start it again: the child is still listening."
    [treuseaddr2 no yes]="Start one with the option: no option lets two listen on one address."
    [treuseaddr2 yes no]="Start one without the option: the same."
    [treuseaddr2 yes yes]="Start it again. Now it starts, the article says; but the child is listening."
    [ureuseaddr no no]="Start a second one: the port is taken."
    [ureuseaddr no yes]="Start one with the option: it does not get in. Without the option nobody gets in."
    [ureuseaddr yes no]="Start one without the option: it does not help that the first one has it."
    [takeover no]="A server without the option listens on 127.0.0.1."
    [takeover yes]="A server with the option listens on 127.0.0.1."
    [takeover nc]="A server with the option, nc, listens on every address."
    [takeover no yes]="Start one with the option: the first one listens, and no option gets past that."
    [takeover yes no]="Start one without the option, on the same address."
    [takeover yes yes]="Start one with the option: both have it, but the first one listens."
    [takeover yes nc]="Start one on every address, nc, which sets the option by itself."
    [takeover nc no]="Start one without the option on 127.0.0.1, an address more definite than the first one's."
    [takeover nc yes]="Start one with the option there: both have it."
    [treuseaddr2-close-listener no no]="Start it again: nobody listens, but the child's connection keeps the address."
    [treuseaddr2-close-listener no yes]="Start one with the option: the child's connection does not have it."
    [treuseaddr2-close-listener yes no]="Start one without the option: it does not help that the connection has it."
    [treuseaddr2-close-listener yes yes]="Start one with the option: both have it and nobody listens, so it starts."
)
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin:${CARGO_HOME:-${HOME:-}/.cargo}/bin
[[ ${CARGO_TARGET_DIR:-/} == /* ]] || export CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR

trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
dir=$(mktemp -d "${TMPDIR:-/tmp}/treuseaddr-demo.XXXXXX" 2>/dev/null) ||
    die "cannot make a directory in ${TMPDIR:-/tmp}: set TMPDIR"
CDPATH='' cd -- "$dir" || die "cannot enter $dir"
dir=$PWD
export TMPDIR=$dir # the compilers, too, leave nothing elsewhere
mkfifo keys silence && exec {keys}<>keys {silence}<>silence

[[ $kind == c ]] || has cargo ||
    die "missing: cargo: install Rust (https://rustup.rs), or add --c for the C twins"
find_tools || install_tools
find_listener
main && exit # on one line: bash reads no further, should the file have changed
