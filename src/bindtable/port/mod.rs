//! `bindtable port`: who holds a port, whether a new server may bind it, and what would help.
//!
//! [`look`] asks the kernel for the sockets ([`sockets`]) and the processes that hold them
//! ([`holders`]), applies the kernel's rule to them ([`judge`]), names the puzzling cases ([`cases`])
//! and what helps ([`advice`], and [`supervisors`] for the servers that they start). [`beside`] has what
//! has the port elsewhere. What it does to the port stands in [`binds`], all of it. [`target`] is the
//! question, and [`finding`] the answer. [`print`] lays it out; every sentence that a reader sees is in
//! [`words`].

pub mod advice;
pub mod beside;
pub mod binds;
mod cases;
pub mod finding;
pub mod holders;
pub mod judge;
pub mod print;
pub mod range;
pub mod refusals;
mod supervisors;
pub mod target;
pub mod words;

use crate::kernel::Proto;
use crate::sockets::{self, Listed, State};
use beside::Beside;
use finding::{Finding, Socket, Status, Unseen, Verdict, Why};
use holders::{Holders, Trouble};
use std::collections::BTreeSet;
use std::path::Path;
use target::Question;
pub use target::Target;

/// Looks at the port; with `probe`, by real binds too. It fails where neither sock_diag(7) nor `/proc/net`
/// can be read.
pub fn look(target: Target, proto: Proto, probe: bool) -> Result<Finding, String> {
    let mut question = Question::new(target, proto, probe);
    let (mut sockets, mut unseen, beside) = stable_listing(&question)?;
    let is_clear = binds::learn_options(&mut sockets, &question);
    if proto == Proto::Tcp && !binds::lists_bound()? {
        unseen.push(Unseen::Bound);
        question.probe = true; // nothing but bind finds such a socket
    }
    let mut finding = Finding {
        question,
        status: Status::Free,
        sockets,
        is_clear,
        in_the_way: Vec::new(),
        verdicts: Vec::new(),
        cases: Vec::new(),
        help: Vec::new(),
        if_still: Vec::new(),
        unseen,
    };
    finding.judge();
    // Beside what no process has, the port is bound anyway: then what is not certain is asked, too.
    if finding.question.probe || finding.sockets.iter().any(Socket::is_nobodys) {
        binds::probe(&mut finding);
    }
    finding.in_the_way = finding.find_in_the_way();
    // With --probe, bind may have found what no list has.
    let asked = finding.question.target.ip;
    let is_refused = |verdict: &Verdict| {
        verdict.why == Some(Why::Unseen) && asked.is_none_or(|ip| ip == verdict.address)
    };
    if !finding.in_the_way.is_empty() || finding.verdicts.iter().any(is_refused) {
        finding.status = Status::InUse;
    }
    cases::recognise(&mut finding, beside);
    advice::advise(&mut finding);
    Ok(finding)
}

/// The sockets, with the processes that hold them: looked at again until nothing has changed
/// meanwhile, a few times at most. What could not be seen, and what has the port elsewhere: each
/// process is read once for all of it.
fn stable_listing(question: &Question) -> Result<(Vec<Socket>, Vec<Unseen>, Beside), String> {
    const TRIES: usize = 5;
    let mut refusal = None;
    let mut list = || -> Result<Vec<Listed>, String> {
        let (proto, port) = (question.proto, question.target.port);
        sockets::listed(proto, port, sockets::ALL).or_else(|error| {
            let sockets = sockets::in_proc("/proc/thread-self/net", proto, [port, 0]);
            let sockets = sockets.map_err(|second| words::nothing_to_read(&error, &second))?;
            refusal = Some(error.to_string());
            Ok(sockets)
        })
    };
    let mut listed: Vec<Listed> = list()?;
    let mut beside = Beside::find(question, &listed);
    let (mut sockets, mut holders) = (Vec::new(), Holders::default());
    for _ in 0..TRIES {
        let inodes: BTreeSet<u64> =
            listed.iter().map(|socket| socket.inode).filter(|inode| *inode != 0).collect();
        holders = holders::find(&inodes.iter().copied().chain(beside.inodes()).collect());
        if question.proto == Proto::Tcp && holders.trouble.is_none() {
            find_in_accept(&listed, &mut holders);
        }
        sockets = listed.iter().map(|socket| Socket::new(socket, &holders)).collect();
        if inodes.is_empty() {
            break; // no process was looked for, so the list is of one moment
        }
        let again = list()?;
        let key = |socket: &Listed| {
            (socket.cookie, socket.state, socket.local, socket.peer, socket.inode)
        };
        if again.iter().map(key).eq(listed.iter().map(key)) {
            break;
        }
        listed = again;
    }
    beside.name(&holders);
    let mut unseen: Vec<Unseen> =
        refusal.into_iter().map(|error| Unseen::SockDiag { error }).collect();
    unseen.extend(unseen_processes(&sockets, &holders));
    unseen.extend(unseen_options(&sockets, &holders));
    unseen.extend(beside.unseen());
    Ok((sockets, unseen, beside))
}

/// Looks for the process of a listener that no process has shown: a thread waits in accept on it, while
/// its descriptor is closed.
fn find_in_accept(listed: &[Listed], holders: &mut Holders) {
    let is_hidden = |socket: &&Listed| {
        socket.state == State::Listen
            && socket.inode != 0
            && !holders.of.contains_key(&socket.inode)
    };
    let hidden: Vec<u64> = listed.iter().filter(is_hidden).map(|socket| socket.inode).collect();
    if let [listener] = hidden[..]
        && let Some(holder) = holders::in_accept()
    {
        holders.of.insert(listener, vec![holder]);
    }
}

/// The processes that may hold one of the sockets, but were not to be read.
fn unseen_processes(sockets: &[Socket], holders: &Holders) -> Option<Unseen> {
    if !sockets.iter().any(|socket| socket.has_inode && socket.processes.is_empty()) {
        return None;
    }
    match &holders.trouble {
        Some(Trouble::Error(error)) => return Some(Unseen::Proc { error: error.clone() }),
        Some(Trouble::OtherNamespace) => return Some(Unseen::OtherPidNamespace),
        None => {}
    }
    // In each PID namespace there is a process 1.
    if !Path::new("/proc/1").exists() {
        return Some(Unseen::Hidden);
    }
    let count = holders.unreadable;
    (count > 0).then_some(Unseen::Processes { count })
}

/// Why the options of a socket are unknown, though its process was read.
fn unseen_options(sockets: &[Socket], holders: &Holders) -> Option<Unseen> {
    let is_unknown = |socket: &Socket| !socket.processes.is_empty() && socket.reuseaddr.is_none();
    let errno = holders.no_options.filter(|_| sockets.iter().any(is_unknown))?;
    Some(Unseen::Options { error: sockets::std_error(errno).to_string() })
}
