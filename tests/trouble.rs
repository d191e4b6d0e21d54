//! How the programs behave when something goes wrong: as the C does, or as the trial says.

use crate::harness::{
    self, Client, PORT, Process, Program, Row, Runtime, Variant, hold_port, in_namespace, rows,
    set_sysctl, wait_for,
};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut add = |name: &str, variant: Variant, check: fn(Variant)| {
        trials.push(harness::trial(format!("{name}_{}", variant.name()), move || check(variant)));
    };
    for variant in Variant::servers() {
        add("port_in_use", variant, port_in_use);
        add("client_resets", variant, client_resets);
        add("descriptor_limit", variant, descriptor_limit);
        add("dev_full", variant, dev_full);
        add("stdin_closed", variant, stdin_closed);
        add("stdout_closed", variant, stdout_closed);
        add("stderr_closed", variant, stderr_closed);
        add("stdout_without_reader", variant, stdout_without_reader);
        if variant.program == Program::Treuseaddr {
            add("every_error_text", variant, every_error_text);
            add("privileged_port", variant, privileged_port);
            add("backlog", variant, backlog);
        }
    }
    trials
}

/// The program, started by a shell after `preparation`.
fn after(preparation: &str, variant: Variant) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{preparation}; exec \"$0\"")]).arg(variant.path());
    shell
}

/// The program, started by a shell with a redirection.
fn redirected(redirection: &str, variant: Variant) -> Command {
    after(&format!("exec {redirection}"), variant)
}

fn port_in_use(variant: Variant) {
    let _listener = hold_port();
    let mut server = Process::start(&mut variant.command());
    assert_eq!(server.wait(), 255);
    assert_eq!(server.stderr.to_end(), "bind: : Address already in use\n");
    assert_eq!(server.stdout.to_end(), "");
}

/// A process without the capability may bind the port `net.ipv4.ip_unprivileged_port_start`, and none
/// below it.
fn privileged_port(variant: Variant) {
    for (limit, is_refused) in [(PORT + 1, true), (PORT, false)] {
        in_namespace(|| {
            set_sysctl("net.ipv4.ip_unprivileged_port_start", limit);
            let mut setpriv = Command::new("setpriv");
            setpriv.arg("--bounding-set=-net_bind_service").arg(variant.path());
            let mut server = Process::start(&mut setpriv);
            if is_refused {
                assert_eq!(server.wait(), 255);
                assert_eq!(server.stderr.to_end(), "bind: : Permission denied\n");
            } else {
                Client::connect().exchange("hello\n");
            }
        });
    }
}

/// While the server talks with one client, 129 others can connect: one more than the backlog. The kernel
/// drops the SYN of the next client, and counts it.
fn backlog(variant: Variant) {
    let mut server = Process::start_on_terminal(&mut variant.command());
    let mut client = Client::connect();
    client.exchange("hello\n");
    let _waiting: Vec<Client> = (0..129).map(|_| Client::connect()).collect();
    let is_established = |row: &&Row| **row == Row::server("ESTABLISHED");
    wait_for("130 connections", || {
        (rows().iter().filter(is_established).count() == 130).then_some(())
    });
    assert_eq!(listen_overflows(), 0);

    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let late = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
        .expect("descriptors are left");
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT);
    assert_eq!(connect(&late, &address), Err(Errno::INPROGRESS));
    wait_for("the SYN to be dropped", || (listen_overflows() > 0).then_some(()));
    assert!(rows().contains(&Row::client("SYN_SENT")));
    assert_eq!(rows().iter().filter(is_established).count(), 130);
    client.shutdown();
    assert_eq!(server.wait(), 0);
}

/// How often a queue of `accept` was full in this namespace: `ListenOverflows` of netstat -s.
fn listen_overflows() -> u64 {
    let table = fs::read_to_string("/proc/thread-self/net/netstat").expect("/proc is mounted");
    let mut lines = table.lines().filter(|line| line.starts_with("TcpExt:"));
    let names = lines.next().expect("the table has names").split(' ');
    let values = lines.next().expect("the table has values").split(' ');
    let (_, value) = names
        .zip(values)
        .find(|(name, _)| *name == "ListenOverflows")
        .expect("the kernel counts them");
    value.parse().expect("the field is a number")
}

/// C prints the message without end; the ports print it once and exit.
fn client_resets(variant: Variant) {
    let mut server = Process::start_on_terminal(&mut variant.command());
    let mut client = Client::connect();
    client.exchange("hello\n");
    let error = format!("{}client error: 4\n", variant.program.prefix());
    client.reset();
    if variant.runtime == Runtime::C {
        wait_for("the message a hundred times", || {
            (server.stdout.text().matches(&error).count() >= 100).then_some(())
        });
    } else {
        assert_eq!(server.wait(), 0);
        assert_eq!(server.stdout.to_end().matches(&error).count(), 1);
    }
}

/// A program on the shared C library does not start: the loader cannot open the library.
fn descriptor_limit(variant: Variant) {
    let mut server = Process::start(&mut after("ulimit -n 3", variant));
    let (status, message) = match variant.runtime {
        Runtime::Raw => (255, "socket: : Too many open files\n"),
        Runtime::C | Runtime::Libc => (127, "error while loading shared libraries"),
    };
    assert_eq!(server.wait(), status);
    assert!(server.stderr.to_end().contains(message));
}

/// The messages are lost, and the program goes on.
fn dev_full(variant: Variant) {
    let mut server = Process::start_as_is(&mut redirected(">/dev/full 2>&1", variant));
    let mut client = Client::connect();
    client.exchange("hello\n");
    client.shutdown();
    assert_eq!(server.wait(), 0);

    in_namespace(|| {
        let _listener = hold_port();
        let mut server = Process::start_as_is(&mut redirected(">/dev/full 2>&1", variant));
        assert_eq!(server.wait(), 255);
    });
}

/// The listener then has descriptor 0, and the connection 3.
fn stdin_closed(variant: Variant) {
    let mut server = Process::start_on_terminal(&mut redirected("<&-", variant));
    let mut client = Client::connect();
    client.exchange("hello\n");
    client.shutdown();
    assert_eq!(server.wait(), 0);
    server.stdout.wait_for(&format!("{}client close: 3\n", variant.program.prefix()));
}

/// The listener then has descriptor 1. A message written to it ends the program with SIGPIPE: at once,
/// or at exit if stdio keeps the text.
fn stdout_closed(variant: Variant) {
    let mut server = Process::start(&mut redirected(">&-", variant));
    let mut client = Client::connect();
    if variant.runtime != Runtime::Raw {
        client.exchange("hello\n");
        client.shutdown();
    }
    assert_eq!(server.wait(), -(Signal::SIGPIPE as i32));
    assert_eq!(server.stderr.to_end(), "");
}

/// The listener then has descriptor 2. If bind fails, perror writes to it, and SIGPIPE ends the program.
fn stderr_closed(variant: Variant) {
    let mut server = Process::start_on_terminal(&mut redirected("2>&-", variant));
    let mut client = Client::connect();
    client.exchange("hello\n");
    client.shutdown();
    assert_eq!(server.wait(), 0);
    server.stdout.wait_for(&format!("{}client close: 3\n", variant.program.prefix()));

    in_namespace(|| {
        let _listener = hold_port();
        let mut server = Process::start(&mut redirected("2>&-", variant));
        assert_eq!(server.wait(), -(Signal::SIGPIPE as i32));
    });
}

/// SIGPIPE ends the program: it has its default action.
fn stdout_without_reader(variant: Variant) {
    let (reader, writer) = std::io::pipe().expect("descriptors are left");
    drop(reader);
    // A process that another trial is starting may have a copy.
    wait_for("no reader", || (&writer).write(b"?").is_err().then_some(()));
    let mut server = Process::start_as_is(variant.command().stdout(writer));
    let mut client = Client::connect();
    if variant.runtime != Runtime::Raw {
        client.exchange("hello\n");
        client.shutdown();
    }
    assert_eq!(server.wait(), -(Signal::SIGPIPE as i32));
    wait_for("no listener", || (!rows().contains(&Row::LISTEN)).then_some(()));
}

/// For every number that a call can fail with, perror prints the C library's text.
fn every_error_text(variant: Variant) {
    let scratch = harness::Scratch::new();
    let log = scratch.path().join("strace");
    for errno in (1..=140).chain([512, 4095]) {
        let mut strace = Command::new("strace");
        strace
            .arg("-o")
            .arg(&log)
            .arg(format!("--inject=socket:error={errno}"))
            .arg(variant.path());
        let output = harness::run(&mut strace);
        assert_eq!(output.status.code(), Some(255));
        let words = std::io::Error::from_raw_os_error(errno).to_string();
        let words = words.split(" (os error").next().unwrap_or_default();
        assert_eq!(output.stderr, format!("socket: : {words}\n"));
    }
}
