#!/usr/bin/env bash
# The article's two experiments with SO_REUSEADDR, a surprise in each, and a third experiment with UDP.
#
# Read it from top to bottom. `ask` and `tell` say a sentence of docs/demo/words.en.sh; every other line is a
# command of docs/demo/stage.sh. `again` starts a new server on what the old server has left, and names the
# outcome that we expect: in-use ("Address already in use") or listens.

[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # typed as "sh docs/demo.sh"
set -u +o posix

experiment_1() { # treuseaddr is stopped and started again
    experiment 1

    step 1/4 a-server-and-its-client
    ask which-row-does-a-server-have
    server ./treuseaddr
    look netstat -tna
    tell it-listens

    ask how-many-rows-with-a-client
    client nc 127.0.0.1 3459
    look netstat -tna
    tell three-rows

    step 2/4 the-server-stops-first
    ask does-its-end-go-with-it
    ctrl_c server
    look netstat -tna
    if nc_goes_on; then # some end by themselves here
        tell the-kernel-keeps-it

        ask is-the-port-free-without-nc
        ctrl_c nc
        look netstat -tna
        tell time-wait
    else
        tell time-wait-at-once
    fi

    step 3/4 start-it-again
    ask can-the-same-server-bind
    again ./treuseaddr in-use
    tell time-wait-holds-the-address

    ask can-a-server-with-the-option-bind
    again ./treuseaddr-reuseaddr in-use
    tell surprise-1

    step 4/4 both-have-the-option
    afresh
    ask does-this-time-wait-look-different
    server ./treuseaddr-reuseaddr
    client nc 127.0.0.1 3459
    ctrl_c server
    ctrl_c nc
    look netstat -tna
    tell the-flag-is-not-shown
    if [[ $kind != c ]]; then # it is in Rust
        ask what-does-bindtable-find
        bindtable port 3459
        tell the-flag-is-set
    fi

    ask one-without-and-one-with
    again ./treuseaddr in-use
    again ./treuseaddr-reuseaddr listens
    look netstat -tna
    tell both-need-it

    if [[ $kind != c ]]; then
        ask which-row-is-in-the-way
        why ./treuseaddr-reuseaddr
    fi

    recap 1
}

experiment_2() { # treuseaddr2 is started again while its child goes on
    experiment 2

    step 1/4 the-parent-exits-its-child-stays
    ask who-listens-now
    server ./treuseaddr2
    client nc 127.0.0.1 3459
    look netstat -tna
    tell the-child-listens

    step 2/4 start-it-again
    ask can-one-without-or-with-bind
    again ./treuseaddr2 in-use
    again ./treuseaddr2-reuseaddr in-use
    tell listen-is-enough

    step 3/4 the-option-in-both
    afresh
    ask does-the-option-close-the-listener
    server ./treuseaddr2-reuseaddr
    client nc 127.0.0.1 3459
    look netstat -tna
    tell the-child-listens-still

    ask does-the-article-s-restart-work
    again ./treuseaddr2 in-use
    again ./treuseaddr2-reuseaddr in-use
    tell surprise-2

    step 4/4 the-child-closes-the-listener
    afresh
    ask who-listens-after-close
    server ./treuseaddr2-close
    client nc 127.0.0.1 3459
    look netstat -tna
    tell nobody-listens

    ask is-that-enough
    again ./treuseaddr2-close in-use
    again ./treuseaddr2-close-reuseaddr in-use
    tell the-connection-lacks-the-flag

    afresh
    ask and-with-the-option-in-the-old-server
    server ./treuseaddr2-close-reuseaddr
    client nc 127.0.0.1 3459
    again ./treuseaddr2-close in-use
    again ./treuseaddr2-close-reuseaddr listens
    look netstat -tna
    tell the-article-is-right

    recap 2
}

experiment_3() { # UDP: receivers share a port; and TCP: can a server take another's clients?
    experiment 3

    step 1/4 the-first-receiver-has-no-option
    ask can-a-second-receiver-bind
    receiver old ./ureuseaddr
    again ./ureuseaddr in-use
    again ./ureuseaddr-reuseaddr in-use
    tell no-option-no-sharing

    step 2/4 both-receivers-have-the-option
    afresh
    ask can-one-without-the-option-join
    receiver old ./ureuseaddr-reuseaddr
    again ./ureuseaddr in-use
    send served 127.0.0.1 old
    tell the-first-is-served

    ask who-gets-what
    receiver new ./ureuseaddr-reuseaddr
    send multicast 239.255.34.59 both
    send broadcast 127.255.255.255 both
    send unicast 127.0.0.1 new
    tell the-last-gets-the-unicast

    step 3/4 a-thief
    if another_user; then
        ask can-another-user-take-it
        receiver thief ./ureuseaddr-reuseaddr
        send theft 127.0.0.1 thief
        tell the-thief-has-it
    fi

    step 4/4 tcp-does-not-share
    afresh
    ask can-a-second-server-take-the-clients
    server ./treuseaddr
    again ./treuseaddr-reuseaddr in-use
    client nc 127.0.0.1 3459
    tell the-first-answers

    afresh
    ask and-if-the-first-one-has-the-option
    server ./treuseaddr-reuseaddr
    again ./treuseaddr in-use
    again ./treuseaddr-reuseaddr in-use
    again nc in-use # on every address; it sets the option by itself
    client nc 127.0.0.1 3459
    tell not-while-it-listens

    afresh
    ask and-on-a-more-specific-address
    server nc # on every address
    again ./treuseaddr in-use
    again ./treuseaddr-reuseaddr in-use
    client nc 127.0.0.1 3459
    tell specific-is-no-way-in

    recap 3
}

IFS= read -r folder < <(readlink -f -- "$0")
folder=${folder%/*}/demo
[[ -r $folder/main.sh ]] || { echo "demo.sh: no demo/main.sh beside it: run it from its repository" >&2 && exit 1; }
# shellcheck source=docs/demo/main.sh
. "$folder/main.sh"
main "$@" && exit # on one line: bash reads no further, should the file have changed
