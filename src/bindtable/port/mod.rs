//! `bindtable port`: who holds a port, whether a new server may bind it, and what would help.
//!
//! [`look`] asks the kernel for the sockets ([`sockets`]) and the processes that hold them
//! ([`holders`]), applies the kernel's rule to them ([`judge`]), names the puzzling cases ([`cases`])
//! and what helps ([`advice`]). What it does to the port stands in [`binds`], all of it. [`target`] is
//! the question, and [`finding`] the answer. [`print`] lays it out; every sentence that a reader sees is
//! in [`words`].

pub mod advice;
pub mod binds;
mod cases;
pub mod finding;
pub mod holders;
pub mod judge;
pub mod print;
mod refusals;
pub mod target;
pub mod words;

use crate::kernel::Proto;
use crate::sockets::{self, Listed};
use finding::{Finding, Socket, Status, Unseen, Verdict, Why};
use holders::Holders;
use std::collections::BTreeSet;
use std::path::Path;
use target::Question;
pub use target::Target;

/// Looks at the port; with `probe`, by real binds too.
///
/// # Errors
///
/// In words, where neither sock_diag nor `/proc/net` can be read.
pub fn look(target: Target, proto: Proto, probe: bool) -> Result<Finding, String> {
    let mut question = Question::new(target, proto, probe);
    let (sockets, mut unseen) = stable_listing(&question)?;
    if proto == Proto::Tcp && !binds::lists_bound()? {
        unseen.push(Unseen::Bound);
        question.probe = true; // nothing but bind finds such a socket
    }
    let mut finding = Finding {
        question,
        status: Status::Free,
        sockets,
        in_the_way: Vec::new(),
        verdicts: Vec::new(),
        cases: Vec::new(),
        help: Vec::new(),
        unseen,
    };
    finding.judge();
    if finding.question.probe {
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
    cases::recognise(&mut finding);
    advice::advise(&mut finding);
    Ok(finding)
}

/// The sockets, with the processes that hold them: looked at again until nothing has changed
/// meanwhile, a few times at most. And what could not be seen.
fn stable_listing(question: &Question) -> Result<(Vec<Socket>, Vec<Unseen>), String> {
    const TRIES: usize = 5;
    let mut refusal = None;
    let mut list = || -> Result<Vec<Listed>, String> {
        let (proto, port) = (question.proto, question.target.port);
        sockets::listed(proto, port, sockets::ALL).or_else(|error| {
            let sockets = sockets::in_proc("/proc/thread-self/net", proto, port);
            let sockets = sockets.map_err(|second| words::nothing_to_read(&error, &second))?;
            refusal = Some(error.to_string());
            Ok(sockets)
        })
    };
    let mut listed: Vec<Listed> = list()?;
    let (mut sockets, mut unreadable) = (Vec::new(), 0);
    for _ in 0..TRIES {
        let inodes: BTreeSet<u64> =
            listed.iter().map(|socket| socket.inode).filter(|inode| *inode != 0).collect();
        let holders = if inodes.is_empty() { Holders::default() } else { holders::find(&inodes) };
        sockets = listed.iter().map(|socket| Socket::new(socket, &holders)).collect();
        unreadable = holders.unreadable;
        let again = list()?;
        let key = |socket: &Listed| {
            (socket.cookie, socket.state, socket.local, socket.peer, socket.inode)
        };
        if again.iter().map(key).eq(listed.iter().map(key)) {
            break;
        }
        listed = again;
    }
    binds::learn_options(&mut sockets, question);
    let mut unseen: Vec<Unseen> =
        refusal.into_iter().map(|error| Unseen::SockDiag { error }).collect();
    unseen.extend(unseen_processes(&sockets, unreadable));
    Ok((sockets, unseen))
}

/// The processes that may hold one of the sockets, but were not to be read.
fn unseen_processes(sockets: &[Socket], unreadable: usize) -> Option<Unseen> {
    if !sockets.iter().any(|socket| socket.has_inode && socket.processes.is_empty()) {
        return None;
    }
    // In each PID namespace there is a process 1.
    let is_there = |process: &str| Path::new(process).exists();
    if is_there("/proc/self") && !is_there("/proc/1") {
        return Some(Unseen::Hidden);
    }
    (unreadable > 0).then_some(Unseen::Processes { count: unreadable })
}
