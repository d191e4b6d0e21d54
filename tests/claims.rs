//! The claims of the article's sources. Each has a trial of its name, which runs the programs.

use crate::harness::{
    self, AS_NOBODY, BROADCAST, MULTICAST, Process, Program, Runtime, Sender, Switches, UNICAST,
    Variant, has_two_users, in_namespace, is_blocked, wait_for,
};
use crate::outcomes::{EXPERIMENTS, PAIRS, listens};
use libtest_mimic::Trial;
use nix::libc::SYS_recvfrom;
use std::net::Ipv4Addr;
use std::process::Command;

/// The name of a claim, and the check of it on a runtime.
type Claim = (&'static str, fn(Runtime));

const CLAIMS: [Claim; 6] = [
    ("tcp_restart_on_the_same_address", tcp_restart_on_the_same_address),
    ("tcp_needed_for_time_wait", tcp_needed_for_time_wait),
    ("udp_several_bind_one_port", udp_several_bind_one_port),
    ("udp_multicast_or_broadcast_reaches_all", udp_multicast_or_broadcast_reaches_all),
    ("udp_group_reaches_its_members", udp_group_reaches_its_members),
    ("data_is_intercepted", data_is_intercepted),
];

pub fn trials() -> Vec<Trial> {
    let each = CLAIMS.into_iter().flat_map(|claim| Runtime::ALL.map(|runtime| (claim, runtime)));
    each.map(|((name, check), runtime)| {
        harness::trial(format!("claim_{name}_{}", runtime.name()), move || check(runtime))
    })
    .collect()
}

/// True if both servers set the option.
fn tcp_restart_on_the_same_address(runtime: Runtime) {
    assert!(listens(EXPERIMENTS[0], runtime, true, true));
}

/// True: without the option the TIME_WAIT keeps the new server out.
fn tcp_needed_for_time_wait(runtime: Runtime) {
    assert!(!listens(EXPERIMENTS[0], runtime, false, false));
}

fn command(runtime: Runtime, reuseaddr: bool) -> Command {
    let switches = Switches { reuseaddr, close_listener: false };
    Variant::new(Program::Ureuseaddr, runtime).with(switches).command()
}

/// Starts a receiver and waits until it waits for datagrams. Returns none if it could not bind; it has
/// then printed the error.
fn started(command: &mut Command) -> Option<Process> {
    let mut receiver = Process::start_on_terminal(command);
    let pid = receiver.pid();
    let is_bound = wait_for("recvfrom or the end", || match receiver.ended() {
        Some(_) => Some(false),
        None => is_blocked(pid, SYS_recvfrom).then_some(true),
    });
    if !is_bound {
        assert_eq!(receiver.wait(), 255);
        receiver.stdout.wait_for("bind: : Address already in use\n");
    }
    is_bound.then_some(receiver)
}

fn receiver(runtime: Runtime) -> Process {
    started(&mut command(runtime, true)).expect("all have the option")
}

/// Which receivers get a datagram. A second datagram, to all of them, shows that the first is through.
fn who<const N: usize>(to: Ipv4Addr, receivers: [&Process; N]) -> [bool; N] {
    let sender = Sender::new();
    let text = format!("{}\n", fastrand::u64(..));
    sender.send(to, text.as_bytes());
    sender.send(MULTICAST, format!("after {text}").as_bytes());
    receivers.map(|receiver| {
        let line = |text: &str| format!("[{}] {}: {text}", receiver.pid(), Sender::PORT);
        receiver.stdout.wait_for(&line(&format!("after {text}")));
        receiver.stdout.text().contains(&line(&text))
    })
}

/// True if each sets the option before `bind`, and only then.
fn udp_several_bind_one_port(runtime: Runtime) {
    for (old, new) in PAIRS {
        in_namespace(|| {
            let _old = started(&mut command(runtime, old)).expect("the address is free");
            let is_in = started(&mut command(runtime, new)).is_some();
            assert_eq!(is_in, old && new, "old {old}, new {new}");
        });
    }
}

/// True.
fn udp_multicast_or_broadcast_reaches_all(runtime: Runtime) {
    let receivers = [0; 3].map(|_| receiver(runtime));
    for to in [MULTICAST, BROADCAST] {
        assert_eq!(who(to, receivers.each_ref()), [true; 3], "{to}");
    }
}

/// True for this group. A datagram to another group reaches no receiver.
fn udp_group_reaches_its_members(runtime: Runtime) {
    let receivers = [0; 2].map(|_| receiver(runtime));
    assert_eq!(who(MULTICAST, receivers.each_ref()), [true; 2]);
    let other = Ipv4Addr::new(239, 255, 34, 60);
    assert_eq!(who(other, receivers.each_ref()), [false; 2]);
}

/// True: the last receiver alone gets a unicast datagram until it ends, even if it is another user's.
/// The second part needs the right to become another user.
fn data_is_intercepted(runtime: Runtime) {
    let victim = receiver(runtime);
    assert_eq!(who(UNICAST, [&victim]), [true]);
    let thief = receiver(runtime);
    assert_eq!(who(UNICAST, [&victim, &thief]), [false, true]);
    drop(thief);
    assert_eq!(who(UNICAST, [&victim]), [true]);

    let switches = Switches { reuseaddr: true, close_listener: false };
    let path = Variant::new(Program::Ureuseaddr, runtime).with(switches).path();
    if has_two_users() {
        let mut nobody = Command::new(AS_NOBODY[0]);
        nobody.args(&AS_NOBODY[1..]).arg("./ureuseaddr");
        // The other user may not enter the folders above.
        nobody.current_dir(path.parent().expect("the program is in a folder"));
        let thief = started(&mut nobody).expect("UDP does not compare users");
        assert_eq!(who(UNICAST, [&victim, &thief]), [false, true]);
    } else {
        eprintln!("the theft by another user is not tried: this one may not become another");
    }
}
