# shellcheck shell=bash
# What the lines of the story do: each shows its command, waits for Enter if it is to, runs the command, and
# shows what that prints.

number=''        # of the experiment
old=''           # the old server or receiver, as the story names it
program=''       # of which program the last one started is a build
shown=''         # the command that starts it, as it is shown
command=()       # and as it is run
declare -A pid=() # of the old server, of its client, of a new server that listens, and of the receivers
remains=''       # the state of what the stopped server has left
done_so_far=()   # the commands that have brought it there
other=()         # starts a command as another user

experiment() { # NUMBER: on a network that nothing has used
    number=$1
    clear_stage
}

afresh() { # the next part of an experiment, on a network that nothing has used
    clear_stage
    [[ $network != host ]] || return 0 # TIME_WAIT has been waited for
    [[ $titled ]] || out ""
    out "${color[dim]}${words[afresh]}${color[plain]}"
    titled=1
}

clear_stage() { # nothing of the part before is left
    clear_network
    clear_panes
    pid=() remains='' done_so_far=()
}

find_command() { # NAME
    if [[ $1 == nc ]]; then
        program=treuseaddr shown=${serving[*]} command=("${serving[@]}")
    else
        program=${1#./} shown=$1 command=("${unbuffered[@]}" "$1")
        program=${program%%-*}
    fi
}

# ---- servers and clients ----

server() { # NAME: the old server
    find_command "$1"
    old=$1
    typed server "$shown" '&'
    wait_here
    launch server "${command[@]}" <&"$silence"
    pid[server]=$launched
    await "${words[for-listener]}" has_started 0
    if gone "$launched"; then contents server && fail server-not-started "$result"; fi
    done_so_far+=("server $1")
}

client() { # COMMAND...: connects, and types a line
    typed nc "${nc[*]} ${*:2}"
    wait_here
    launch client "${nc[@]}" "${@:2}" <keys
    pid[client]=$launched
    if [[ $old == nc ]]; then
        type_hello
        hear server hello
    else
        if [[ $program == treuseaddr2 ]]; then
            hear server exit
            await "${words[for-parent]}" gone "${pid[server]}"
        else
            hear server connected
        fi
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
        kill -INT "${pid[server]}"
        await "${words[for-server]}" gone "${pid[server]}"
        wait "${pid[server]}" # or bash may report the job later
        await_row FIN_WAIT2 TIME_WAIT
        [[ ! $nc_ends ]] || await "${words[for-nc]}" gone "${pid[client]}"
        remains=FIN_WAIT2
    else
        kill -INT "${pid[client]}" 2>/dev/null
        await "${words[for-nc]}" gone "${pid[client]}"
        wait "${pid[client]}"
    fi
    if ! nc_goes_on; then
        await_row TIME_WAIT
        remains=TIME_WAIT
    fi
    done_so_far+=("ctrl_c $1")
}

nc_goes_on() { ! gone "${pid[client]}"; }

look() { # COMMAND...: netstat's rows on the port, without two columns, and whose each socket is
    local protocol own peer state row listeners=() servers=() clients=()
    typed netstat "${netstat[*]} ${*:2} | grep $port"
    wait_here
    # busybox's goes on without a table: it may do so without those of IPv6.
    { "${inside[@]}" "${netstat[@]}" "${@:2}" >rows 2>why && ! grep -q '/proc/net/...: ' why; } ||
        { contents why && fail netstat-failed "${netstat[*]}" "${result##*$'\n'}"; }
    while read -r protocol _ _ own peer state _; do
        [[ "$own $peer" == *:$port* ]] || continue
        owner_of "$own" "$state"
        show_row "$protocol" "$own" "$peer" "$state" "$result"
        row=$result
        if [[ $state == LISTEN ]]; then
            listeners+=("$row")
        elif [[ $own == *:$port ]]; then
            servers+=("$row")
        else
            clients+=("$row")
        fi
    done <rows
    printed netstat "${listeners[@]}" "${servers[@]}" "${clients[@]}"
    note columns-of-netstat
}

owner_of() { # OWN STATE: whose is the socket of this row?
    if [[ $1 != *:$port ]]; then
        result=nc
    elif [[ $2 != LISTEN && $2 != ESTABLISHED ]]; then
        result=${words[kernel]}
    elif [[ $program != treuseaddr2 ]]; then
        result=${words[server]}
    elif [[ $2 == LISTEN && ${pid[again]:-} ]]; then
        result=${words[server]} # the new one
    else
        result=${words[child]} # its parent has gone
    fi
}

show_row() { # PROTOCOL OWN PEER STATE OWNER
    local tint=${color[yellow]}
    [[ $4 != LISTEN && $4 != ESTABLISHED ]] || tint=${color[green]}
    printf -v result '%-5s%-17s%-17s%s%-12s%s %s' "$1" "$2" "$3" "$tint" "$4" "${color[plain]}" "$5"
}

bindtable() { # port 3459: what it says of the socket in TIME_WAIT
    local line text='' lines=()
    typed netstat "bindtable $*"
    wait_here
    still_there
    "${inside[@]}" ./bindtable "$@" --lang "$language" >found 2>&1
    while read -r line; do
        [[ $text || $line == "TIME_WAIT  "* ]] || continue
        [[ $line ]] || break
        lines+=("${text:+    }$line")
        text+=$line
    done <found
    if [[ $text != *SO_REUSEADDR* ]]; then contents found && fail bindtable-failed "${result##*$'\n'}"; fi
    printed netstat "${lines[@]}"
}

why() { # NAME: what bindtable says of a new server that fails
    local lines
    find_command "$1"
    typed netstat "bindtable why -- $shown"
    wait_here
    launch said ./bindtable why --lang "$language" -- "${command[@]}" <&"$silence"
    await "${words[for-server]}" gone "$launched"
    mapfile -t lines <said
    terminal_of netstat
    put "$result" '' "${lines[@]}" # which may fill 80 columns
    [[ ! ${pane[netstat]:-} ]] || { pending=1 && wait_here; } # the panes close now
}

# ---- new servers ----

again() { # NAME OUTCOME: a new server, which comes out as in-use or as listens
    local status text label seen=listens
    find_command "$1"
    typed server "$shown"
    pending=1 # each is a question of its own
    wait_here
    still_there
    holders
    launch again "${command[@]}" <&"$silence"
    await "${words[for-listener-or-end]}" has_started "$result"
    if gone "$launched"; then
        wait "$launched"
        status=$?
        contents again
        text=$result
        printed server "${color[red]}${text//$'\n'/$'\n'  }${color[plain]}"
        if says_in_use "$1" "$status" "$text"; then seen=in-use; else seen="$text, status $status"; fi
    else
        pid[again]=$launched
    fi
    label=$program
    [[ $1 == nc ]] || label=${1#./} label=${label%-reuseaddr}
    came_out "$label" "$1" "$2" "$seen"
}

says_in_use() { # NAME STATUS TEXT: are these the words and the status of "Address already in use"?
    case $1 in
    nc) (($2 != 0)) && [[ $3 =~ Address.*in\ use|"Can't grab".*bind ]] ;;
    # glibc says "Address already in use", musl "Address in use".
    *) (($2 == 255)) && [[ $3 == "bind: : Address "*"in use" ]] ;;
    esac
}

came_out() { # LABEL NEW EXPECTED SEEN: a row of the table, and what is told if it is not as expected
    local name options='' expected=${words[$3]} seen=${words[$4]:-$4}
    for name in "$old" "$2"; do
        case $name in
        nc | '') options+="|$name" ;;
        *-reuseaddr) options+="|${words[with]}" ;;
        *) options+="|${words[without]}" ;;
        esac
    done
    outcomes+=("$number $1$options|$expected|$seen")
    if [[ $3 != "$4" ]]; then
        format differs "$expected" "$seen"
        surprised=${color[red]}$result${color[plain]}
    fi
}

still_there() { # what the stopped server has left; if it has run out meanwhile, the same steps make it anew
    local line step steps=("${done_so_far[@]}")
    [[ $remains ]] || return 0
    seconds_left "$remains" && ((result > 1)) && return
    out "  ${color[dim]}${words[anew]}${color[plain]}"
    quiet=1
    clear_stage
    for line in "${steps[@]}"; do
        read -ra step <<<"$line"
        "${step[@]}"
    done
    quiet=''
}

# ---- receivers of datagrams ----

receiver() { # old, new or thief; COMMAND
    local user=()
    find_command "$2"
    case $1 in
    old) old=$2 ;;
    thief) user=("${other[@]}") && chmod 711 . "$2" ;; # that user has to start it here
    esac
    typed "$1" "${user[*]}${user:+ }$shown" '&'
    wait_here
    holders
    launch "$1" "${user[@]}" "${command[@]}" </dev/null
    await "${words[for-receiver]}" has_started "$result"
    until has_read "$launched"; do
        if gone "$launched"; then contents "$1" && fail receiver-not-started "$result"; fi
        doze
    done
    pid[$1]=$launched
}

send() { # TEXT ADDRESS EXPECTED: which of the receivers gets it?
    local who line lines found before receivers=() new='' seen=''
    [[ "${sender[*]}" == "${nc[*]} -u"* ]] || note another-sender "${nc[*]}" "${sender[0]}"
    typed nc "echo $1 | ${sender[*]} $2 $port"
    pending=1
    wait_here
    for who in old new thief; do [[ ! ${pid[$who]:-} ]] || receivers+=("$who"); done
    echo "$1" >datagram
    count_delivered
    before=$result
    launch sent "${sender[@]}" "$2" "$port" <datagram
    wait "$launched" || { contents sent && fail not-sent "${sender[0]}" "$result"; }
    await "${words[for-delivery]}" is_delivered "$before" "$1"
    for who in "${receivers[@]}"; do
        format for-reading "${words[$who]}"
        await "$result" has_read "${pid[$who]}"
    done
    for who in "${receivers[@]}"; do
        mapfile -t lines <"$who"
        found=''
        for line in "${lines[@]}"; do [[ $line != *": $1" ]] || found=$line; done
        [[ ! $found ]] || seen+=${seen:+-}$who
        said "$who" "$found"
    done
    [[ $seen != old-new ]] || seen=both
    [[ ! ${pid[new]:-} ]] || new=./ureuseaddr-reuseaddr
    came_out "$1" "$new" "$3" "${seen:-nobody}"
}

another_user() { # may this one start a program as another?
    other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    "${inside[@]}" "${other[@]}" true 2>why && return
    contents why
    format no-other-user "${result##*$'\n'}"
    out "" "$result"
    return 1
}
