# shellcheck shell=bash disable=SC2034,SC2059,SC2154 # other files set and read the same variables; formats are words
# A network of its own for each part of the story; where none can be made, this machine's, waited for.

afresh() { # nothing of the part before is left
    local text
    [[ $network == host ]] && forgo_time_wait
    end_jobs || exit
    clear_panes
    done_so_far=() receivers=() remains='' pid=()
    if [[ $network == host ]]; then
        free_port
    elif ! new_network; then
        contents network && fail no-network "$text"
    fi
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

find_network() {
    local status text=${words[no-unshare]}
    if has unshare && has nsenter; then
        for network in root user; do
            new_network
            status=$?
            end_jobs || exit
            ((status)) || return 0
        done
        contents network
    fi
    network=host inside=() tcp=/proc/net/tcp
    printf -v text "${words[no-namespace]}" "${text##*$'\n'}" "$port"
    out "" "$text"
}

free_port() { # waits out what is left in TIME_WAIT
    local own peer state timer left line lines shown='' end=$((SECONDS + 120))
    while :; do
        left=-1
        mapfile -t lines < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
        for line in "${lines[@]}"; do
            read -r _ own peer state _ timer _ <<<"$line"
            [[ $own == *:$hex_port || $peer == *0100007F:$hex_port ]] || continue
            [[ $state == "${code[TIME_WAIT]}" || $own != *:$hex_port ]] ||
                fail port-in-use "$port" "netstat -tnap | grep $port"
            timer=$((16#${timer#*:} / 100)) # from clock ticks
            ((timer > left)) && left=$timer
        done
        ((left < 0)) && break
        if ((SECONDS >= end)); then
            printf -v line "${words[for-time-wait-to-end]}" "$port"
            fail waited 120 "$line"
        fi
        [[ $shown ]] || { out "" && shown=99; }
        printf -v line "  ${words[waiting]}" "$port" "$left"
        if [[ $erase ]]; then
            printf '%s%s ' "$erase" "$line"
        elif ((left <= shown - 20)); then
            out "$line"
            shown=$left
        fi
        doze
    done
    [[ $erase && $shown ]] && printf '%s\e[A' "$erase"
    [[ $number == 3 ]] && count_rows any /proc/net/udp /proc/net/udp6 || return 0
    fail port-in-use "$port" "netstat -unap | grep $port"
}

forgo_time_wait() { # a process that is killed with unread data resets its connection
    local left
    rows ESTABLISHED && find_groups "$server" || return 0
    kill -STOP -- "-$server"
    await "${words[for-stop]}" in_state T "$server"
    echo unread >&"$keys"
    await "${words[for-unread]}" unread "$tcp" 1
}
