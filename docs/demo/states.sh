# shellcheck shell=bash disable=SC2034,SC2059,SC2154 # other files set and read the same variables; formats are words
# Waiting for a state: of the kernel's tables, of a process, of what it prints.

await() { # WHAT COMMAND...: polls until the command is true
    local what=$1 end=$((SECONDS + limit))
    shift
    until "$@"; do
        ((SECONDS < end)) || fail waited "$limit" "$what"
        doze
    done
}

await_row() { # STATE...: of the one or the other
    local what="$*"
    printf -v what "${words[for-row]}" "${what// / / }"
    await "$what" rows "$@"
}

doze() { # 20 ms, without a process: nobody writes into this pipe
    read -rt 0.02 <&"$silence"
    return 0
}

rows() { # STATE...: has the port a socket in the one or the other? n says how many
    local state sum=0
    for state in "$@"; do count_rows "$state" "$tcp" "${tcp}6" && ((sum += n)); done
    n=$sum
    ((n))
}

count_rows() { # STATE TABLE...
    local table own state line lines
    n=0
    for table in "${@:2}"; do
        lines=()
        mapfile -t lines 2>/dev/null <"$table"
        for line in "${lines[@]}"; do
            read -r _ own _ state _ <<<"$line"
            [[ $own == *:$hex_port && ($1 == any || $state == "${code[$1]}") ]] && ((++n))
        done
    done
    ((n))
}

seconds_left() { # STATE: n says how many, of the one that has most
    local own state timer line lines=() left=-1
    n=0
    mapfile -t lines <"$tcp"
    for line in "${lines[@]}"; do
        read -r _ own _ state _ timer _ <<<"$line"
        [[ $own == *:$hex_port && $state == "${code[$1]}" ]] || continue
        timer=$((16#${timer#*:} / 100)) # from clock ticks
        ((timer > left)) && left=$timer
    done
    n=$left
    ((left >= 0))
}

holders() { # n says how many have the port: receivers, or servers that listen
    if [[ $program == ureuseaddr ]]; then count_rows any "${tcp%tcp}udp"; else rows LISTEN; fi
}

listens_or_gone() { # HOLDERS_BEFORE
    gone "$launched" || { holders; ((n > $1)); }
}

gone() { # PID: has it ended? Its state says so: now and then bash misses a SIGCHLD, and leaves it a zombie
    local stat
    ! { read -r stat <"/proc/$1/stat"; } 2>/dev/null || [[ ${stat##*) } == [ZX]* ]]
}

in_state() { grep -qsE "\) [$1] [0-9]+ $2 " /proc/[0-9]*/stat; } # STATES GROUP: is a process of it?
unread() { grep -qs ":$hex_port [^ ]* 0$2 [^ ]*:0*[1-9A-F]" "$1" "${1}6"; } # TABLE STATE: something received
# All that was delivered, and waits. In this order: a receiver still sleeps in the moment before it is woken.
has_read() { ! unread "${tcp%tcp}udp" 7 && in_state S "$1"; }

count_delivered() { # n says how many packets IP has delivered, as it counts them: after their sockets have them
    local protocol count
    while read -r protocol _ _ _ _ _ _ _ _ count _; do
        [[ $protocol != Ip: ]] || n=$count # the first such row has the names
    done <"${tcp%tcp}snmp"
}

# sendto(2) may return before its datagram is delivered: if ksoftirqd or another processor has to do that.
is_delivered() { # BEFORE TEXT; on this machine's own network, IP counts the packets of other programs too
    count_delivered
    ((n > $1)) && { [[ $network != host ]] || grep -qs ": $2\$" -- "${receivers[@]}"; }
}

contents() { # FILE: into $text, without the last newline
    IFS= read -rd '' text <"$1" # false, for there is no \0
    text=${text%$'\n'}
}

has_printed() { contents "$1" && [[ $text == *"$2"* ]]; } # FILE TEXT
has_printed_or_gone() { has_printed "$@" || gone "$launched"; }

hear() { # FILE TEXT: waits for the text, and shows all that the program has printed
    local text lines
    printf -v text "${words[for-text]}" "$2" "${words[$1]}"
    await "$text" has_printed "$1" "$2"
    mapfile -t lines <"$1"
    said "$1" "${lines[@]}"
}
