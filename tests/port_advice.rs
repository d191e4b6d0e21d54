//! What `bindtable port` does to the port, and what it advises: each command is run where it can be, and the
//! port is free afterwards.

use crate::harness::{
    Need, PORT, Process, Scratch, Switches, Terminal, bindtable as program, need, quoted, run,
    set_sysctl, unprivileged, wait_for,
};
use crate::port::{
    lists_bound, ODD_NAMES, OPTIONS, as_user, asked, can, case, connection_is_over, flat, found,
    fresh, has_case, help, holder, in_cgroup, list, listener, local, only, said, states,
    std_listener, text, time_wait,
};
use nix::sys::signal::{self, Signal};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rustix::net::sockopt::{set_socket_linger, set_socket_reuseaddr};
use rustix::net::{SocketFlags, accept_with, bind, listen};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;

pub const TRIALS: [(&str, fn()); 28] = [
    ("port_leaves_alone", leaves_alone),
    ("port_leaves_alone_refused", leaves_alone_refused),
    ("port_probe_promises", probe_promises),
    ("port_probe_gone_group", probe_gone_group),
    ("port_moved_server", moved_server),
    ("port_one_option_each", one_option_each),
    ("port_workers", workers),
    ("port_kill", kill),
    ("port_many_holders", many_holders),
    ("port_fg", fg),
    ("port_stops", stops),
    ("port_kill_mode", kill_mode),
    ("port_engine_of_a_user", engine_of_a_user),
    ("port_activated", activated),
    ("port_resists", resists),
    ("port_process_1", process_1),
    ("port_master_resists", master_resists),
    ("port_masters", masters),
    ("port_what_follows", what_follows),
    ("port_frozen", frozen),
    ("port_not_main", not_main),
    ("port_supervised", supervised),
    ("port_two_supervised", two_supervised),
    ("port_parents", parents),
    ("port_sysctls", sysctls),
    ("port_engines", engines),
    ("port_free_address", free_address),
    ("port_words", words),
];

/// The binds of the port that bindtable makes, as strace shows them.
fn binds(scratch: &Scratch, arguments: &[&str]) -> Vec<String> {
    let file = scratch.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=bind", "-o"]).arg(&file).arg(program()).arg("port");
    let output = run(command.args(arguments));
    assert_eq!(output.stderr, "");
    let trace = fs::read_to_string(&file).expect("strace has written it");
    assert!(trace.contains("bind("), "{trace}");
    trace.lines().filter(|line| line.contains("htons(3459)")).map(str::to_owned).collect()
}

/// Whether it is a bind to an address that no machine has.
fn is_nowhere(line: &str) -> bool {
    let is_such = line.contains("203.0.113.254") || line.contains("2001:db8:ffff::fffe");
    is_such && line.contains("= -1 EADDRNOTAVAIL")
}

/// Without --probe the port is not bound: a bind that names it comes second on its socket, which already has
/// a port, so it fails with EINVAL; or it names an address that is nowhere. Where a TIME_WAIT has it, the binds at its address are made, as the help
/// says, and one aside that ends what they have planted.
fn leaves_alone() {
    need(Need::Tracing);
    let scratch = Scratch::new();
    let tcp = ["3459"];
    let check = |arguments: &[&str]| {
        let binds = binds(&scratch, arguments);
        assert!(!binds.is_empty(), "what bind says before it looks at the port is asked");
        let is_refused = |line: &String| line.contains("= -1 EINVAL") || is_nowhere(line);
        assert!(binds.iter().all(is_refused), "{binds:#?}");
        // And with --probe it is.
        let probed = self::binds(&scratch, &[arguments, &["--probe"]].concat());
        probed.iter().any(|line| !is_refused(line))
    };
    assert!(check(&tcp), "a free port is bound once for each address");
    for reuseport in [false, true] {
        let fd = fresh(false, local("127.0.0.1").ip(), false, true, reuseport).expect("a socket");
        bind(&fd, &local("127.0.0.1")).expect("the port is free");
        check(&tcp);
        listen(&fd, 8).expect("it is bound");
        check(&["127.0.0.1:3459"]);
        let client = TcpStream::connect(local("127.0.0.1")).expect("it listens");
        let server = accept_with(&fd, SocketFlags::CLOEXEC).expect("it came");
        check(&tcp);
        set_socket_linger(&server, Some(Duration::ZERO)).expect("it is a socket");
        drop((server, client, fd));
        wait_for("a free port", || states(PORT).is_empty().then_some(()));
    }
    let socket = UdpSocket::bind("127.0.0.1:3459").expect("it is free");
    check(&["3459", "--udp"]);
    drop(socket);
    time_wait(Switches { reuseaddr: true, ..Switches::default() });
    let binds = binds(&scratch, &tcp);
    let (own, others): (Vec<&String>, Vec<&String>) =
        binds.iter().partition(|line| line.contains("EINVAL") || is_nowhere(line));
    assert!(!own.is_empty() && !others.is_empty(), "{binds:#?}");
    let is_there = |line: &&String| {
        line.contains(r#"inet_addr("127.0.0.1")"#) || line.contains("127.255.255.254")
    };
    assert!(others.iter().all(is_there), "{binds:#?}");
    let help = run(Command::new(program()).args(["--lang", "en", "port", "--help"])).stdout;
    for words in ["a trace may stay", "a TIME_WAIT, or another connection", "fastreuseport"] {
        assert!(help.contains(words), "{words}: {help}");
    }
}

/// Where a TIME_WAIT without the option has the port, each bind is refused but one aside, which makes the port
/// forget a group: so the refusals are certain.
fn leaves_alone_refused() {
    need(Need::Tracing);
    time_wait(Switches::default());
    let binds = binds(&Scratch::new(), &["3459"]);
    let is_refused =
        |line: &String| line.contains("EADDRINUSE") || line.contains("EINVAL") || is_nowhere(line);
    let others: Vec<&String> = binds.iter().filter(|line| !is_refused(line)).collect();
    assert!(matches!(others[..], [aside] if aside.contains("127.255.255.254")), "{binds:#?}");
}

/// The port remembers a group whose only socket has gone: no list tells of it, but a probe does.
fn probe_gone_group() {
    need(Need::Ipv6);
    let there = fresh(false, local("127.0.0.1").ip(), false, false, false).expect("it is a socket");
    bind(&there, &local("127.0.0.1")).expect("the port is free");
    listen(&there, 8).expect("it is bound");
    let gone = fresh(false, local("::").ip(), true, false, true).expect("it is a socket");
    bind(&gone, &local("::")).expect("IPV6_V6ONLY");
    drop(gone);
    let unprobed = if lists_bound() { "no" } else { "yes" };
    for (arguments, answer) in [(&["3459"][..], unprobed), (&["3459", "--probe"], "yes")] {
        let (_, finding) = asked(arguments);
        assert_eq!(can(&finding, "::", "SO_REUSEPORT"), answer, "{finding}");
        assert_eq!(can(&finding, "::", "none"), "no", "{finding}");
    }
}

/// A probe that succeeds at 0.0.0.0 with SO_REUSEPORT says nothing of ::, though the kernel then lets a server
/// in there for its sake: a listener on ::1 is in the way. And nothing that it has planted stays.
fn probe_promises() {
    need(Need::Ipv6);
    need(Need::SecondUser);
    let server = |ip: &str, reuseport| {
        let fd = fresh(false, local(ip).ip(), false, false, reuseport).expect("it is a socket");
        bind(&fd, &local(ip)).expect("the port is free");
        listen(&fd, 8).expect("it is bound");
        fd
    };
    let _there = [server("127.0.0.1", true), server("::1", false)];
    // The options of the sockets cannot be read, and all else can: the answers are unknown, until probed.
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "-e", "inject=pidfd_getfd:error=EPERM"]);
    command.arg(program()).args(["port", "3459", "--format", "json"]);
    let (_, finding) = found(&mut command);
    for address in ["0.0.0.0", "::"] {
        assert_eq!(can(&finding, address, OPTIONS[3]), "unknown", "{finding}");
    }
    let (_, finding) = found(command.arg("--probe"));
    for (address, answer) in [("127.0.0.1", "yes"), ("0.0.0.0", "yes"), ("::", "no")] {
        for option in &OPTIONS[2..] {
            assert_eq!(can(&finding, address, option), answer, "{address} {option}: {finding}");
        }
    }
    // A refusal of what was unknown has the reason of the socket that is listed.
    let verdicts = list(&finding["verdicts"]);
    let refused: Vec<&Value> = verdicts
        .iter()
        .filter(|verdict| verdict["can"] == "no" && verdict["probed"] == true)
        .collect();
    assert!(!refused.is_empty(), "{finding}");
    assert!(refused.iter().all(|verdict| verdict["why"] == "listens"), "{finding}");
    let fd = fresh(false, local("::").ip(), false, true, true).expect("it is a socket");
    assert!(bind(&fd, &local("::")).is_err(), "a real server there fails, after the probe too");
}

/// A server that had SO_REUSEADDR, and now sets both options, beside its old TIME_WAIT: the bind that succeeds
/// for the listener's sake tells nothing of the TIME_WAIT. But it is what a server finds.
fn moved_server() {
    time_wait(Switches { reuseaddr: true, ..Switches::default() });
    let fd = fresh(false, local("127.0.0.1").ip(), false, true, true).expect("it is a socket");
    bind(&fd, &local("127.0.0.1")).expect("both have SO_REUSEADDR");
    listen(&fd, 8).expect("it is bound");
    let (_, finding) = asked(&["3459"]);
    let sockets = list(&finding["sockets"]);
    let record = sockets.iter().find(|socket| socket["state"] == "TIME_WAIT").expect("it is there");
    assert_ne!(record["reuseport"], true, "{finding}");
    for (address, is_let_in) in [("0.0.0.0", false), ("127.0.0.1", true)] {
        assert_eq!(can(&finding, address, "SO_REUSEPORT") == "yes", is_let_in, "{finding}");
        let fd = fresh(false, local(address).ip(), false, false, true).expect("it is a socket");
        assert_eq!(bind(&fd, &local(address)).is_ok(), is_let_in, "{address}");
    }
}

/// Two TIME_WAITs at one address, of which one had SO_REUSEADDR and the other one SO_REUSEPORT: the port
/// remembers the second, so a bind with SO_REUSEPORT succeeds. That does not tell that both had it.
fn one_option_each() {
    for reuseport in [false, true] {
        // Each of its own family, as servers of different programs.
        let ip = if reuseport { "127.0.0.1" } else { "::ffff:127.0.0.1" };
        let server = fresh(false, local(ip).ip(), false, true, reuseport).expect("it is a socket");
        bind(&server, &local(ip)).expect("both have SO_REUSEADDR");
        set_socket_reuseaddr(&server, !reuseport).expect("it is a socket");
        connection_is_over(server, ip);
    }
    let (_, finding) = asked(&["3459"]);
    for socket in list(&finding["sockets"]) {
        assert_eq!((&socket["reuseaddr"], &socket["reuseport"]), (&Value::Null, &Value::Null));
    }
    for address in ["127.0.0.1", "0.0.0.0", "::"] {
        let fd = fresh(false, local(address).ip(), false, false, true).expect("it is a socket");
        let answer = if bind(&fd, &local(address)).is_ok() { "yes" } else { "no" };
        assert_eq!(can(&finding, address, "SO_REUSEPORT"), answer, "{finding}");
    }
}

/// Workers with both options, as nginx has them, and the TIME_WAIT of a client of the server before, which had
/// SO_REUSEADDR alone: one more worker may bind for the group's sake, and the group is what it was.
fn workers() {
    time_wait(Switches { reuseaddr: true, ..Switches::default() });
    let worker = |reuseaddr| {
        let ip = local("0.0.0.0").ip();
        let fd = fresh(false, ip, false, reuseaddr, true).expect("it is a socket");
        bind(&fd, &local("0.0.0.0")).expect("the port remembers a worker");
        listen(&fd, 8).expect("it is bound");
        fd
    };
    let _workers = [worker(true), worker(true)];
    for _ in 0..2 {
        let (_, finding) = asked(&["0.0.0.0:3459"]);
        for (option, answer) in OPTIONS.iter().zip(["no", "no", "yes", "yes"]) {
            assert_eq!(can(&finding, "0.0.0.0", option), answer, "{option}: {finding}");
        }
        worker(false);
    }
}

/// Runs what is advised.
fn run_advice(command: &str) {
    let output = run(Command::new("sh").args(["-c", command]));
    assert!(output.status.success(), "{command}: {}", output.stderr);
}

fn is_free() {
    wait_for("a free port", || states(PORT).is_empty().then_some(()));
}

/// `kill`, for one process, and for a parent and a child with one listener.
fn kill() {
    for script in ["exec sleep 1000", "sleep 1000; :"] {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let listener = OwnedFd::from(std_listener("127.0.0.1"));
        let server = Process::start_with_stdin(&mut command, listener.into());
        drop(command); // with its copy of the listener
        let expected = 1 + usize::from(script.contains(';'));
        let finding = wait_for("its processes alone", || {
            let (_, finding) = asked(&["3459"]);
            let processes = list(&only(&finding)["processes"]);
            let is_asleep = processes.iter().any(|process| process["name"] == "sleep");
            (processes.len() == expected && is_asleep).then_some(finding)
        });
        let command = text(&help(&finding, "stop")["command"]);
        assert!(command.starts_with("kill ") && !command.contains("CONT"), "{command}");
        run_advice(command);
        is_free();
        drop(server);
    }
}

/// Of many processes a reader sees a few, and the command ends all.
fn many_holders() {
    let listener = OwnedFd::from(std_listener("127.0.0.1"));
    let mut command = Command::new("sh");
    let words = "exec 3<&0; trap '' TERM; for i in $(seq 19); do sleep 1000 0<&3 3<&- & done; exec \
                 sleep 1000 3<&-";
    let server = Process::start_with_stdin(command.args(["-c", words]), listener.into());
    drop(command); // with its copy of the listener
    let finding = wait_for("twenty of them", || {
        let (_, finding) = asked(&["3459"]);
        let all = list(&only(&finding)["processes"]);
        (all.len() == 20 && all.iter().all(|it| it["name"] == "sleep")).then_some(finding)
    });
    let (_, told) = said(&["3459"]);
    for part in [
        "and 12 more (sleep) listen on",
        "and 12 more processes: see",
        "A plain kill alone does not end 17 more processes either",
    ] {
        assert!(flat(&told).contains(part), "{part}: {told}");
    }
    let command = text(&help(&finding, "stop")["command"]);
    // Longer than a line, and whole on one, to be copied.
    for language in ["en", "zh"] {
        let told = run(Command::new(program()).args(["--lang", language, "port", "3459"])).stdout;
        assert!(told.lines().any(|line| line.contains(command)), "{told}");
    }
    assert_eq!(
        command.split(' ').filter(|word| word.parse::<u32>().is_ok()).count(),
        20,
        "{command}"
    );
    run_advice(command);
    is_free();
    drop(server);
}

/// Ctrl+Z stops a job, which holds its port until `fg` and Ctrl+C, or what is advised.
fn fg() {
    let mut terminal = Terminal::new();
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", "bash", "--norc", "--noprofile", "-i"]);
    command.env("PS1", "$ ").env("HISTFILE", "");
    let shell = Process::start_at_terminal(&mut command, &terminal);
    let is_there = |state: u8| wait_for("the server", || (states(PORT) == [state]).then_some(()));
    for wakes in [true, false] {
        terminal.type_in(b"nc.openbsd -l 127.0.0.1 3459\n");
        is_there(10);
        terminal.type_in(b"\x1a");
        let finding = wait_for("a stopped job", || {
            let (_, finding) = asked(&["3459"]);
            has_case(&finding, "stopped").then_some(finding)
        });
        assert_eq!(case(&finding, "stopped")["name"], "nc.openbsd");
        if wakes {
            terminal.type_in(b"fg\n");
            wait_for("a running job", || (!has_case(&asked(&["3459"]).1, "stopped")).then_some(()));
            terminal.type_in(b"\x03");
        } else {
            run_advice(text(&help(&finding, "stop")["command"]));
        }
        is_free();
    }
    terminal.type_in(b"exit\n");
    drop(shell);
}

/// Programs of these names, which note their words in a file and end the processes that have the port.
fn stand_ins(folder: &Path, pids: &str) {
    let script = format!(
        "#!/bin/sh\n\
         echo \"${{0##*/}} $*\" >> {log}\n\
         case \"$*\" in\n\
         ps*) echo 0123456789ab;;\n\
         *list-sockets*) echo '127.0.0.1:3459 Stream web.socket web.service';\n\
         echo '127.0.0.1:3459 Datagram other.socket other.service';;\n\
         *) kill -KILL {pids};;\n\
         esac\n",
        log = quoted(&folder.join("log"))
    );
    for name in ["systemctl", "docker", "podman", "crictl", "lxc-stop", "machinectl", "runuser"] {
        let file = folder.join(name);
        fs::write(&file, &script).expect("the folder is ours");
        fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("it is ours");
    }
}

/// What the stand-ins were called with, when what is advised was run.
fn by_stand_ins(scratch: &Scratch, finding: &Value) -> String {
    let advised = text(&help(finding, "stop")["command"]);
    let path = format!("{}:{}", scratch.path().display(), std::env::var("PATH").expect("set"));
    let output = run(Command::new("sh").env("PATH", path).args(["-c", advised]));
    assert!(output.status.success(), "{advised}: {}", output.stderr);
    let log = fs::read_to_string(scratch.path().join("log")).expect("a stand-in has run");
    log.trim().replace('\n', ";")
}

/// What stops units and containers is one command that the shell takes as it is meant, and the port is free.
/// The engines themselves are stood in for.
fn stops() {
    let digits = "0123456789abcdef".repeat(4);
    let libpod = format!("0::/machine.slice/libpod-{digits}.scope");
    let crio = format!("0::/kubepods.slice/crio-{digits}.scope");
    let docker = format!("0::/docker/{digits}");
    for (name, words, cgroup, expected) in [
        ("server", "", "0::/system.slice/web.service", "systemctl stop web.service"),
        (
            "server",
            "",
            "0::/user.slice/user-54321.slice/user@54321.service/app.slice/own.service", // nobody's
            "systemctl --user -M 54321@ stop own.service",
        ),
        (
            "server",
            "",
            "0::/user.slice/user-0.slice/user@0.service/app.slice/own.service",
            "systemctl --user stop own.service",
        ),
        ("server", "", "0::/machine.slice/machine-my\\x2dx.scope", "machinectl poweroff my-x"),
        (
            "server",
            "",
            "0::/machine.slice/systemd-nspawn@x.service/payload/system.slice/web.service",
            "machinectl poweroff x",
        ),
        ("server", "", "0::/lxc.payload.box/init.scope", "lxc-stop -n box"),
        ("server", "", &docker, "docker stop 0123456789ab"),
        ("server", "", &libpod, "podman stop 0123456789ab"),
        ("server", "", &crio, "crictl stop 0123456789ab"),
        (
            "docker-proxy",
            "-host-port 3459",
            "0::/",
            "docker ps -q --filter publish=3459/tcp;docker stop 0123456789ab",
        ),
        ("conmon", "", "0::/", "podman ps -q --filter publish=3459/tcp;podman stop 0123456789ab"),
        (
            "systemd",
            "",
            "0::/init.scope",
            "systemctl list-sockets --no-legend --show-types;systemctl stop web.socket web.service",
        ),
        (
            "systemd",
            "",
            "0::/user.slice/user-0.slice/user@0.service/init.scope",
            "systemctl --user list-sockets --no-legend --show-types;systemctl --user stop web.socket web.service",
        ),
        ("systemd", "", "0::/machine.slice/machine-x.scope/init.scope", "machinectl poweroff x"),
    ] {
        let scratch = Scratch::new();
        let words: Vec<&str> = words.split_whitespace().collect();
        let server = holder(&scratch, name, std_listener("127.0.0.1"), &words);
        let pid = server.pid().as_raw();
        stand_ins(scratch.path(), &pid.to_string());
        let mut command = in_cgroup(&scratch, cgroup, &[pid]);
        let (_, finding) = found(command.args(["port", "3459", "--format", "json"]));
        assert_eq!(by_stand_ins(&scratch, &finding), expected);
        is_free();
    }
}

/// Root asks an engine as the user who has started the container. The program that serves a container under one name
/// serves a virtual machine under another.
fn engine_of_a_user() {
    need(Need::SecondUser);
    const USER: u32 = 1;
    let scratch = Scratch::new();
    let listener = as_user(Some(USER), || std_listener("127.0.0.1"));
    let server = holder(&scratch, "conmon", listener, &[]);
    stand_ins(scratch.path(), &server.pid().to_string());
    let (_, finding) = asked(&["3459"]);
    let user = &only(&finding)["user"];
    assert_eq!(user["uid"], USER);
    // Without a name, the engine's own command.
    let stop = "podman stop $(podman ps -q --filter publish=3459/tcp)";
    let Some(name) = user["name"].as_str() else {
        return assert_eq!(help(&finding, "stop")["command"], stop);
    };
    let as_user = format!("runuser -l -s /bin/sh {name} -c");
    assert_eq!(by_stand_ins(&scratch, &finding), format!("{as_user} {stop}"));
    run_advice(&format!("{as_user} 'exit 0'"));
    is_free();
    let scratch = Scratch::new();
    let _server = holder(&scratch, "passt", std_listener("127.0.0.1"), &[]);
    assert!(!has_case(&asked(&["3459"]).1, "published"));
}

/// A unit is stopped as a whole only where systemd then stops every process of it.
fn kill_mode() {
    let scratch = Scratch::new();
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 1000; :"]);
    let listener = OwnedFd::from(std_listener("127.0.0.1"));
    let server = Process::start_with_stdin(&mut command, listener.into());
    drop(command); // with its copy of the listener
    let child = wait_for("its child", || server.descendant());
    let pids = [server.pid().as_raw(), child.as_raw()];
    wait_for("its processes alone", || {
        let (_, finding) = asked(&["3459"]);
        (list(&only(&finding)["processes"]).len() == 2).then_some(())
    });
    let advised = |files: &str| {
        let asks = in_cgroup(&scratch, "0::/system.slice/web.service", &pids);
        let script = format!(
            "mount -t tmpfs none /run && mkdir -p /run/systemd/system/web.service.d && \
             cd /run/systemd/system && {files}; exec \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(asks.get_program());
        command.args(asks.get_args()).args(["port", "3459", "--format", "json"]);
        text(&help(&found(&mut command).1, "stop")["command"]).to_owned()
    };
    let (unit, kill) = ("systemctl stop web.service", format!("kill {} {}", pids[0], pids[1]));
    for (files, expected) in [
        (":", unit),
        ("echo KillMode=mixed > web.service", unit),
        ("echo KillMode=process > web.service", &kill),
        ("echo KillMode=none > web.service", &kill),
        ("echo KillMode=process > web.service.d/own.conf", &kill),
        ("echo KillMode=process > web.service; echo KillMode=mixed > web.service.d/own.conf", unit),
        ("echo 'RefuseManualStop = yes' > web.service", &kill),
        ("mkdir ../transient && echo KillMode=none > ../transient/web.service", &kill),
    ] {
        assert_eq!(advised(files), expected, "{files}");
    }
    run_advice(&kill);
    is_free();
}

/// systemd has a listener, and so has the service that it has started: both units are stopped.
fn activated() {
    let scratch = Scratch::new();
    let [systemd, server] = ["systemd", "server"].map(|name| {
        let link = scratch.path().join(name);
        std::os::unix::fs::symlink("/bin/sh", &link).expect("the folder is ours");
        link
    });
    let mut command = Command::new(systemd);
    command.args(["-c", "\"$0\" -c 'kill -STOP $$'; :"]).arg(server);
    let listener = OwnedFd::from(std_listener("127.0.0.1"));
    let both = Process::start_with_stdin(&mut command, listener.into());
    drop(command); // with its copy of the listener
    let child = wait_for("the service", || {
        let (_, finding) = asked(&["3459"]);
        let processes = list(&only(&finding)["processes"]);
        let service = processes.iter().find(|process| process["name"] == "server")?;
        (processes.len() == 2).then(|| service["pid"].as_i64().expect("it is a number") as i32)
    });
    stand_ins(scratch.path(), &format!("{} {child}", both.pid()));
    let pids = [both.pid().as_raw(), child];
    let mut command = in_cgroup(&scratch, "0::/system.slice/web.service", &pids);
    let (_, finding) = found(command.args(["port", "3459", "--format", "json"]));
    case(&finding, "socket-activated");
    assert_eq!(
        by_stand_ins(&scratch, &finding),
        "systemctl list-sockets --no-legend --show-types;systemctl stop web.socket web.service web.service"
    );
    is_free();
}

/// Stops a process, as a debugger does: PTRACE_ATTACH.
const ATTACH: &str = "import ctypes, signal\n\
    def ptrace(pid):\n    \
        ctypes.CDLL(None).ptrace(16, pid, None, None)\n    \
        signal.pause()";

/// A process that SIGTERM does not end: it ignores the signal, or a debugger has stopped it.
fn resists() {
    need(Need::Tracing);
    let python =
        |words: &str| format!("exec python3 -c 'import signal, time; {words}; time.sleep(1000)'");
    let blocks = python("signal.pthread_sigmask(signal.SIG_BLOCK, [15])");
    let waits_for_another = python("signal.signal(15, signal.SIG_IGN); signal.sigwait([10])");
    let blocks_and_waits =
        python("signal.pthread_sigmask(signal.SIG_BLOCK, [10, 15]); signal.sigwait([10])");
    // A signalfd of another signal does not read it.
    let other = python(
        "import ctypes; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); \
         ctypes.CDLL(None).signalfd(-1, (ctypes.c_ulong * 16)(1 << 9), 0)",
    );
    for (because, words) in [
        ("ignores", "trap '' TERM; exec sleep 1000"),
        ("blocks", &*blocks),
        ("blocks", &*other),
        ("blocks", &*blocks_and_waits),
        ("ignores", &*waits_for_another),
        // The first process that this shell starts is process 1.
        (
            "is-init",
            "exec unshare --pid sh -c 'exec 3<&0; sleep 1000 0<&3 3<&- & exec 0</dev/null 3<&-; wait'",
        ),
        ("traced", "exec sleep 1000"),
    ] {
        let listener = OwnedFd::from(std_listener("127.0.0.1"));
        let mut command = Command::new("sh");
        let server = Process::start_with_stdin(command.args(["-c", words]), listener.into());
        drop(command); // with its copy of the listener
        let debugger = (because == "traced").then(|| {
            let script = format!("{ATTACH}\nptrace({})", server.pid());
            Process::start(Command::new("python3").args(["-c", &script]))
        });
        let finding = wait_for("its case", || {
            let (_, finding) = asked(&["3459"]);
            let is_alone = list(&only(&finding)["processes"]).len() == 1;
            let is_it = |its: &&Value| its["case"] == "resists" && its["because"] == because;
            (is_alone && list(&finding["cases"]).iter().any(|its| is_it(&its))).then_some(finding)
        });
        let pid = &case(&finding, "resists")["pid"];
        assert!(because == "is-init" || *pid == server.pid().as_raw(), "{finding}");
        let advised = text(&help(&finding, "stop")["command"]);
        assert_eq!(advised, format!("kill -KILL {pid}"));
        run_advice(advised);
        is_free();
        drop(debugger);
    }
    takes_the_signal(python);
    // strace stops a process, too, and lets it go on at once.
    let listener = OwnedFd::from(std_listener("127.0.0.1"));
    let mut command = Command::new("yes");
    let server = Process::start_with_stdin(command.stdout(Stdio::null()), listener.into());
    drop(command); // with its copy of the listener
    let pid = server.pid();
    let strace = Process::start(Command::new("strace").args([
        "-qq",
        "-o",
        "/dev/null",
        "-p",
        &pid.to_string(),
    ]));
    let status = format!("/proc/{pid}/status");
    wait_for("strace", || {
        let status = fs::read_to_string(&status).ok()?;
        (!status.contains("TracerPid:\t0\n")).then_some(())
    });
    for _ in 0..10 {
        let (_, finding) = asked(&["3459"]);
        assert!(!has_case(&finding, "resists"), "{finding}");
    }
    drop((server, strace));
}

/// Of a process that takes SIGTERM, though it blocks it or is process 1, nothing is said.
fn takes_the_signal(python: fn(&str) -> String) {
    let waits =
        python("signal.pthread_sigmask(signal.SIG_BLOCK, [15]); signal.sigwait([15]); exit()");
    let reads = python(
        "import ctypes, os; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); \
         os.read(ctypes.CDLL(None).signalfd(-1, (ctypes.c_ulong * 16)(1 << 14), 0), 128); exit()",
    );
    // One with a handler blocks the signal while it works.
    let handles = python(
        "signal.signal(15, lambda *_: exit()); signal.pthread_sigmask(signal.SIG_BLOCK, [15]); \
         signal.sigwait([10]); signal.pthread_sigmask(signal.SIG_UNBLOCK, [15])",
    );
    let first =
        format!("exec unshare --pid --fork --kill-child {}", waits.trim_start_matches("exec "));
    // rt_sigtimedwait, and read: asm/unistd.h.
    let calls = if cfg!(target_arch = "x86_64") { ["128 ", "0 0x"] } else { ["137 ", "63 0x"] };
    for (words, call, blocked) in [
        (&waits, calls[0], "0000"), // for as long as it waits, the signal is out of the set
        (&first, calls[0], "0000"),
        (&handles, calls[0], "4000"),
        (&reads, calls[1], "4000"),
    ] {
        let listener = OwnedFd::from(std_listener("127.0.0.1"));
        let mut command = Command::new("sh");
        let server = Process::start_with_stdin(command.args(["-c", words]), listener.into());
        drop(command); // with its copy of the listener
        let pid = match words == &first {
            true => wait_for("process 1", || server.descendant()),
            false => server.pid(),
        };
        wait_for("its wait for the signal", || {
            let read = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let is_set = read("status").contains(&format!("SigBlk:\t000000000000{blocked}\n"));
            (read("comm") == "python3\n" && read("syscall").starts_with(call) && is_set)
                .then_some(())
        });
        let (_, finding) = asked(&["3459"]);
        let own = format!("kill {pid}");
        let is_it = |its: &Value| its["case"] == "resists" && its["pid"] == pid.as_raw();
        assert!(!list(&finding["cases"]).iter().any(is_it), "{finding}");
        if words == &handles {
            signal::kill(pid, Signal::SIGUSR1).expect("it runs");
        }
        run_advice(&own);
        wait_for("its end", || states(PORT).is_empty().then_some(()));
    }
}

/// Asked inside, process 1 is to be stopped from outside, unless it handles SIGTERM.
fn process_1() {
    for (words, helps) in [("signal.pause()", "stop-container"), ("signal.sigwait([10])", "stop")] {
        let listener = OwnedFd::from(std_listener("127.0.0.1"));
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "python3", "-c"]);
        let handler = if helps == "stop" { "lambda *_: exit()" } else { "signal.SIG_DFL" };
        command.arg(format!("import signal; signal.signal(15, {handler}); {words}"));
        let server = Process::start_with_stdin(&mut command, listener.into());
        drop(command); // with its copy of the listener
        let child = wait_for("process 1", || server.descendant());
        let inside = || {
            let mut command = Command::new("nsenter");
            command.args(["--pid", "--mount", "--target", &child.to_string()]);
            command
        };
        let help = wait_for("its advice", || {
            let mut command = inside();
            command.arg(program()).args(["port", "3459", "--format", "json"]);
            help_if_any(&found(&mut command).1, helps)
        });
        if helps == "stop" {
            assert_eq!(help["command"], "kill 1");
            let output = run(inside().args(["sh", "-c", "kill 1"]));
            assert_eq!(output.stderr, "");
        }
        drop(server);
        is_free();
    }
}

/// Workers end with their master, unless that gets SIGKILL.
fn master_resists() {
    let scratch = Scratch::new();
    let link = scratch.path().join("nginx");
    std::os::unix::fs::symlink("/bin/sh", &link).expect("the folder is ours");
    let fifo = scratch.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).expect("the folder is ours");
    for (trap, expected) in [("trap '' TERM", "kill -KILL {0} {1}"), ("trap - TERM", "kill {0}")] {
        let mut command = Command::new(&link);
        let words = format!("{trap}; exec 3<&0; (read x <\"$0\") & wait");
        command.args(["-c", &words]).arg(&fifo);
        let listener = OwnedFd::from(std_listener("127.0.0.1"));
        let server = Process::start_with_stdin(&mut command, listener.into());
        drop(command); // with its copy of the listener
        let finding = wait_for("both", || {
            let (_, finding) = asked(&["3459"]);
            (list(&only(&finding)["processes"]).len() == 2).then_some(finding)
        });
        let child = server.descendant().expect("it is there");
        let expected = expected.replace("{0}", &server.pid().to_string());
        let expected = expected.replace("{1}", &child.to_string());
        assert_eq!(help(&finding, "stop")["command"], expected, "{finding}");
        let _ = signal::kill(child, Signal::SIGKILL);
        drop(server);
        is_free();
    }
}

/// Of servers with their own processes: a second master, which nginx starts to take a new program, is stopped, too;
/// PostgreSQL gets SIGINT, since it waits for its clients after SIGTERM.
fn masters() {
    let second = "((read x <\"$0\") & wait) &";
    let worker = "(read x <\"$0\") &";
    for (name, start, expected) in [
        ("nginx", format!("{worker} {second} wait"), "kill {0} {2}"),
        ("postgres", format!("{worker} wait"), "kill -INT {0}"),
        ("haproxy", format!("{worker} exec <&- 3<&-; wait"), "kill {0}"),
    ] {
        let scratch = Scratch::new();
        let link = scratch.path().join(name);
        std::os::unix::fs::symlink("/bin/sh", &link).expect("the folder is ours");
        let fifo = scratch.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).expect("the folder is ours");
        let mut command = Command::new(&link);
        command.args(["-c", &format!("exec 3<&0; {start}")]).arg(&fifo);
        let listener = OwnedFd::from(std_listener("127.0.0.1"));
        let server = Process::start_with_stdin(&mut command, listener.into());
        drop(command); // with its copy of the listener
        let count = usize::from(name != "haproxy") + start.matches('(').count();
        let (pids, finding) = wait_for("all of them", || {
            let (_, finding) = asked(&["3459"]);
            let all = list(&only(&finding)["processes"]).iter();
            let all =
                all.map(|its| [&its["pid"], &its["parent"]].map(|id| id.as_i64().unwrap_or(0)));
            let all: Vec<[i64; 2]> = all.collect();
            (all.len() == count).then_some((all, finding))
        });
        let first = i64::from(server.pid().as_raw());
        let has_workers = |pid: i64| pids.iter().any(|its| its[1] == pid);
        let second = pids.iter().map(|its| its[0]).find(|pid| *pid != first && has_workers(*pid));
        let expected = expected.replace("{0}", &first.to_string());
        let expected = expected.replace("{2}", &second.unwrap_or(0).to_string());
        assert_eq!(help(&finding, "stop")["command"], expected, "{finding}");
        for [pid, _] in pids {
            let _ = signal::kill(nix::unistd::Pid::from_raw(pid as i32), Signal::SIGKILL);
        }
        drop(server);
        is_free();
    }
    // A session of sshd stays.
    let scratch = Scratch::new();
    let listener = std_listener("127.0.0.1");
    let client = TcpStream::connect(local("127.0.0.1")).expect("it listens");
    let (accepted, _) = listener.accept().expect("it came");
    let server = holder(&scratch, "sshd", listener, &[]);
    let link = scratch.path().join("sshd-session");
    std::os::unix::fs::symlink("/bin/sleep", &link).expect("the folder is ours");
    let mut command = Command::new(&link);
    let session = Process::start_with_stdin(command.arg("1000"), OwnedFd::from(accepted).into());
    drop(command); // with its copy of the connection
    let finding = wait_for("both", || {
        let (_, finding) = asked(&["3459"]);
        let count =
            list(&finding["sockets"]).iter().filter(|its| !list(&its["processes"]).is_empty());
        (count.count() == 2).then_some(finding)
    });
    assert_eq!(
        help(&finding, "stop")["command"],
        format!("kill -CONT {0}; kill {0}", server.pid())
    );
    assert_eq!(help(&finding, "wait-after")["had_option"], true);
    drop((server, session, client));
}

/// A session that ends with the server is told, and so is what stays when a server with open connections has ended.
fn what_follows() {
    let mut command = Command::new("sh");
    let script = "\"$0\" --lang en port 3459; \"$0\" port 3459 --format json; :";
    command.args(["-c", script]).arg(program()).stdout(Stdio::piped());
    let listener = OwnedFd::from(std_listener("127.0.0.1"));
    let above = Process::start_with_stdin(&mut command, listener.into());
    drop(command); // with its copy of the listener
    let told = above.stdout.to_end();
    let finding: Value =
        serde_json::from_str(told.lines().last().expect("it has said it")).expect("it is JSON");
    assert_eq!(help(&finding, "stop")["above"]["pid"], above.pid().as_raw(), "{finding}");
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("has started this session, which may end with it"), "{told}");
    drop(above);
    is_free();
    for reuseaddr in [false, true] {
        let fd = fresh(false, local("127.0.0.1").ip(), false, reuseaddr, false).expect("a socket");
        bind(&fd, &local("127.0.0.1")).expect("the port is free");
        listen(&fd, 8).expect("it is bound");
        assert!(help_if_any(&asked(&["3459"]).1, "wait-after").is_none());
        let client = TcpStream::connect(local("127.0.0.1")).expect("it listens");
        let server = accept_with(&fd, SocketFlags::CLOEXEC).expect("it came");
        let (_, finding) = asked(&["3459"]);
        assert_eq!(help(&finding, "wait-after")["had_option"], reuseaddr, "{finding}");
        set_socket_linger(&server, Some(Duration::ZERO)).expect("it is a socket");
        drop((server, client, fd));
        is_free();
    }
}

/// What its cgroup has frozen is thawed first, by its engine where it is a container.
fn frozen() {
    let scratch = Scratch::new();
    let server = holder(&scratch, "server", std_listener("127.0.0.1"), &[]);
    let pid = server.pid().as_raw();
    let docker = format!("0::/docker/{}", "0123456789ab".repeat(5) + "cdef");
    for (line, file, expected) in [
        ("0::/web", "other/cgroup.freeze", None),
        ("0::/web", "web/cgroup.freeze", Some("echo 0 > /sys/fs/cgroup/web/cgroup.freeze; kill")),
        (
            "0::/a b/c",
            "a b/cgroup.freeze",
            Some("echo 0 > '/sys/fs/cgroup/a b'/cgroup.freeze; kill"),
        ),
        (
            "4:freezer:/web",
            "freezer/web/freezer.self_freezing",
            Some("echo THAWED > /sys/fs/cgroup/freezer/web/freezer.state; kill"),
        ),
        (
            &docker,
            "docker/cgroup.freeze",
            Some("docker unpause 0123456789ab; docker stop 0123456789ab"),
        ),
    ] {
        let asks = in_cgroup(&scratch, line, &[pid]);
        let script = format!(
            "mount -t tmpfs none /sys/fs/cgroup && cd /sys/fs/cgroup && mkdir -p \"$(dirname '{file}')\" && \
             echo 1 > '{file}'; exec \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(asks.get_program());
        command.args(asks.get_args()).args(["port", "3459", "--format", "json"]);
        let (_, finding) = found(&mut command);
        assert_eq!(has_case(&finding, "frozen"), expected.is_some(), "{finding}");
        let command = text(&help(&finding, "stop")["command"]);
        assert!(command.starts_with(expected.unwrap_or("kill")), "{command}");
    }
}

/// A unit is stopped for its main process alone: not the one in which some program has started a server.
fn not_main() {
    let scratch = Scratch::new();
    let older = Process::start(Command::new("sleep").arg("1000"));
    let server = holder(&scratch, "server", std_listener("127.0.0.1"), &[]);
    let pid = server.pid().as_raw();
    for (pids, expected) in [
        (&[pid][..], "systemctl stop cron.service".to_owned()),
        (&[older.pid().as_raw(), pid], format!("kill -CONT {pid}; kill {pid}")),
    ] {
        let mut command = in_cgroup(&scratch, "0::/system.slice/cron.service", pids);
        let (_, finding) = found(command.args(["port", "3459", "--format", "json"]));
        assert_eq!(text(&help(&finding, "stop")["command"]), expected, "{finding}");
    }
}

/// A supervisor starts its server again after a kill, so what is advised is for the supervisor; and for a server that
/// a script of its has started, or that ignores SIGTERM, more is.
fn supervised() {
    const SERVER: &str = "nc.openbsd -lk 127.0.0.1 3459";
    need(Need::Supervisors);
    let direct = format!("exec {SERVER}");
    let ignores = format!("trap \"\" TERM; exec {SERVER}");
    for (start, stop, stop_for_certain) in [
        ("runsv web", "sv down /", "sv down /"),
        ("s6-supervise web", "s6-svc -d /", "s6-svc -dk /"),
        ("supervisord -nc supervisord.conf", "supervisorctl -c /", "supervisorctl -c /"),
    ] {
        is_supervised(start, &direct, stop, false);
        is_supervised(start, &format!("{SERVER}; :"), stop, true);
        is_supervised(start, &format!("setsid {SERVER}; :"), stop, true);
        is_supervised(start, &ignores, stop_for_certain, false);
        // Where its paths and numbers are others.
        let there = format!("unshare --mount --pid --fork --kill-child --mount-proc {start}");
        is_supervised(&there, &direct, "nsenter -t ", false);
    }
    for start in [
        "supervisord --nodaemon --configuration=supervisord.conf",
        "supervisord -n -csupervisord.conf",
        "supervisord -n --conf supervisord.conf",
        "supervisord -n", // which finds it
    ] {
        is_supervised(start, &direct, "supervisorctl -c /", false);
    }
    // A loop in a script of the script's.
    let again = format!("sh -c 'while :; do {SERVER}; done'; :");
    is_supervised("s6-supervise web", &again, "s6-svc -d /", true);
}

/// Starts the supervisor with that script as its service; what is advised begins with `stop`, and ends the server for
/// good. `kills`: with a kill of the server, too.
fn is_supervised(start: &str, script: &str, stop: &str, kills: bool) {
    let scratch = Scratch::new();
    let folder = scratch.path();
    let file = folder.join("web/run");
    fs::create_dir(folder.join("web")).expect("it is ours");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("it is ours");
    fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("it is ours");
    let here = folder.display();
    let config = format!(
        "[supervisord]\nlogfile={here}/log\npidfile={here}/pid\n\
         [program:web]\ncommand={here}/web/run\nstopwaitsecs=1\n\
         [unix_http_server]\nfile={here}/socket\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
         [supervisorctl]\nserverurl=unix://{here}/socket\n"
    );
    fs::write(folder.join("supervisord.conf"), config).expect("it is ours");
    let mut command = Command::new("sh");
    let start = format!("exec {start}");
    let supervisor = Process::start(command.args(["-c", &start]).current_dir(folder));
    let (advised, pid) = wait_for("the advice", || {
        let (status, finding) = asked(&["3459"]);
        let command = (status == 1).then(|| text(&help(&finding, "stop")["command"]).to_owned());
        let command = command.filter(|command| command.starts_with(stop))?;
        Some((command, only(&finding)["processes"][0]["pid"].clone()))
    });
    // The loop of a script, too, and before its server.
    let count = match script.contains("while") {
        true => 2,
        false => usize::from(kills),
    };
    assert_eq!(advised.matches("; kill ").count(), count, "{advised}");
    assert!(count == 0 || advised.ends_with(&format!("; kill {pid}")), "{advised}");
    let mut command = Command::new("sh");
    let output = run(command.args(["-c", &advised]).current_dir(folder));
    assert!(output.status.success(), "{advised}: {}{}", output.stdout, output.stderr);
    is_free();
    drop(supervisor);
    assert!(states(PORT).is_empty(), "{start}: it has not started it again");
}

/// Each of two servers on one port has a supervisor; and one supervisord has no supervisorctl.
fn two_supervised() {
    need(Need::Supervisors);
    let scratch = Scratch::new();
    let folder = scratch.path();
    let server = "import socket, time; s = socket.socket(); s.setsockopt(1, 15, 1); \
                  s.bind(('127.0.0.1', 3459)); s.listen(); time.sleep(1000)";
    let file = |name: &str, text: String| {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().expect("it has one")).expect("it is ours");
        fs::write(&file, text).expect("it is ours");
        fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("it is ours");
    };
    for name in ["a/run", "b/run"] {
        file(name, format!("#!/bin/sh\nexec python3 -c \"{server}\"\n"));
    }
    let start = |words: &[&str]| {
        Process::start(Command::new(words[0]).args(&words[1..]).current_dir(folder))
    };
    let both = [start(&["runsv", "a"]), start(&["s6-supervise", "b"])];
    let advised = wait_for("both", || {
        let (_, finding) = asked(&["3459"]);
        let are_there = states(PORT) == [10, 10];
        let command = help_if_any(&finding, "stop")?["command"].as_str()?.to_owned();
        (are_there && command.contains("sv down /") && command.contains("s6-svc -d /"))
            .then_some(command)
    });
    run_advice(&advised);
    is_free();
    drop(both);
    file(
        "alone.conf",
        "[supervisord]\n[program:web]\ncommand=nc.openbsd -lk 127.0.0.1 3459\n".into(),
    );
    let alone = start(&["supervisord", "-nc", "alone.conf"]);
    let stop = wait_for("its server", || help_if_any(&asked(&["3459"]).1, "stop"));
    assert_eq!(stop["parent"]["pid"], alone.pid().as_raw(), "{stop}");
}

/// What helps of that kind, if anything does.
fn help_if_any(finding: &Value, name: &str) -> Option<Value> {
    list(&finding["help"]).iter().find(|its| its["do"] == name).cloned()
}

/// What may start a server again is named, unless it has started this program, too.
fn parents() {
    let scratch = Scratch::new();
    let script = scratch.path().join("again");
    let loop_ = "#!/bin/sh\nwhile :; do nc.openbsd -lk 127.0.0.1 3459; done\n";
    fs::write(&script, loop_).expect("the folder is ours");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("it is ours");
    let parent = Process::start(&mut Command::new(&script));
    let stop = wait_for("the server", || {
        let (status, finding) = asked(&["3459"]);
        (status == 1).then(|| help(&finding, "stop").clone())
    });
    assert_eq!(stop["parent"]["pid"], parent.pid().as_raw(), "{stop}");
    let word =
        format!("process {} (again), which has started it, may start it again", parent.pid());
    assert!(said(&["3459"]).1.split_whitespace().collect::<Vec<_>>().join(" ").contains(&word));
    drop(parent);
    is_free();
    // Through programs that end with it, too.
    let mut command = Command::new("sh");
    let server = "timeout --foreground 1000 sh -c 'nc.openbsd -lk 127.0.0.1 3459; :'";
    let parent = Process::start(command.args(["-c", &format!("while :; do {server}; done")]));
    let stop = wait_for("the server", || {
        let (status, finding) = asked(&["3459"]);
        (status == 1).then(|| help(&finding, "stop").clone())
    });
    assert_eq!(stop["parent"]["pid"], parent.pid().as_raw(), "{stop}");
    drop(parent);
    is_free();
    let parent = Process::start(Command::new("sh").args(["-c", server]));
    let stop = wait_for("the server", || {
        let (status, finding) = asked(&["3459"]);
        (status == 1).then(|| help(&finding, "stop").clone())
    });
    assert_eq!(stop["parent"], Value::Null, "{stop}");
    drop(parent);
    is_free();
    // On a terminal, too.
    let terminal = Terminal::new();
    let mut command = Command::new("setsid");
    let started =
        Process::start_at_terminal(command.args(["--ctty", "--wait"]).arg(&script), &terminal);
    let stop = wait_for("the server", || {
        let (status, finding) = asked(&["3459"]);
        (status == 1).then(|| help(&finding, "stop").clone())
    });
    assert_eq!(stop["parent"]["name"], "again", "{stop}");
    let group = stop["parent"]["pid"].as_i64().expect("it is a number") as i32;
    signal::killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL).expect("it is there");
    drop(started);
    is_free();
    // Which of its programs PM2 runs in itself is for PM2 to tell.
    let god = holder(&scratch, "PM2 v7.0.4: Go", std_listener("127.0.0.1"), &[]);
    assert_eq!(help(&asked(&["3459"]).1, "find")["command"], "pm2 list");
    drop(god);
    is_free();
    let inetd = holder(&scratch, "inetd", std_listener("127.0.0.1"), &[]);
    assert!(said(&["3459"]).1.contains(&format!("kill -HUP {}", inetd.pid())));
    drop(inetd);
    is_free();
    let _server = holder(&scratch, "server", std_listener("127.0.0.1"), &[]);
    assert_eq!(help(&asked(&["3459"]).1, "stop")["parent"], Value::Null);
}

/// What is advised for a privileged port, for a port of the ephemeral range, and for a full range.
fn sysctls() {
    set_sysctl("net.ipv4.ip_unprivileged_port_start", 4000);
    let mut user = unprivileged(Command::new(program()).args(["port", "3459", "--format", "json"]));
    let (_, finding) = found(&mut user);
    assert_eq!(can(&finding, "127.0.0.1", "none"), "no");
    run_advice(text(&help(&finding, "privilege")["command"]));
    assert_eq!(can(&found(&mut user).1, "127.0.0.1", "none"), "yes");
    // The range may not be widened into the privileged ports, and so upwards.
    set_sysctl("net.ipv4.ip_local_port_range", "3459 3459");
    let there = std_listener("127.0.0.1");
    let (_, finding) = asked(&["127.0.0.1:0"]);
    let command = "sysctl net.ipv4.ip_local_port_range='3459 65535'";
    assert_eq!(text(&help(&finding, "widen")["command"]), command);
    set_sysctl("net.ipv4.ip_unprivileged_port_start", 2000);
    let (_, finding) = asked(&["3459"]);
    run_advice(text(&help(&finding, "reserve")["command"]));
    let reserved = fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports");
    let reserved = reserved.expect("/proc is mounted");
    assert_eq!(reserved.trim(), "3459");
    set_sysctl("net.ipv4.ip_local_reserved_ports", "");
    let (status, finding) = asked(&["127.0.0.1:0"]);
    assert_eq!(status, 1, "{finding}");
    run_advice(text(&help(&finding, "widen")["command"]));
    TcpListener::bind("127.0.0.1:0").expect("a port is left");
    drop(there);
}

/// What publishes ports for containers, and what only seems to.
fn engines() {
    for (name, words, port, engine) in [
        ("docker-proxy", "-host-port 3459", 3459, Some("docker")),
        ("docker-proxy", "-host-port 8080", 3459, None),
        ("dockerd", "", 3459, Some("swarm")),
        ("dockerd", "", 2375, None),
        ("conmon", "", 3459, Some("podman")),
        ("rootlessport", "", 3459, Some("podman")),
        ("rootlesskit", "", 3459, Some("docker")),
        ("nginx", "", 3459, None),
    ] {
        let scratch = Scratch::new();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let words: Vec<&str> = words.split_whitespace().collect();
        let _server = holder(&scratch, name, listener, &words);
        let (_, finding) = asked(&[&port.to_string()]);
        let is_published = has_case(&finding, "published");
        assert_eq!(is_published, engine.is_some(), "{name} {port}: {finding}");
        if let Some(engine) = engine {
            assert_eq!(case(&finding, "published")["engine"], engine);
        }
        match engine {
            Some("swarm") => {
                let ps = format!("docker ps --filter publish={port}/tcp");
                let command = format!("{ps}; docker service ls");
                assert_eq!(text(&help(&finding, "find")["command"]), command);
            }
            Some(engine) => {
                let command = text(&help(&finding, "stop")["command"]);
                assert!(command.starts_with(&format!("{engine} stop $({engine} ps ")), "{command}");
            }
            None => assert!(text(&help(&finding, "stop")["command"]).starts_with("kill ")),
        }
    }
}

/// An address that is free right now comes before what stops a server; and what systemd-resolved has is
/// named.
fn free_address() {
    let _listener = listener("127.0.0.2");
    let (_, finding) = asked(&["127.0.0.2:3459"]);
    let first = &list(&finding["help"])[0];
    assert_eq!((&first["do"], &first["address"]), (&"bind-address".into(), &"127.0.0.1".into()));
    TcpListener::bind("127.0.0.1:3459").expect("it is free, as it says");
    let (_, finding) = asked(&["3459"]);
    assert!(!finding.to_string().contains("set-both"), "no option helps against a listener");
    let scratch = Scratch::new();
    let stub = TcpListener::bind("127.0.0.53:53").expect("the port is free");
    let _server = holder(&scratch, "systemd-resolve", stub, &[]);
    let (_, finding) = asked(&["53"]);
    let command = text(&help(&finding, "resolved")["command"]);
    assert!(command.contains("DNSStubListener=no"), "{command}");
    assert_eq!(can(&finding, "127.0.0.1", "none"), "yes", "{finding}");
}

/// A word of what a shell, a terminal or a program may take for something else.
fn random_word(random: &mut fastrand::Rng) -> String {
    const PARTS: [&str; 24] = [
        "a", "Z", "7", " ", "  ", "\t", "\n", "'", "\"", "\\", "`id`", "$(id)", "$HOME", ";id;",
        "&", "|", "<", ">", "*", "~", "#", "!", "\x1b[31m", "端口",
    ];
    let start = random.choice(["", "", "-", "--"]).expect("it is not empty");
    let count = random.usize(1..6);
    let rest = (0..count).map(|_| *random.choice(&PARTS).expect("it is not empty"));
    start.to_owned() + &rest.collect::<String>()
}

/// Whatever a process, a container, a unit or an interface is called: in what is advised it is one word that
/// the shell takes as it is, or it is not in it; and nothing of it reaches a terminal as an order.
fn words() {
    const SEED: u64 = 22;
    let mut random = fastrand::Rng::with_seed(SEED);
    let is_shown = |text: &str| text.chars().all(|c| c == '\n' || !c.is_control());
    let printed = |words: &str| {
        let print = format!("printf '%s\\036' {words}");
        run(Command::new("sh").args(["-c", &print])).stdout
    };
    let mut quoted = [0; 3];
    for _ in 0..12 {
        let _guard = ODD_NAMES.write().unwrap_or_else(PoisonError::into_inner);
        let scratch = Scratch::new();
        // A name of a process has 15 bytes, and no `/` here, since it is a link's.
        let (name, argument) = (random_word(&mut random), random_word(&mut random));
        let mut name: String = name.chars().filter(char::is_ascii).take(15).collect();
        name = name.trim_end_matches('\n').trim().to_owned();
        if name.is_empty() || name.starts_with('-') || name.contains('\n') {
            name = "server".to_owned();
        }
        let server = holder(&scratch, &name, std_listener("127.0.0.1"), &[&argument]);
        let pid = server.pid().as_raw();
        let kill = format!("kill -CONT {pid}; kill {pid}");
        for _ in 0..4 {
            let word = match random.bool() {
                true => random_word(&mut random).replace('\n', " "),
                false => (0..8)
                    .map(|_| {
                        random.choice(['a', '1', ':', '_', '.', '\\', '@', '-']).expect("some")
                    })
                    .collect(),
            };
            let unit = format!("{word}.service");
            for (at, (cgroup, stop)) in [
                (format!("0::/system.slice/{unit}"), "systemctl stop "),
                (format!("0::/lxc.payload.{word}/init.scope"), "lxc-stop -n "),
            ]
            .iter()
            .enumerate()
            {
                let mut command = in_cgroup(&scratch, cgroup, &[pid]);
                let output = run(command.args(["port", "3459", "--format", "json"]));
                assert!(is_shown(&output.stdout), "{cgroup:?}: {:?}", output.stdout);
                let finding: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
                let advised = text(&help(&finding, "stop")["command"]);
                match advised.strip_prefix(stop) {
                    None => assert_eq!(advised, kill, "SEED {SEED}: {cgroup:?}"),
                    Some(words) => {
                        let own = if at == 0 { &unit } else { &word };
                        assert_eq!(printed(words), format!("{own}\x1e"), "SEED {SEED}");
                        assert!(!own.contains(['*', '?', '[', ' ']), "{own} is a pattern");
                        quoted[at] += 1;
                    }
                }
            }
        }
    }
    let _socket = UdpSocket::bind("127.0.0.1:3459").expect("it is free");
    let mut last = "lo".to_owned();
    for _ in 0..40 {
        // dev_valid_name: 15 bytes, no `/`, no `:`, no space. iproute2 takes no `-` at its start.
        let word: String = random_word(&mut random).split_whitespace().collect();
        let word: String = word.chars().filter(char::is_ascii).take(15).collect();
        if word.is_empty() || word.starts_with('-') || word.chars().any(char::is_control) {
            continue;
        }
        for words in [&[&*last, "down"][..], &[&last, "name", &word], &[&word, "up"]] {
            let output = run(Command::new("ip").args(["link", "set", "dev"]).args(words));
            assert_eq!(output.stderr, "", "{words:?}");
        }
        let target = format!("[fe80::1%{word}]:3459");
        let mut command = Command::new("unshare");
        command.arg("--user").arg(program()).args(["port", &target, "--udp", "--format", "json"]);
        let (_, finding) = found(&mut command);
        let advised = text(&help(&finding, "ask")["command"]);
        let expected = ["bindtable", "port", &target, "--udp", "--probe", ""].join("\x1e");
        assert_eq!(printed(advised), expected, "SEED {SEED}");
        quoted[2] += 1;
        last = word;
    }
    assert!(quoted.iter().all(|count| *count >= 8), "enough were words for a shell: {quoted:?}");
}
