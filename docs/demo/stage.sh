# shellcheck shell=bash disable=SC2034,SC2059,SC2154 # other files set and read the same variables; formats are words
# What the lines of the story do: each shows its command, waits for Enter if it is to, runs the command, and
# shows what that prints.

find_command() { # NAME: how it is shown and run; of which program it is a build
    if [[ $1 == nc ]]; then
        program=treuseaddr label=treuseaddr shown=${serving[*]} command=("${serving[@]}")
    else
        program=${1#./} shown=$1 command=("${unbuffered[@]}" "$1")
        label=${program%-reuseaddr} program=${program%%-*}
    fi
}

# ---- servers and clients ----

server() { # NAME: the old server
    find_command "$1"
    old=$1 restarted=''
    typed server "$shown" '&'
    wait_here
    launch server "${command[@]}" <&"$silence"
    server=$launched
    await "${words[for-listener]}" listens_or_gone 0
    gone "$server" && contents server && fail server-not-started "$text"
    done_so_far+=("server $1")
}

client() { # COMMAND...: connects, and types a line
    typed nc "${nc[*]} ${*:2}"
    wait_here
    launch client "${nc[@]}" "${@:2}" <keys
    client=$launched
    if [[ $old == nc ]]; then
        type_hello
        hear server hello
    else
        hear server "${last_words[$program]}"
        [[ $program == treuseaddr ]] || await "${words[for-parent]}" gone "$server"
        type_hello
        hear client hello
    fi
    done_so_far+=("client $*")
}

type_hello() {
    said typed hello
    echo hello >&"$keys"
}

ctrl_c() { # WHO: server or nc
    [[ $1 == server ]] || nc_goes_on || return 0
    interrupted "$1"
    wait_here
    still_there
    if [[ $1 == server ]]; then
        kill -INT "$server"
        await "${words[for-server]}" gone "$server"
        wait "$server" # or bash may report the job later
        await_row FIN_WAIT2 TIME_WAIT
        [[ ! $nc_ends ]] || await "${words[for-nc]}" gone "$client"
        remains=FIN_WAIT2
    else
        kill -INT "$client" 2>/dev/null
        await "${words[for-nc]}" gone "$client"
        wait "$client"
    fi
    if ! nc_goes_on; then
        await_row TIME_WAIT
        remains=TIME_WAIT
    fi
    done_so_far+=("ctrl_c $1")
}

nc_goes_on() { ! gone "$client"; }

look() { # COMMAND...: netstat's rows on the port, without two columns, and whose each socket is
    local protocol own peer state color owner text listeners=() servers=() clients=()
    typed netstat "${netstat[*]} ${*:2} | grep $port"
    wait_here
    # busybox's goes on without a table: it may do so without those of IPv6.
    { "${inside[@]}" "${netstat[@]}" "${@:2}" >rows 2>why && ! grep -q '/proc/net/...: ' why; } ||
        { contents why && fail netstat-failed "${netstat[*]}" "${text##*$'\n'}"; }
    while read -r protocol _ _ own peer state _; do
        [[ "$own $peer" == *:$port* ]] || continue
        color=$yellow owner=${words[kernel]}
        [[ $state != LISTEN && $state != ESTABLISHED ]] || color=$green owner=${words[server]}
        # In treuseaddr2 the parent has gone: the child has what a new server has not.
        [[ $color$program != "$green"treuseaddr2 || $restarted$state == 1LISTEN ]] || owner=${words[child]}
        [[ $own == *:$port ]] || owner=nc
        if [[ ${pane[netstat]:-} ]]; then
            owner='' # it would not fit
            printf -v own '%-30s ' "$own $peer"
        else
            printf -v own '%-5s%-17s%-17s' "$protocol" "$own" "$peer"
            printf -v state '%-12s' "$state"
        fi
        if [[ $state == LISTEN* ]]; then
            listeners+=("$own$color$state$plain${owner:+ $owner}")
        elif [[ $own == *:"$port "*:* ]]; then
            servers+=("$own$color$state$plain${owner:+ $owner}")
        else
            clients+=("$own$color$state$plain${owner:+ $owner}")
        fi
    done <rows
    printed netstat "${listeners[@]}" "${servers[@]}" "${clients[@]}"
    [[ ${pane[netstat]:-} || $noted ]] || out "  $dim${words[columns-of-netstat]}$plain"
    noted=1
}

# ---- new servers ----

again() { # NAME OUTCOME: a new server, in-use or listens
    local before status text label seen=listens
    find_command "$1"
    typed server "$shown"
    pending=1 # each is a question of its own
    wait_here
    still_there
    holders
    before=$n
    launch again "${command[@]}" <&"$silence"
    await "${words[for-listener-or-end]}" listens_or_gone "$before"
    if gone "$launched"; then
        wait "$launched"
        status=$?
        contents again
        printed server "$red${text//$'\n'/$'\n'  }$plain"
        seen=$text
        # glibc says "Address already in use", musl "Address in use".
        [[ $text == "bind: : Address "*"in use" ]] && seen=in-use
        [[ $1 == nc && $text =~ Address.*in\ use|"Can't grab".*bind ]] && seen=in-use
        ((status == 255 || status && ${#1} == 2)) || seen="$text, status $status"
    fi
    [[ $seen != listens ]] || restarted=1
    came_out "$label" "$1" "$2" "$seen"
}

came_out() { # LABEL NEW EXPECTED SEEN: a row of the table, and what is told if it is not as expected
    local option=() name
    for name in "$old" "$2"; do
        case $name in
        nc | '') option+=("$name") ;;
        *-reuseaddr) option+=("${words[with]}") ;;
        *) option+=("${words[without]}") ;;
        esac
    done
    results+=("$number $1|${option[0]}|${option[1]}|${words[$3]}|${words[$4]:-$4}")
    [[ $3 == "$4" ]] || printf -v surprised "$red${words[differs]}$plain" "${words[$3]}" "${words[$4]:-$4}"
}

still_there() { # what the stopped server has left; if it has run out meanwhile, the same steps make it anew
    local command steps=("${done_so_far[@]}")
    [[ $remains ]] || return 0
    seconds_left "$remains" && ((n > 1)) && return
    out "  $dim${words[anew]}$plain"
    quiet=1
    afresh
    for command in "${steps[@]}"; do
        # shellcheck disable=SC2086 # its words are a command
        $command
    done
    quiet=''
}

# ---- receivers of datagrams ----

receiver() { # NAME COMMAND
    local user=()
    find_command "$2"
    [[ $1 == old ]] && old=$2 receivers=()
    [[ $1 == thief ]] && user=("${other[@]}") && chmod 711 . "$2" # that user has to start it here
    typed "$1" "${user[*]}${user:+ }$shown" '&'
    wait_here
    holders
    launch "$1" "${user[@]}" "${command[@]}" </dev/null
    await "${words[for-receiver]}" listens_or_gone "$n"
    until has_read "$launched"; do
        gone "$launched" && contents "$1" && fail receiver-not-started "$text"
        doze
    done
    receivers+=("$1") pid[$1]=$launched
}

send() { # TEXT ADDRESS EXPECTED: which of the receivers gets it?
    local who line lines found text before seen=''
    if [[ ${sender[*]} != "${nc[*]} -u"* ]]; then
        printf -v text "${words[another-sender]}" "${nc[*]}" "${sender[0]}"
        [[ $sender_noted ]] || out "  $dim$text$plain"
        sender_noted=1
    fi
    typed nc "echo $1 | ${sender[*]} $2 $port"
    pending=1
    wait_here
    echo "$1" >datagram
    count_delivered
    before=$n
    launch sent "${sender[@]}" "$2" "$port" <datagram
    wait "$launched" || { contents sent && fail not-sent "${sender[0]}" "$text"; }
    await "${words[for-delivery]}" is_delivered "$before" "$1"
    for who in "${receivers[@]}"; do
        printf -v text "${words[for-reading]}" "${words[$who]}"
        await "$text" has_read "${pid[$who]}"
    done
    for who in "${receivers[@]}"; do
        mapfile -t lines <"$who"
        found=''
        for line in "${lines[@]}"; do [[ $line == *": $1" ]] && found=$line; done
        [[ $found ]] && seen+=${seen:+-}$who
        said "$who" "$found"
    done
    [[ $seen == old-new ]] && seen=both
    came_out "$1" "${pid[new]:+./ureuseaddr-reuseaddr}" "$3" "${seen:-nobody}"
}

another_user() { # may this one start a program as another?
    local text
    other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    "${inside[@]}" "${other[@]}" true 2>why && return
    contents why
    printf -v text "${words[no-other-user]}" "${text##*$'\n'}"
    out "" "$text"
    return 1
}
