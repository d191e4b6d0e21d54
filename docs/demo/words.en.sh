# shellcheck shell=bash disable=SC2034 # the other files read them
# What the demo says, in English. A line is at most 80 columns wide, but for errors; *a word* is shown bold and colored.
# The story's keys stand in the order of docs/demo.sh.

declare -gA words=(
    [usage]="usage: docs/demo.sh [--c | --libc] [--only 1|2|3 | --all] [--no-pause | --split]
       docs/demo.sh --by-hand [--c | --libc] [--only 1|2|3 | --all]

Builds the servers and shows the article's two experiments with SO_REUSEADDR,
with nc and netstat, and a surprise in each; and ends with a table of every
outcome, expected and seen. On a terminal it waits for Enter before each answer:
type b and Enter to go back, q and Enter to quit.

  --only 1|2|3  one experiment: treuseaddr (1), treuseaddr2 (2), or what UDP and
                TCP let a second program take (3)
  --all         all three; without --only and --all, it shows 1 and 2
  --no-pause    do not wait, on a terminal either
  --split       the same in tmux: server, nc and netstat each in a pane
  --c           the C twins, not the Rust ports
  --libc        the Rust ports on the system's C library
  --by-hand     print the commands to type, each after the number of its
                terminal, and run nothing
  --lang LANG   en or zh; without it, the locale decides (LC_ALL, LC_MESSAGES,
                LANG)
  -h, --help    this text

Environment: CARGO_TARGET_DIR (default: target/demo), TMPDIR, NO_COLOR.
Exit status: 0 all as expected, 1 an outcome differs or something failed,
2 wrong usage, 129, 130, 141, 143 ended by SIGHUP, SIGINT, SIGPIPE, SIGTERM
(under nohup, SIGHUP stays ignored)."

    # ---- the frame ----
    [build]="The programs are built, without and with the option"
    [stdbuf]="(Each runs under stdbuf -oL: the C library then prints each line at once.)"
    [no-namespace]="No network namespace can be made here (%s):
port %d of this machine serves, and each TIME_WAIT has to be waited for."
    [waiting]="TIME_WAIT on port %d: %d s left"
    [count]="Experiment %d, step %d/%d:"
    [recap]="To remember"
    [enter]="[Enter]"
    [keys]="(b: back, q: quit)"
    [back]="(back)"
    [afresh]="(On a fresh network, as if every program had ended and 60 s had passed.)"
    [by-hand]="1 and 2 are terminals: type the servers and netstat in 1, nc in 2.
Before each command, say what it will show."
    [seconds]="%s: %d s left"
    [no-seconds]="%s has run out: Enter makes a new one"
    [anew]="(What the old server had left has run out: we have made it anew.)"
    [another-sender]="(%s cannot send to a group or to all: we take %s)"
    [ctrl-c]="what Ctrl+C does"
    [server]="server"
    [child]="child"
    [client]="client"
    [typed]="typed"
    [kernel]="no process"
    [columns-of-netstat]="(without netstat's columns Recv-Q and Send-Q; the last one is ours)"
    [differs]="Here it is different: we expected \"%s\", and saw \"%s\"."

    # ---- the table ----
    [outcomes]="Every outcome (old, new: without or with the option)"
    [columns]="experiment|old|new|expected|seen"
    [without]="without"
    [with]="with"
    [in-use]="in use"
    [listens]="listens"
    [old]="old"
    [new]="new"
    [both]="both"
    [thief]="thief"
    [nobody]="nobody"
    [ok]="ok"
    [not-ok]="differs"
    [in-use-is]="in use: \"bind: : Address already in use\", exit status 255"
    [in-use-of-nc]="in use: \"bind: : Address already in use\", exit status 255;
of nc, its own words"
    [as-expected]="All %d outcomes are as expected."

    # ---- errors, each in one line after "demo.sh: " ----
    [not-linux]="this shows Linux's TCP and UDP: run it on Linux"
    [no-sources]="no src/treuseaddr.c beside docs/: run this from the repository it came with"
    [wrong-machine]="the default build serves x86_64, aarch64 and riscv64, not %s: add --libc or --c"
    [signals-ignored]="SIGINT or SIGPIPE is ignored here: run this in the foreground"
    [unknown-argument]="unknown argument \"%s\": see --help"
    [c-or-libc]="--c and --libc exclude each other"
    [which-experiment]="--only takes 1, 2 or 3: see --help"
    [only-or-all]="--only and --all: give one of them, once"
    [which-language]="--lang takes one of: %s"
    [split-or-by-hand]="--split and --by-hand exclude each other"
    [split-pauses]="--split waits for Enter: leave --no-pause out"
    [no-terminal]="--split needs a terminal to read from and to write to"
    [small-terminal]="--split needs a terminal of 80 columns and 24 lines, not %d and %d"
    [no-pane]="tmux cannot split its window"
    [tmux-ended]="tmux has ended: %s"
    [no-cargo]="missing: cargo: install Rust 1.88 or newer (https://rustup.rs), or add --c for the C twins"
    [old-rust]="Rust 1.88 or newer is needed, not %s: https://rustup.rs has it; or add --c for the C twins"
    [nc-with-options]="nc with -u, -s and -b"
    [still-missing]="missing even after that: %s"
    [failed]="\"%s\" failed: see above"
    [no-directory]="cannot make a directory in %s: set TMPDIR"
    [cannot-enter]="cannot enter %s"
    [cannot-write]="cannot write to %s: set CARGO_TARGET_DIR"
    [cannot-copy]="cannot copy %s"
    [cannot-execute]="cannot execute a program in %s, which may be mounted noexec: set TMPDIR"
    [no-output]="cannot write to standard output"
    [no-unshare]="unshare or nsenter is missing"
    [no-network]="no network namespace: %s"
    [port-in-use]="port %d is in use: stop the program that has it (%s)"
    [server-not-started]="the server has not started: %s"
    [receiver-not-started]="the receiver has not started: %s"
    [not-sent]="%s has not sent it: %s"
    [netstat-failed]="%s has failed: %s"
    [bindtable-failed]="bindtable does not show the flag: %s"
    [outcomes-differ]="%d of %d outcomes differ from what was expected"
    [waited]="waited %d s for %s, in vain"
    [for-namespace]="a network namespace"
    [for-time-wait-to-end]="the end of TIME_WAIT on port %d"
    [for-listener]="the server to listen"
    [for-listener-or-end]="the server to listen or to end"
    [for-parent]="the parent to end"
    [for-server]="the server to end"
    [for-nc]="nc to end"
    [for-text]="\"%s\" from the %s"
    [for-row]="a row in %s"
    [for-receiver]="the receiver to have the port"
    [for-delivery]="the datagram to be delivered"
    [for-reading]="the %s receiver to read"
    [for-stop]="the process to stop"
    [for-unread]="data that nobody reads"
    [for-group]="the process group %s to end"

    # ---- experiment 1 ----
    [a-server-and-its-client]="a server and its client"
    [which-row-does-a-server-have]="We start the server, without the option. Which row does netstat show?"
    [it-listens]="*LISTEN*: the server waits for a client."
    [how-many-rows-with-a-client]="A client connects and types a line. How many rows are there now?"
    [three-rows]="*Three*: the listener, and the two ends of the connection. The server's end is a
socket of its own, on the same port."

    [the-server-stops-first]="the server stops first"
    [does-its-end-go-with-it]="We press Ctrl+C at the server. Does its end of the connection go with it?"
    [the-kernel-keeps-it]="*No*. The kernel keeps it, without a process, until nc closes, for 60 s at most."
    [is-the-port-free-without-nc]="Now we stop nc too. No process is left. Which rows are left?"
    [time-wait]="*TIME_WAIT*: the end that closed first stays for 60 s. That is the server's end."
    [time-wait-at-once]="*No*. This nc has closed too, but the end that closed first, the server's, stays
in *TIME_WAIT* for 60 s, without a process."

    [start-it-again]="start it again"
    [can-the-same-server-bind]="We start the same server again. Can it bind its address?"
    [time-wait-holds-the-address]="*No*. The TIME_WAIT holds the address."
    [can-a-server-with-the-option-bind]="The article's cure is SO_REUSEADDR. Can a new server with the option bind?"
    [surprise-1]="Surprise 1: *no*. The TIME_WAIT remembers that the old server did not have the
option. It is not enough that the new one sets it."

    [both-have-the-option]="both have the option"
    [does-this-time-wait-look-different]="Once more, but the old server has the option. Is its TIME_WAIT different?"
    [the-flag-is-not-shown]="netstat shows *no difference*. But this TIME_WAIT has a flag, a copy of the option
of its server, and netstat does not show it."
    [what-does-bindtable-find]="bindtable, a program of this repository, asks the kernel with a bind of its own.
What does it say of this TIME_WAIT?"
    [the-flag-is-set]="*SO_REUSEADDR on*: that is the flag."
    [one-without-and-one-with]="We start a new server without the option, then one with it. Which can bind?"
    [both-need-it]="*The second*: both servers have set the option. bind passes over the TIME_WAIT,
which is still there."
    [which-row-is-in-the-way]="We start one more, and bindtable explains its failure. Which row is in the way?"
    [recap-1]="- The end that closes first stays in TIME_WAIT for 60 s and holds the address.
- SO_REUSEADDR helps only if the old server *and* the new server set it.
- So after you add the option, the server waits for one last TIME_WAIT."

    # ---- experiment 2 ----
    [the-parent-exits-its-child-stays]="the parent exits, its child stays"
    [who-listens-now]="treuseaddr2 forks: the parent exits, the child talks to nc. Who listens now?"
    [the-child-listens]="*The child*. fork gave it a copy of the listening descriptor, and it does not
close that copy. It will never accept a client either."
    [can-one-without-or-with-bind]="There is no TIME_WAIT. Can a new server bind, without the option or with it?"
    [listen-is-enough]="*Neither*. The child has a socket in LISTEN, and that holds the address."

    [the-option-in-both]="the option in both"
    [does-the-option-close-the-listener]="Once more, but the old server has the option. Does the child listen now?"
    [the-child-listens-still]="*It does*: the option changes nothing for the child."
    [does-the-article-s-restart-work]="The article says that a new server with the option starts now. Does it?"
    [surprise-2]="Surprise 2: it *does not*. SO_REUSEADDR never passes a socket in LISTEN: while the
child lives, the server does not restart. (With SO_REUSEPORT in both, it would.
But the child would get its share of the clients, and never accept them.)"

    [the-child-closes-the-listener]="the child closes the listener"
    [who-listens-after-close]="The child gets one line more, close(lfd), before its loop. Who listens now?"
    [nobody-listens]="*Nobody*. Only the connection is left."
    [is-that-enough]="The old server had no option. Can a new one bind, without it or with it?"
    [the-connection-lacks-the-flag]="*Neither*. The connection, too, keeps a copy of the old server's flag."
    [and-with-the-option-in-the-old-server]="Once more, but the old server has the option. Which new one can bind?"
    [the-article-is-right]="*The one with it*: nobody listens, and both have set the option. The article's
claim is true of this program."
    [recap-2]="- After fork the child has the listener too, until it closes its copy.
- SO_REUSEADDR never passes a LISTEN: no restart while such a child lives.
- If the child closes the listener, both servers must set it, as before."

    # ---- experiment 3 ----
    [the-first-receiver-has-no-option]="the first receiver has no option"
    [can-a-second-receiver-bind]="A receiver of datagrams has the port, without the option. Can a second one bind,
without the option or with it?"
    [no-option-no-sharing]="*Neither*: a receiver without the option does not share its port."
    [both-receivers-have-the-option]="both receivers have the option"
    [can-one-without-the-option-join]="Now the first receiver has the option. Can one without it bind? And who gets a
datagram?"
    [the-first-is-served]="*No*, both need it here too; and the one receiver gets the datagram."
    [who-gets-what]="A second receiver with the option. Who gets a datagram to the group that both
have joined? A broadcast? One to 127.0.0.1?"
    [the-last-gets-the-unicast]="Group and broadcast reach *both*. The one to 127.0.0.1 reaches *the last one bound*,
and the first receiver does not get it."
    [a-thief]="a thief"
    [can-another-user-take-it]="The user nobody starts a third one. Who gets the next datagram to 127.0.0.1?"
    [the-thief-has-it]="*The thief*: all three have set the option, and the kernel asks for no more."
    [no-other-user]="Whether another user can take it can't be tried here: run this as root.
(%s)"
    [tcp-does-not-share]="TCP does not share"
    [can-a-second-server-take-the-clients]="TCP: a server without the option. Can a second one with it take its clients?"
    [the-first-answers]="*No*. It cannot bind, and the first one answers."
    [and-if-the-first-one-has-the-option]="And if the first one has the option? We try one without it, one with it, and nc
on every address, which sets the option by itself."
    [not-while-it-listens]="*No*. While the first one listens on the address, SO_REUSEADDR does not help."
    [and-on-a-more-specific-address]="Now nc listens on every address, with the option. Can a server bind 127.0.0.1?"
    [specific-is-no-way-in]="*No*. On Linux a more specific address is no way in either."
    [recap-3]="- UDP: all receivers must set it; at one address the last one gets the unicast.
- So a receiver that sets it can be robbed, by another user too.
- TCP: SO_REUSEADDR takes no clients from a server that listens on the address."
)
