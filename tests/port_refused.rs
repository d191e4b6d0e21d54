//! `bindtable port` where no socket is the reason: a policy refuses, or the address is not ready. And the
//! sockets that other devices and protocols have.

use crate::harness::{
    Need, PORT, Process, Scratch, bindtable as program, lacks, need, project, run, set_sysctl,
    wait_for,
};
use crate::port::{
    DEVICES, OPTIONS, address, asked, bound_on, can, case, found, fresh, has_case, help,
    link_local, list, listener, local, only, said, states, text, two_interfaces,
};
use nix::libc::{EACCES, EADDRINUSE, EADDRNOTAVAIL, EPERM};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, connect, ipproto, listen,
    socket_with,
};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const TRIALS: [(&str, fn()); 9] = [
    ("port_refused_by_cgroup", refused_by_cgroup),
    ("port_refused_by_landlock", refused_by_landlock),
    ("port_refused_by_seccomp", refused_by_seccomp),
    ("port_refused_in_user_namespace", refused_in_user_namespace),
    ("port_tentative", tentative),
    ("port_nonlocal", nonlocal),
    ("port_devices", devices),
    ("port_mptcp", mptcp),
    ("port_leader_ended", leader_ended),
];

/// The program of that name in tests/port, compiled.
pub fn compiled(scratch: &Scratch, name: &str) -> PathBuf {
    let program = scratch.path().join(name);
    let source = project("tests/port").join(name).with_extension("c");
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-Werror", "-pthread", "-o"]).arg(&program).arg(source);
    let output = run(&mut cc);
    assert!(output.status.success(), "{}", output.stderr);
    program
}

/// A policy that refuses to bind, and the programs that live under it.
pub struct Policy {
    scratch: Scratch,
    /// The words of `refuse` that bring a command under it.
    words: Vec<String>,
    /// The cgroup, which is removed at the end.
    cgroup: Option<PathBuf>,
}

impl Policy {
    /// With these words of `refuse`, or why this system does not have such a policy.
    pub fn new(words: &[&str]) -> Result<Self, String> {
        let scratch = Scratch::new();
        compiled(&scratch, "refuse");
        compiled(&scratch, "try");
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let policy = Self { scratch, words, cgroup: None };
        let output = run(&mut policy.command(Path::new("true")));
        match output.status.code() {
            Some(77) => Err(output.stderr.trim().to_owned()),
            _ => Ok(policy),
        }
    }

    /// A cgroup in which bind of the port fails with that error, by the program of that hook.
    pub fn cgroup(hook: &str, port: u16, errno: i32) -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let mount = mounts.find(|fields| fields[2] == "cgroup2");
        let mount = mount.ok_or("cgroup2 is not mounted")?;
        let name = format!("treuseaddr-{:x}", fastrand::u64(..));
        let folder = Path::new(mount[1]).join(name);
        let word = folder.to_str().expect("it is in UTF-8");
        let mut made = Self::new(&[hook, word, &port.to_string(), &errno.to_string()]);
        match &mut made {
            Err(_) => _ = fs::remove_dir(folder),
            Ok(made) => {
                made.words = vec!["join".to_owned(), word.to_owned()];
                made.cgroup = Some(folder);
            }
        }
        made
    }

    /// A command under it.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(self.scratch.path().join("refuse"));
        command.args(&self.words).arg(program);
        command
    }

    /// What is found under it.
    fn asked(&self, arguments: &[&str]) -> (i32, Value) {
        let mut command = self.command(&program());
        found(command.arg("port").args(arguments).args(["--format", "json"]))
    }

    /// What a server's bind and listen say under it: 0, or an error.
    pub fn real(&self, proto: &str, ip: &str, port: u16, option: &str) -> i32 {
        let mut command = self.command(&self.scratch.path().join("try"));
        let output = run(command.args([proto, ip, &port.to_string(), option]));
        output.stdout.trim().parse().unwrap_or_else(|_| panic!("{}", output.stderr))
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Some(folder) = &self.cgroup {
            wait_for("an empty cgroup", || fs::remove_dir(folder).ok());
        }
    }
}

/// Every verdict is this one, with this reason and error.
fn all_are(finding: &Value, expected: [&str; 3]) {
    for verdict in list(&finding["verdicts"]) {
        let said = ["can", "why", "error"].map(|name| verdict[name].as_str().unwrap_or_default());
        assert_eq!(said, expected, "{finding}");
    }
}

/// A program of the cgroup refuses, with whatever error: the one of bind is met before the port's owners are, the
/// one after bind by a real bind alone. EADDRINUSE may then be the word of a socket that is not listed, too.
fn refused_by_cgroup() {
    need(Need::Ipv6);
    let errors = [(EPERM, "EPERM"), (EADDRNOTAVAIL, "EADDRNOTAVAIL"), (EADDRINUSE, "EADDRINUSE")];
    let all = errors.iter().flat_map(|error| [(error, true), (error, false)]);
    for (&(errno, name), is_seen_at_once) in all {
        let hook = if is_seen_at_once { "bind" } else { "post-bind" };
        let policy = Policy::cgroup(hook, PORT, errno);
        let policy = policy.unwrap_or_else(|why| lacks(Need::CgroupPrograms, &why));
        let (status, finding) = policy.asked(&["3459"]);
        assert_eq!((status, has_case(&finding, "policy")), (0, is_seen_at_once), "{hook}");
        let is_like_a_socket = !is_seen_at_once && errno == EADDRINUSE;
        for proto in [&[][..], &["--udp"]] {
            let (status, finding) = policy.asked(&[&["3459", "--probe"], proto].concat());
            help(&finding, "find-policy");
            if is_like_a_socket {
                all_are(&finding, ["no", "unseen", name]);
                let answer = text(&finding["answer"]);
                assert!(
                    status == 1 && answer.contains("no socket that the kernel lists"),
                    "{answer}"
                );
                continue;
            }
            assert_eq!((status, &case(&finding, "policy")["error"]), (0, &name.into()));
            all_are(&finding, ["no", "policy", name]);
            assert!(text(&finding["answer"]).contains("a policy refuses it"), "{finding}");
        }
        for option in OPTIONS {
            assert_eq!(policy.real("tcp", "::", PORT, option), errno);
        }
        let (_, other) = policy.asked(&["3460", "--probe"]);
        all_are(&other, ["yes", "", ""]);
        all_are(&asked(&["3459", "--probe"]).1, ["yes", "", ""]);
    }
}

/// Landlock refuses port 0, which says nothing of the port that is asked for.
fn refused_by_landlock() {
    let policy = Policy::new(&["landlock", "3459"]);
    let policy = policy.unwrap_or_else(|why| lacks(Need::Landlock, &why));
    let (status, finding) = policy.asked(&["3459"]);
    assert_eq!(status, 0, "{finding}");
    all_are(&finding, ["unknown", "untested", "EACCES"]);
    assert_eq!(finding["unseen"][0]["unseen"], "test", "{finding}");
    assert!(!finding.to_string().contains("bound"), "this kernel lists every socket: {finding}");
    let (_, finding) = policy.asked(&["3459", "--probe"]);
    all_are(&finding, ["yes", "", ""]);
    assert_eq!(policy.real("tcp", "127.0.0.1", PORT, "none"), 0);
    let (_, finding) = policy.asked(&["3460", "--probe"]);
    all_are(&finding, ["no", "policy", "EACCES"]);
    assert!(!has_case(&finding, "privileged"), "root lacks no privilege: {finding}");
    assert_eq!(policy.real("tcp", "127.0.0.1", PORT + 1, "none"), EACCES);
    let _listener = listener("127.0.0.1");
    let (status, finding) = policy.asked(&["3459"]);
    assert_eq!((status, can(&finding, "127.0.0.1", "none")), (1, "no"), "a socket has it");
}

/// A filter refuses each bind, so that nothing can be tested; a real one is refused. An error of the address is
/// no error of a wildcard's.
fn refused_by_seccomp() {
    for (errno, name) in [(EACCES, "EACCES"), (EPERM, "EPERM"), (EADDRNOTAVAIL, "EADDRNOTAVAIL")] {
        let policy = Policy::new(&["seccomp", &errno.to_string()]);
        let policy = policy.unwrap_or_else(|why| lacks(Need::Seccomp, &why));
        let expected = match errno {
            EADDRNOTAVAIL => ["no", "policy", name],
            _ => ["unknown", "untested", name],
        };
        all_are(&policy.asked(&["3459"]).1, expected);
        let (_, finding) = policy.asked(&["3459", "--probe"]);
        all_are(&finding, ["no", "policy", name]);
        assert!(!has_case(&finding, "privileged"), "{finding}");
        assert_eq!(policy.real("tcp", "127.0.0.1", PORT, "none"), errno);
    }
}

/// The root of a user namespace has every capability, and none over a network namespace of its parent's:
/// both commands say that the port is privileged, and not that a policy refuses.
fn refused_in_user_namespace() {
    need(Need::UserNamespaces);
    need(Need::Tracing);
    let inside = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user"]).arg(program()).args(words);
        command
    };
    let (_, finding) = found(&mut inside(&["port", "80", "--format", "json"]));
    all_are(&finding, ["no", "privileged", "EACCES"]);
    let server = ["nc.openbsd", "-l", "127.0.0.1", "80"];
    let why = run(&mut inside(&[&["--lang", "en", "why", "--"], &server[..]].concat())).stderr;
    assert!(why.contains("needs CAP_NET_BIND_SERVICE"), "{why}");
}

/// What bind says of the address and the port.
fn try_bind(ip: &str) -> Result<(), Errno> {
    let address = local(ip);
    bind(&fresh(false, address.ip(), false, false, false)?, &address)
}

fn ip(words: &str) {
    let output = run(Command::new("ip").args(words.split(' ')));
    assert_eq!(output.stderr, "", "ip {words}");
}

/// An address that is there, and that bind refuses: duplicate address detection waits for a link that is up;
/// and one where it has failed, since the other end of the link has that address.
fn tentative() {
    need(Need::Ipv6);
    set_sysctl("net.ipv6.conf.default.accept_dad", 1);
    ip("link add one type veth peer name other");
    ip("link set one up");
    ip("address add 2001:db8::5/64 dev one");
    let check = |has_failed: bool| {
        assert_eq!(try_bind("2001:db8::5"), Err(Errno::ADDRNOTAVAIL));
        let (status, finding) = asked(&["[2001:db8::5]:3459"]);
        assert_eq!((status, &case(&finding, "tentative")["has_failed"]), (0, &has_failed.into()));
        assert_eq!(can(&finding, "2001:db8::5", "none"), "no");
        assert!(!has_case(&finding, "not-this-machine"), "{finding}");
        assert!(text(&help(&finding, "settle")["command"]).contains("ip -6 address"));
        assert!(text(&finding["answer"]).contains("EADDRNOTAVAIL"), "{finding}");
        let words = if has_failed { "has failed" } else { "still checking" };
        assert!(said(&["[2001:db8::5]:3459"]).1.contains(words));
    };
    check(false);
    ip("address add 2001:db8::5/64 dev other nodad");
    ip("link set other up");
    wait_for("a failed detection", || {
        let list = run(Command::new("ip").args(["-6", "address", "show", "dev", "one"])).stdout;
        list.contains("dadfailed").then_some(())
    });
    ip("address delete 2001:db8::5/64 dev other");
    check(true);
}

/// An address that is not there may be bound, if the namespace allows that.
fn nonlocal() {
    assert_eq!(can(&asked(&["192.0.2.1:3459"]).1, "192.0.2.1", "none"), "no");
    set_sysctl("net.ipv4.ip_nonlocal_bind", 1);
    let (status, finding) = asked(&["192.0.2.1:3459"]);
    assert_eq!((status, can(&finding, "192.0.2.1", "none")), (0, "yes"));
    assert_eq!(try_bind("192.0.2.1"), Ok(()));
}

/// Sockets on two interfaces never conflict: by the scope of a link-local address, and by SO_BINDTODEVICE.
fn devices() {
    need(Need::Ipv6);
    two_interfaces();
    let [one, other] = DEVICES;
    let of = |ip: &str, device: &str| match ip {
        "fe80::1" => format!("[{ip}%{device}]:3459"),
        _ => format!("{ip}%{device}:3459"),
    };
    let check = |is_udp: bool, ip: &str| {
        let udp = if is_udp { &["--udp"][..] } else { &[] };
        let ask = |device| asked(&[&[&*of(ip, device)], udp].concat());
        let (status, finding) = ask(one);
        assert_eq!((status, &only(&finding)["device"]), (1, &one.into()), "{finding}");
        assert_eq!(can(&finding, ip, "none"), "no", "{finding}");
        let (status, finding) = ask(other);
        assert_eq!(status, 0, "{finding}");
        for option in OPTIONS {
            assert_eq!(can(&finding, ip, option), "yes", "{finding}");
        }
        assert!(!finding.to_string().contains("kill "), "{finding}");
        let (status, told) = said(&[&["3459"], udp].concat());
        assert_eq!(status, 1);
        assert!(told.contains("on the interface one"), "{told}");
        assert!(told.contains("%one"), "{told}");
    };
    let scoped = |device| {
        let fd = fresh(false, link_local(), false, false, false).expect("it is a socket");
        bind(&fd, &address(link_local(), PORT, device)).map(|()| fd)
    };
    let there = scoped(one).expect("the port is free");
    listen(&there, 8).expect("it is bound");
    check(false, "fe80::1");
    assert_eq!(scoped(one).err(), Some(Errno::ADDRINUSE));
    scoped(other).expect("it is another interface");
    drop(there);
    for is_udp in [false, true] {
        let on = |device| bound_on(device, is_udp, local("0.0.0.0"), [false; 2]);
        let there = on(one).expect("the port is free");
        check(is_udp, "0.0.0.0");
        assert_eq!(on(one).err(), Some(nix::Error::EADDRINUSE));
        on(other).expect("it is another interface");
        let udp = if is_udp { &["3459", "--udp"][..] } else { &["3459"] };
        assert_eq!(can(&asked(udp).1, "127.0.0.1", "none"), "no", "a server without one conflicts");
        drop(there);
    }
}

/// A listener of MPTCP is its process's. What the kernel holds for MPTCP is nobody's: an endpoint, and what is
/// left of a connection.
fn mptcp() {
    need(Need::Mptcp);
    let socket = || {
        let protocol = Some(ipproto::MPTCP);
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, protocol)
    };
    let listener = socket().expect("it was there");
    bind(&listener, &local("127.0.0.1")).expect("the port is free");
    listen(&listener, 8).expect("it is bound");
    let (status, finding) = asked(&["3459"]);
    assert_eq!((status, &only(&finding)["reuseaddr"]), (1, &false.into()), "{finding}");
    assert_eq!(only(&finding)["processes"][0]["pid"], std::process::id(), "{finding}");
    let client = socket().expect("it was there");
    connect(&client, &local("127.0.0.1")).expect("it listens");
    let server = accept_with(&listener, SocketFlags::CLOEXEC).expect("it came");
    drop(listener);
    let (_, finding) = asked(&["3459"]);
    assert_eq!(only(&finding)["processes"][0]["pid"], std::process::id(), "{finding}");
    drop(server);
    let is_kernels = |port: &str| {
        wait_for("the kernel's socket", || {
            let (_, finding) = asked(&[port]);
            let is_it = has_case(&finding, "no-process");
            is_it.then(|| case(&finding, "no-process")["candidates"][0].clone())
        })
    };
    assert_eq!(is_kernels("3459")["what"], "mptcp");
    let endpoint = ["mptcp", "endpoint", "add", "127.0.0.1", "port", "3460", "signal"];
    let output = run(Command::new("ip").args(endpoint));
    assert_eq!(output.stderr, "");
    let candidate = is_kernels("3460");
    let shown = run(Command::new("sh").args(["-c", text(&candidate["command"])])).stdout;
    assert!(shown.contains("127.0.0.1 port 3460 "), "{shown}");
    drop(client);
}

/// The first thread of the process has ended: its other one has the listener, and ends by the advice.
fn leader_ended() {
    let scratch = Scratch::new();
    let server = Process::start(&mut Command::new(compiled(&scratch, "leader")));
    let pid = server.pid();
    wait_for("the end of its first thread", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        (stat.contains(") Z ") && states(PORT) == [10]).then_some(())
    });
    let (status, finding) = asked(&["3459"]);
    assert_eq!(status, 1);
    assert_eq!(only(&finding)["processes"][0]["pid"], pid.as_raw(), "{finding}");
    assert!(!has_case(&finding, "no-process"), "{finding}");
    let command = text(&help(&finding, "stop")["command"]);
    assert_eq!(run(Command::new("sh").args(["-c", command])).stderr, "");
    wait_for("a free port", || states(PORT).is_empty().then_some(()));
}
