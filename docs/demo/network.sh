# shellcheck shell=bash
# A network of its own for each part of the story; where none can be made, this machine's, waited for. And what
# the kernel's tables say of it.

network='' # whose namespaces these are: root's, or a user's; or the host's network itself
inside=()  # the start of a command in it
tcp=''     # its table of TCP, as /proc/net/tcp
declare -A code=([ESTABLISHED]=01 [FIN_WAIT2]=05 [TIME_WAIT]=06 [LISTEN]=0A) # in that table

find_network() {
    local status problem=${words[no-unshare]}
    if has unshare && has nsenter; then
        for network in root user; do
            new_network
            status=$?
            end_jobs || exit
            ((status)) || return 0
        done
        contents network
        problem=${result##*$'\n'}
    fi
    network=host inside=() tcp=/proc/net/tcp
    format no-namespace "$problem" "$port"
    out "" "$result"
}

new_network() { # a network namespace, kept open by a process of its own
    local leave=(--net) enter=(-n)
    [[ $network == user ]] && leave+=(--user --map-root-user) enter+=(-U --preserve-credentials)
    inside=()
    launch network unshare "${leave[@]}" sh -c '
        { ip link set lo up || ifconfig lo up || busybox ip link set lo up; } &&
        echo ready && exec tail -f /dev/null'
    await "${words[for-namespace]}" has_printed_or_gone network ready
    has_printed network ready || return
    tcp=/proc/$launched/net/tcp
    inside=(nsenter -t "$launched" "${enter[@]}")
    "${inside[@]}" true 2>network
}

clear_network() { # nothing of the part before is left
    [[ $network != host ]] || forgo_time_wait
    end_jobs || exit
    if [[ $network == host ]]; then
        free_port
    elif ! new_network; then
        contents network && fail no-network "$result"
    fi
}

forgo_time_wait() { # a process that is killed with unread data resets its connection
    local group=${pid[server]:-}
    [[ $group ]] && rows ESTABLISHED && find_groups "$group" || return 0
    kill -STOP -- "-$group"
    await "${words[for-stop]}" in_state T "$group"
    echo unread >&"$keys"
    await "${words[for-unread]}" unread "$tcp" 1
}

free_port() { # waits out what is left in TIME_WAIT
    local own peer state timer left line lines more shown='' end=$((SECONDS + 120))
    while :; do
        left=-1 more=()
        mapfile -t lines </proc/net/tcp
        [[ ! -e /proc/net/tcp6 ]] || mapfile -t more </proc/net/tcp6
        for line in "${lines[@]}" "${more[@]}"; do
            read -r _ own peer state _ timer _ <<<"$line"
            [[ $own == *:$hex_port || $peer == *0100007F:$hex_port ]] || continue
            [[ $state == "${code[TIME_WAIT]}" || $own != *:$hex_port ]] ||
                fail port-in-use "$port" "netstat -tnap | grep $port"
            timer=$((16#${timer#*:} / 100)) # from clock ticks
            ((timer <= left)) || left=$timer
        done
        ((left >= 0)) || break
        if ((SECONDS >= end)); then
            format for-time-wait-to-end "$port"
            fail waited 120 "$result"
        fi
        [[ $shown ]] || { out "" && shown=99; }
        format waiting "$port" "$left"
        if [[ $erase ]]; then
            printf '%s  %s ' "$erase" "$result"
        elif ((left <= shown - 20)); then
            out "  $result"
            shown=$left
        fi
        doze
    done
    [[ $erase && $shown ]] && printf '%s\e[A' "$erase"
    [[ $number == 3 ]] && count_rows any /proc/net/udp /proc/net/udp6 || return 0
    fail port-in-use "$port" "netstat -unap | grep $port"
}

# ---- the kernel's tables ----

rows() { # STATE...: has the port a socket in the one or the other? And how many
    local state sum=0
    for state in "$@"; do
        count_rows "$state" "$tcp" "${tcp}6"
        ((sum += result))
    done
    result=$sum
    ((sum))
}

count_rows() { # STATE TABLE...: how many of the port's sockets are in it?
    local table own state line lines count=0
    for table in "${@:2}"; do
        lines=()
        mapfile -t lines 2>/dev/null <"$table"
        for line in "${lines[@]}"; do
            read -r _ own _ state _ <<<"$line"
            [[ $own == *:$hex_port && ($1 == any || $state == "${code[$1]}") ]] && ((++count))
        done
    done
    result=$count
    ((count))
}

await_row() { # STATE...: of the one or the other
    local states="$*"
    format for-row "${states// / / }"
    await "$result" rows "$@"
}

seconds_left() { # STATE: of the socket in it that has most
    local own state timer line lines=() left=-1
    mapfile -t lines <"$tcp"
    for line in "${lines[@]}"; do
        read -r _ own _ state _ timer _ <<<"$line"
        [[ $own == *:$hex_port && $state == "${code[$1]}" ]] || continue
        timer=$((16#${timer#*:} / 100)) # from clock ticks
        ((timer <= left)) || left=$timer
    done
    result=$left
    ((left >= 0))
}

holders() { # how many have the port: receivers, or servers that listen
    if [[ $program == ureuseaddr ]]; then count_rows any "${tcp%tcp}udp"; else rows LISTEN; fi
}

has_started() { # HOLDERS_BEFORE: has what was launched got the port, or ended?
    gone "$launched" || { holders; ((result > $1)); }
}

unread() { grep -qs ":$hex_port [^ ]* 0$2 [^ ]*:0*[1-9A-F]" "$1" "${1}6"; } # TABLE STATE: something received
# All that was delivered, and waits. In this order: a receiver still sleeps in the moment before it is woken.
has_read() { ! unread "${tcp%tcp}udp" 7 && in_state S "$1"; }

count_delivered() { # how many packets IP has delivered, as it counts them: after their sockets have them
    local protocol count
    while read -r protocol _ _ _ _ _ _ _ _ count _; do
        [[ $protocol != Ip: ]] || result=$count # the first such row has the names
    done <"${tcp%tcp}snmp"
}

# sendto(2) may return before its datagram is delivered: if ksoftirqd or another processor has to do that.
is_delivered() { # BEFORE TEXT; on this machine's own network, IP counts the packets of other programs too
    count_delivered
    ((result > $1)) && { [[ $network != host ]] || grep -qs ": $2\$" old new thief; }
}
