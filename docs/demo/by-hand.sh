# shellcheck shell=bash disable=SC2317 # the story calls the functions
# --by-hand: the commands of the story, to be typed in two terminals: servers and netstat in terminal 1, nc in
# terminal 2. Here the lines of the story print their commands, and do nothing else.

print_by_hand() {
    local runs='' waits='' nc_runs='' # what has to end before the next part: servers, TIME_WAIT, nc
    local title='' quoted chosen
    local -A compiled=()
    find_tools
    ((${#nc[@]})) || nc=(nc) serving=(nc -l 0.0.0.0 "$port")
    ((${#sender[@]})) || sender=(nc -u -b -w1 -s 127.0.0.1)

    experiment() {
        number=$1
        afresh
    }
    step() {
        format count "$number" "${1%/*}" "${1#*/}"
        title="$result ${words[$2]}"
    }
    ask() {
        out "" ${title:+"$title"} "${words[$1]//\*/}"
        title=''
    }
    tell() { :; }
    recap() { afresh; }
    nc_goes_on() { :; }
    another_user() { false; } # not without root
    server() { in_background "$1"; }
    again() {
        [[ $2 != listens ]] || runs=1
        in_background "$1"
    }
    receiver() { runs=1 && in_background "$2"; }
    look() { out "1\$ netstat ${*:2} | grep $port"; }
    bindtable() { out "1\$ cargo run -q -p bindtable -- $*"; }
    why() {
        command_of "$1"
        out '1$ why() { cargo run -q -p bindtable -- why -- "$@"; }' "1\$ why $result"
    }
    send() { out "2\$ echo $1 | ${sender[*]} $2 $port"; }
    client() {
        nc_runs=1
        out "2\$ ${nc[*]} ${*:2}"
        out "2  hello"
    }
    ctrl_c() {
        case $1 in
        server) out "1\$ kill -INT %1" ;;
        nc) out "2  Ctrl+C" && nc_runs='' waits=1 ;;
        esac
    }
    # On the same port: what is left must end first. A server ends with its client. TIME_WAIT lasts 60 s and
    # a little more, since the kernel's timers are coarse: steps of 2 s at 250 Hz.
    afresh() {
        [[ ! $nc_runs ]] || out "2  Ctrl+C"
        [[ ! $runs ]] || out "1\$ kill \$(jobs -p)"
        [[ ! $waits ]] || out "1\$ while netstat -tna | grep -q ':$port .*TIME_WAIT'; do sleep 1; done"
        runs='' waits='' nc_runs=''
    }

    out "${words[by-hand]}"
    quoted=${root//"'"/"'\\''"} # not ${root@Q}: that has a Chinese name as \ooo
    [[ $OLDPWD -ef $root ]] || out "1\$ cd '$quoted'"
    # Before there is a TIME_WAIT, which would not wait for this.
    [[ $kind == c || $experiments != *1* ]] || out "1\$ cargo build -q -p bindtable"
    for chosen in $experiments; do "experiment_$chosen"; done
}

in_background() { # NAME
    command_of "$1"
    out "1\$ $result &"
}

command_of() { # NAME: what starts it; C is compiled first
    local name=${1#./} features='' macros=''
    local program=${name%%-*}
    [[ $name != *-close* ]] || features+=,close-listener macros+="-DCLOSE_LISTENER "
    [[ $name != *-reuseaddr ]] || features+=,reuseaddr macros+="-DREUSEADDR "
    [[ $kind != libc ]] || features=,libc$features
    features=${features#,}
    if [[ $name == nc ]]; then
        result="${serving[*]} </dev/null"
    elif [[ $kind == c ]]; then
        [[ ${compiled[$name]:-} ]] || out "1\$ cc $macros-o /tmp/$name src/$program.c"
        compiled[$name]=1
        result=/tmp/$name
    else
        result="cargo run -q --bin $program${features:+ --features $features}"
    fi
}
