//! `bindtable port` where the process hides, where there is none, and where it cannot be looked for;
//! a free port; and the range of port 0.

use crate::harness::{
    AS_NOBODY, Need, PORT, Process, Scratch, bindtable as program, need, own_descriptors, run,
    set_sysctl, state, unprivileged, wait_for,
};
use crate::port::{
    asked, bound, can, case, found, fresh, has_case, help, flat, holder, list, listener, local,
    only, said, states, std_listener, text,
};
use crate::port_refused::compiled;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rustix::fd::{self, AsFd, AsRawFd};
use rustix::io::{Errno, IoSlice};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    accept_with, bind, connect, listen, sendmsg, socketpair,
};
use rustix::net::sockopt::set_socket_linger;
use serde_json::Value;
use std::fs;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

pub const TRIALS: [(&str, fn()); 20] = [
    ("port_thread_with_its_own_table", thread_with_its_own_table),
    ("port_thread_in_accept", thread_in_accept),
    ("port_held_by_the_kernel", held_by_the_kernel),
    ("port_like_nfs", like_nfs),
    ("port_beside_a_zombie", beside_a_zombie),
    ("port_held_by_a_ring", held_by_a_ring),
    ("port_held_by_vxlan", held_by_vxlan),
    ("port_held_by_wireguard", held_by_wireguard),
    ("port_another_run", another_run),
    ("port_half_open", half_open),
    ("port_stopped", stopped),
    ("port_no_thread", no_thread),
    ("port_proc_troubles", proc_troubles),
    ("port_no_process", no_process),
    ("port_without_sock_diag", without_sock_diag),
    ("port_hidden_processes", hidden_processes),
    ("port_root_without_ptrace", root_without_ptrace),
    ("port_if_still", if_still),
    ("port_zero", zero),
    ("port_zero_of_two_families", zero_of_two_families),
];

/// Another run of this program has a copy of a server's descriptor, as for the moment in which it reads the
/// options: it is none of those to be stopped.
fn another_run() {
    let scratch = Scratch::new();
    let waits = scratch.path().join("waits");
    mkfifo(&waits, Mode::S_IRUSR).expect("the folder is empty");
    let socket = std_listener("127.0.0.1");
    let copy = OwnedFd::from(socket.try_clone().expect("descriptors are left"));
    let mut command = Command::new(program());
    let other = Process::start_with_stdin(command.arg("diff").arg(&waits), copy.into());
    drop(command); // with its copy
    let server = holder(&scratch, "server", socket, &[]);
    assert!(state(other.pid()).is_some(), "it waits");
    let (_, finding) = asked(&["3459"]);
    let kill = format!("kill -CONT {0}; kill {0}", server.pid());
    assert_eq!(text(&help(&finding, "stop")["command"]), kill);
}

/// A thread has a descriptor that its process's first thread does not have.
fn thread_with_its_own_table() {
    let ((said, hears), (stop, waits)) = (channel(), channel::<()>());
    thread::scope(|scope| {
        scope.spawn(move || {
            own_descriptors();
            let _listener = listener("127.0.0.1");
            said.send(()).expect("the trial waits");
            let _ = waits.recv();
        });
        hears.recv().expect("it listens");
        let (status, finding) = asked(&["3459"]);
        drop(stop);
        assert_eq!(status, 1);
        assert_eq!(only(&finding)["processes"][0]["pid"], std::process::id(), "{finding}");
        assert!(!has_case(&finding, "no-process"));
    });
}

/// A thread waits in accept while another one closes the descriptor: in a table of their own, so
/// that no other trial takes its number.
fn thread_in_accept() {
    thread::scope(|scope| {
        scope.spawn(|| {
            own_descriptors();
            let listener = listener("127.0.0.1");
            let number = listener.as_raw_fd();
            thread::scope(|scope| {
                let ((said, hears), socket) = (channel(), &listener);
                let waits = scope.spawn(move || {
                    said.send(rustix::thread::gettid()).expect("the trial waits");
                    accept_with(socket, SocketFlags::CLOEXEC).map(drop)
                });
                let thread = hears.recv().expect("it runs").as_raw_nonzero();
                let call = format!("/proc/self/task/{thread}/wchan");
                wait_for("accept", || {
                    std::fs::read_to_string(&call).ok()?.contains("accept").then_some(())
                });
                nix::unistd::close(number).expect("it is open");
                let (_, finding) = asked(&["3459"]);
                let client = TcpStream::connect(local("127.0.0.1"));
                waits.join().expect("it ends").expect("a client came");
                drop(client);
                let pid = std::process::id();
                assert_eq!(case(&finding, "in-accept")["pid"], pid, "{finding}");
                assert_eq!(only(&finding)["processes"][0]["pid"], pid, "{finding}");
            });
            std::mem::forget(listener); // closed by its number
        });
    });
}

/// Sends the descriptor to nobody, and gives the pair that keeps it.
fn in_flight(socket: fd::OwnedFd) -> (fd::OwnedFd, fd::OwnedFd) {
    let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let pair = pair.expect("it is a pair");
    let descriptors = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    assert!(message.push(SendAncillaryMessage::ScmRights(&descriptors)), "there is room");
    sendmsg(&pair.0, &[IoSlice::new(b"x")], &mut message, SendFlags::empty()).expect("it is sent");
    pair
}

/// What may hold the socket that no process has, with the finding.
fn candidates(port: &str) -> (Value, Vec<String>) {
    // A process that another trial is starting may have a copy.
    let finding = wait_for("no holder", || {
        let (_, finding) = asked(&[port]);
        has_case(&finding, "no-process").then_some(finding)
    });
    let candidates = list(&case(&finding, "no-process")["candidates"]);
    let whats = candidates.iter().map(|it| text(&it["what"]).to_owned()).collect();
    (finding, whats)
}

/// A listener whose one descriptor is in a message that nobody has received: no process has it, and
/// the candidates have a command each.
fn held_by_the_kernel() {
    let _pair = in_flight(listener("127.0.0.1"));
    let (finding, whats) = candidates("3459");
    assert_eq!(whats, ["mptcp", "nfs", "io-uring", "in-flight"]);
    assert!(!finding.to_string().contains(r#""do":"stop""#), "{finding}");
    assert!(!finding.to_string().contains(r#""do":"set-both""#), "{finding}");
    let (_, told) = said(&["3459"]);
    assert!(told.contains("in use: the kernel"), "{told}");
    assert!(!told.contains("cannot be seen"), "{told}");
}

/// A connection that no process has, of a port to NFS's or to the port mapper's: like a client's in the kernel.
fn like_nfs() {
    for port in [2049, 111] {
        let address = SocketAddr::new(local("127.0.0.1").ip(), port);
        let server = fresh(false, address.ip(), false, false, false).expect("it is a socket");
        bind(&server, &address).expect("the namespace is ours");
        listen(&server, 8).expect("it is bound");
        let client = fresh(false, address.ip(), false, false, false).expect("it is a socket");
        // A process that another trial is starting may have a copy of the one before, closed by its peer.
        wait_for("the port", || bind(&client, &local("127.0.0.1")).ok());
        connect(&client, &address).expect("it listens");
        let accepted = accept_with(&server, SocketFlags::CLOEXEC).expect("it came");
        let pair = in_flight(client);
        let (finding, whats) = candidates("3459");
        assert_eq!(whats[0], "nfs", "{finding}");
        let advised = text(&case(&finding, "no-process")["candidates"][0]["command"]);
        assert_eq!(advised, "mount -t nfs,nfs4");
        assert_eq!(run(Command::new("sh").args(["-c", advised])).stderr, "");
        set_socket_linger(&accepted, Some(Duration::ZERO)).expect("it is a socket");
        drop((accepted, pair));
        wait_for("a free port", || states(PORT).is_empty().then_some(()));
    }
}

/// A process that has ended and was not waited for has no descriptors, though none but root may look: it hides
/// nothing.
fn beside_a_zombie() {
    need(Need::UserNamespaces);
    let script = r#"
import array, os, socket, subprocess, sys
here, there = socket.socketpair()
listener = socket.create_server(("127.0.0.1", 3459))
rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener.fileno()]))
here.sendmsg([b"x"], [rights])
listener.close()
child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
subprocess.run([sys.argv[1], "port", "3459", "--format", "json"])
"#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]);
    command.args(["python3", "-c", script]).arg(program());
    let finding = run(&mut unprivileged(&command));
    let finding: Value = serde_json::from_str(&finding.stdout).expect("it is JSON");
    assert!(has_case(&finding, "no-process"), "{finding}");
    let unseen = list(&finding["unseen"]);
    assert!(unseen.iter().all(|it| it["unseen"] == "ipv6"), "{finding}");
}

/// A port that no process has: the candidate's command shows what holds it, and `free` ends that.
fn is_held_by(what: &str, arguments: &[&str], shown: &str, free: &str) {
    let finding = wait_for("a socket of the kernel's", || {
        let (_, finding) = asked(arguments);
        has_case(&finding, "no-process").then_some(finding)
    });
    let candidates = list(&case(&finding, "no-process")["candidates"]);
    let candidate = candidates.iter().find(|it| it["what"] == what).expect("it is a candidate");
    let output = run(Command::new("sh").args(["-c", text(&candidate["command"])])).stdout;
    assert!(output.contains(shown), "{output}");
    assert!(!finding.to_string().contains(r#""do":"stop""#), "{finding}");
    let output = run(Command::new("sh").args(["-c", free]));
    assert_eq!(output.stderr, "", "{free}");
    wait_for("a free port", || (asked(arguments).0 == 0).then_some(()));
}

/// A listener that a ring has, and no descriptor.
fn held_by_a_ring() {
    need(Need::IoUring);
    let scratch = Scratch::new();
    let server = Process::start(&mut Command::new(compiled(&scratch, "uring")));
    let pid = server.pid();
    is_held_by("io-uring", &["3459"], &format!("/proc/{pid}/fd/"), &format!("kill {pid}"));
}

/// The socket of a tunnel.
fn held_by_vxlan() {
    need(Need::Vxlan);
    for words in ["link add one type vxlan id 1 dstport 3459", "link set one up"] {
        assert_eq!(run(Command::new("ip").args(words.split(' '))).stderr, "");
    }
    is_held_by("tunnel", &["3459", "--udp"], "dstport 3459", "ip link delete one");
}

/// The same of WireGuard.
fn held_by_wireguard() {
    need(Need::Wireguard);
    let make =
        "ip link add one type wireguard && wg set one listen-port 3459 && ip link set one up";
    assert_eq!(run(Command::new("sh").args(["-c", make])).stderr, "");
    is_held_by("wireguard", &["3459", "--udp"], "listening port: 3459", "ip link delete one");
}

/// A handshake that its client does not end is listed beside the listener, and is nobody's. When the listener
/// has gone, it keeps nobody out.
fn half_open() {
    // A filter of its own (BPF_RET 0) keeps each answer from the client.
    const CLIENT: &str = "import ctypes, signal, socket, struct\n\
        drop = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0))\n\
        client = socket.socket()\n\
        client.setsockopt(socket.SOL_SOCKET, 26, struct.pack('HL', 1, ctypes.addressof(drop)))\n\
        client.setblocking(False)\n\
        client.connect_ex(('127.0.0.1', 3459))\n\
        signal.pause()";
    const SYN_RECV: u8 = 3;
    wait_for("an answer before the handshake is dropped", || {
        let listener = listener("127.0.0.1");
        let client = Process::start(Command::new("python3").args(["-c", CLIENT]));
        wait_for("SYN_RECV", || (states(PORT) == [SYN_RECV, 10]).then_some(()));
        let (status, finding) = asked(&["3459"]);
        let is_half = |socket: &&Value| socket["state"] == "SYN_RECV";
        let half = list(&finding["sockets"]).iter().find(is_half).expect("it is listed");
        assert_eq!((status, &half["user"]), (1, &Value::Null), "{finding}");
        assert!(list(&half["processes"]).is_empty() && !has_case(&finding, "no-process"));
        drop(listener);
        let (status, finding) = asked(&["3459"]);
        let is_left = list(&finding["sockets"]).len() == 1 && states(PORT) == [SYN_RECV];
        if is_left {
            assert_eq!((status, can(&finding, "127.0.0.1", "none")), (0, "yes"), "{finding}");
            drop(bound("127.0.0.1", false));
        }
        drop(client);
        wait_for("no handshake", || states(PORT).is_empty().then_some(()));
        is_left.then_some(())
    });
}

/// What is advised for a stopped process frees the port.
fn stopped() {
    let scratch = Scratch::new();
    let server = holder(&scratch, "server", std_listener("127.0.0.1"), &[]);
    let (_, finding) = asked(&["3459"]);
    assert_eq!(case(&finding, "stopped")["pid"], server.pid().as_raw());
    let command = text(&help(&finding, "stop")["command"]);
    assert_eq!(run(Command::new("sh").args(["-c", command])).stderr, "");
    wait_for("a free port", || states(PORT).is_empty().then_some(()));
}

/// Where no thread may be started, other namespaces are not seen, and that is all.
fn no_thread() {
    need(Need::SecondUser);
    let mut command = Command::new("unshare");
    let other = Process::start(command.arg("--net").args(AS_NOBODY).args(["sleep", "1000"]));
    let comm = format!("/proc/{}/comm", other.pid());
    wait_for("sleep", || (fs::read(&comm).ok()? == b"sleep\n").then_some(()));
    let mut command = Command::new("prlimit");
    command.arg("--nproc=1:1").arg(program()).args(["port", "3459", "--format", "json"]);
    let (status, finding) = found(&mut unprivileged(&command));
    assert_eq!((status, &finding["status"]), (0, &"free".into()));
}

/// What cannot be read is not seen, and no fact; and no number of another PID namespace is advised.
fn proc_troubles() {
    let _listener = listener("127.0.0.1");
    let unseen = |finding: &Value| text(&finding["unseen"][0]["unseen"]).to_owned();
    for (options, script, name) in [
        (&["--mount"][..], "mount -t tmpfs none /proc || exit 9", "proc"),
        (&["--pid", "--fork"], ":", "other-pid-namespace"),
        (&["--mount"], "ulimit -n 5", "options"),
    ] {
        let mut command = Command::new("unshare");
        let script = format!("{script}; exec \"$0\" port 3459 --format json");
        command.args(options).args(["sh", "-c", &script]).arg(program());
        let (status, finding) = found(&mut command);
        assert_eq!((status, &*unseen(&finding)), (1, name), "{finding}");
        assert!(!has_case(&finding, "no-process"), "{finding}");
        let is_advised = finding.to_string().contains("kill ");
        assert_eq!(is_advised, name == "options", "{finding}");
    }
}

/// In a PID namespace of its own it sees no process that has the listener.
fn no_process() {
    let _listener = listener("127.0.0.1");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]).arg(program());
    let (status, finding) = found(command.args(["port", "3459", "--format", "json"]));
    assert_eq!((status, &only(&finding)["state"]), (1, &"LISTEN".into()));
    assert_eq!(case(&finding, "no-process")["address"], "127.0.0.1");
    assert!(!has_case(&asked(&["3459"]).1, "no-process"), "here the test itself has it");
}

/// Where sock_diag is refused, `/proc/net` has most of it.
fn without_sock_diag() {
    need(Need::Ipv6);
    let ask = |target: &str| {
        let mut command = Command::new("strace");
        command.args(["-qq", "-o", "/dev/null", "-e", "inject=sendto:error=EPERM"]);
        command.args(["-e", "inject=pidfd_getfd:error=EPERM"]);
        command.arg(program()).args(["port", target, "--format", "json"]);
        found(&mut command)
    };
    let unseen = |finding: &Value| -> Vec<String> {
        list(&finding["unseen"]).iter().map(|unseen| text(&unseen["unseen"]).to_owned()).collect()
    };
    let (status, finding) = ask("3459");
    assert_eq!((status, &finding["status"]), (0, &"free".into()));
    assert_eq!(unseen(&finding), ["sock-diag", "bound"]);
    assert_eq!(finding["probed"], true);
    let only_bound = bound("127.0.0.1", false);
    let (status, finding) = ask("3459");
    assert_eq!((status, list(&finding["sockets"]).len()), (1, 0));
    assert_eq!(can(&finding, "127.0.0.1", "none"), "no");
    drop(only_bound);
    let listener = wait_for("the port", || TcpListener::bind(local("127.0.0.1")).ok());
    let (status, finding) = ask("3459");
    assert_eq!((status, &only(&finding)["state"]), (1, &"LISTEN".into()));
    assert_eq!(only(&finding)["processes"][0]["pid"], std::process::id());
    assert_eq!(can(&finding, "127.0.0.1", "SO_REUSEADDR"), "no");
    drop(listener);
    // Whether a socket on :: takes IPv4 is not seen: bind tells, and the answer is what it has told.
    for v6only in [false, true] {
        let fd = fresh(false, local("::").ip(), v6only, false, false).expect("it is a socket");
        wait_for("the port", || bind(&fd, &local("::")).ok());
        listen(&fd, 8).expect("it is bound");
        let (status, finding) = ask("0.0.0.0:3459");
        assert_eq!(only(&finding)["ipv6_only"], Value::Null, "{finding}");
        let expected = if v6only { (0, "yes", "free") } else { (1, "no", "in-use") };
        let status = (status, can(&finding, "0.0.0.0", "none"), text(&finding["status"]));
        assert_eq!(status, expected, "{finding}");
        assert_eq!(TcpListener::bind(local("0.0.0.0")).is_ok(), v6only);
    }
}

/// With `hidepid` no other user's process is there: that is said, and not that no process has the
/// socket.
fn hidden_processes() {
    let _listener = listener("127.0.0.1");
    let script = "mount -t proc -o hidepid=ptraceable proc /proc || exit 9; \
                  unshare --user \"$0\" port 3459 --format json; exit $?";
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", script]).arg(program());
    let (status, finding) = found(&mut command);
    assert_eq!(status, 1);
    assert_eq!(finding["unseen"][0]["unseen"], "hidden", "{finding}");
    assert!(!has_case(&finding, "no-process"));
}

/// Root may lack a capability, as in a container; it is not told to ask as root.
fn root_without_ptrace() {
    let _listener = listener("127.0.0.1");
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-sys_ptrace", "--bounding-set=-sys_ptrace"]).arg(program());
    let told = flat(&run(command.args(["--lang", "en", "port", "3459"])).stdout);
    assert!(told.contains("Root needs the capability CAP_SYS_PTRACE"), "{told}");
    assert!(!told.contains("Ask as root"), "{told}");
}

/// A free port never stands alone.
fn if_still() {
    let (status, finding) = asked(&["3459"]);
    assert_eq!(status, 0);
    let reasons: Vec<&str> = list(&finding["if_still"]).iter().map(|it| text(&it["if"])).collect();
    for reason in ["binds-twice", "other-protocol", "other-namespace", "policy", "port-zero"] {
        assert!(reasons.contains(&reason), "{reason}: {finding}");
    }
    let (_, told) = said(&["3459"]);
    assert!(told.contains("If your server still says \"Address already in use\":"), "{told}");
    assert!(told.contains("bindtable why --lang en -- COMMAND"), "{told}");
    // Each asks in the same language, and of the same address.
    let (_, finding) = asked(&["127.0.0.1:3459", "--lang", "zh"]);
    let commands = list(&finding["if_still"]).iter().filter_map(|it| it["command"].as_str());
    let own: Vec<&str> = commands.filter(|command| command.starts_with("bindtable")).collect();
    assert_eq!(
        own,
        [
            "bindtable port 127.0.0.1:3459 --lang zh --udp",
            "bindtable port 127.0.0.1:3459 --lang zh --probe",
            "bindtable port 127.0.0.1:0 --lang zh",
            "bindtable why --lang zh -- COMMAND",
        ]
    );
    let folder = program();
    let folder = folder.parent().expect("it is in one").to_str().expect("it is in UTF-8");
    let path = format!("{folder}:{}", std::env::var("PATH").expect("it is set"));
    for command in own {
        let command = command.replace("COMMAND", "true");
        let output = run(Command::new("sh").env("PATH", &path).args(["-c", &command]));
        assert!(output.status.success() && output.stderr.is_empty(), "{command}");
        assert!(output.stdout.is_empty() == command.ends_with("true"), "{command}");
    }
    let _listener = listener("127.0.0.1");
    assert_eq!(list(&asked(&["3459"]).1["if_still"]).len(), 0);
}

/// A socket of UDP with a port of the kernel's choice.
fn any_udp(reuseaddr: bool, connects: bool) -> Result<fd::OwnedFd, Errno> {
    let here = |port| SocketAddr::new(local("127.0.0.1").ip(), port);
    let socket = fresh(true, here(0).ip(), false, reuseaddr, false).expect("it is a socket");
    if connects { connect(&socket, &here(9)) } else { bind(&socket, &here(0)) }.map(|()| socket)
}

/// A socket of the other family alone is not in the way.
fn zero_of_two_families() {
    let bind_here = |ip: &str, port, v6only| {
        let address = SocketAddr::new(local(ip).ip(), port);
        let socket = fresh(false, address.ip(), v6only, false, false).expect("it is a socket");
        bind(&socket, &address).map(|()| socket)
    };
    need(Need::Ipv6);
    set_sysctl("net.ipv4.ip_local_port_range", "40000 40001");
    let range = [40_000, 40_001];
    let servers = [("0.0.0.0", false), ("::", false), ("::", true)];
    for (held, left, tells) in [
        (("::", true), [2, 0, 0], "At 0.0.0.0, in use: 0; free: 2. At ::, in use: 2; free: 0."),
        (("::1", false), [2, 0, 0], "At 0.0.0.0, in use: 0; free: 2. At ::, in use: 2; free: 0."),
        (("0.0.0.0", false), [0, 0, 2], "At :: with IPV6_V6ONLY, in use: 0; free: 2."),
        (("::", false), [0, 0, 0], "In use: 2; free: 0."),
    ] {
        let bound =
            |port| wait_for("no copy of the last one", || bind_here(held.0, port, held.1).ok());
        let held = range.map(bound);
        for ((ip, v6only), free) in servers.into_iter().zip(left) {
            assert_eq!(bind_here(ip, 0, v6only).is_ok(), free > 0, "the kernel agrees: {ip}");
        }
        for (ip, free) in [("0.0.0.0", left[0]), ("::", left[1])] {
            let (status, finding) = asked(&[&local(ip).to_string().replace("3459", "0")]);
            assert_eq!((status, &finding["free"]), (i32::from(free == 0), &free.into()), "{ip}");
        }
        let (status, finding) = asked(&["0"]);
        let free: Vec<&Value> =
            list(&finding["addresses"]).iter().map(|its| &its["free"]).collect();
        assert_eq!((status, &finding["free"]), (1, &0.into()));
        assert_eq!(free, left.map(Value::from).each_ref());
        let (_, told) = said(&["0"]);
        assert!(told.contains(tells), "{tells}: {told}");
        drop(held);
    }
}

/// Port 0 is answered for the range.
fn zero() {
    set_sysctl("net.ipv4.ip_local_port_range", "40000 40003");
    set_sysctl("net.ipv4.ip_local_reserved_ports", "40002");
    let take = |port| TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    let first = take(40_000);
    let (status, finding) = asked(&["0"]);
    let counts = ["first", "last", "reserved", "in_use", "free"].map(|name| &finding[name]);
    assert_eq!((status, counts), (0, [40_000, 40_003, 1, 1, 2].map(Value::from).each_ref()));
    let rest = [40_001, 40_003].map(take);
    let (status, finding) = asked(&["0"]);
    assert_eq!((status, &finding["free"]), (1, &0.into()));
    assert!(TcpListener::bind("127.0.0.1:0").is_err(), "the kernel agrees");
    assert!(!finding.to_string().contains("bind-address-no-port"), "listeners have all: {finding}");
    assert!(text(&help(&finding, "widen")["command"]).contains("ip_local_port_range='1024 40003'"));
    let (_, told) = said(&["0"]);
    assert!(told.contains("of which one is reserved. At 0.0.0.0, in use: 3; free: 0."), "{told}");
    assert_eq!(asked(&["127.0.0.2:0"]).0, 0, "at another address they are free");
    drop(rest);
    let server = std_listener("127.0.0.1");
    let client = || TcpStream::connect(local("127.0.0.1")).ok();
    let clients = [(); 2].map(|()| wait_for("a port of the range", client));
    let finding = wait_for("clients alone", || {
        let (_, finding) = asked(&["0"]);
        (finding["states"]["ESTABLISHED"] == 2 && finding["free"] == 0).then_some(finding)
    });
    help(&finding, "bind-address-no-port");
    drop((clients, server));
    // Of UDP, sockets with SO_REUSEADDR share one, by bind and by connect; others find none.
    let shared = [40_000, 40_001, 40_003].map(|port| {
        let address = SocketAddr::new(local("127.0.0.1").ip(), port);
        let socket = fresh(true, address.ip(), false, true, false).expect("it is a socket");
        bind(&socket, &address).map(|()| socket).expect("it is free")
    });
    let (status, finding) = asked(&["0", "--udp"]);
    assert_eq!((status, &finding["free"]), (1, &0.into()), "{finding}");
    assert!(!finding.to_string().contains("bind-address-no-port"), "{finding}");
    for connects in [false, true] {
        assert!(any_udp(true, connects).is_ok(), "they share");
        assert!(any_udp(false, connects).is_err(), "none is left");
    }
    assert!(said(&["0", "--udp"]).1.contains("then they share it"));
    drop(shared);
    drop((first, bound("127.0.0.1", false)));
}
