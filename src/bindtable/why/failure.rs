//! A failed call, with all that the tracer knows of it.

use super::calls::{Address, Name};
use super::look;
use super::records::SocketOption;
use super::socket::Subject;
use crate::port::holders::numbers_of;
use crate::port::refusals::effective_capabilities;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;

/// A failed call, with all that the tracer knows of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The process, under its number here.
    pub pid: i32,
    /// The thread that called, and stands still.
    pub thread: i32,
    /// What ps(1) calls the process.
    pub name: String,
    /// Its number in a PID namespace of its own.
    pub pid_inside: Option<i32>,
    pub call: Name,
    /// The address of bind or connect.
    pub address: Option<Address>,
    /// How long the call said that it is, in bytes.
    pub address_length: u32,
    /// Its error: errno(3).
    pub errno: i32,
    pub subject: Subject,
    /// The binds of this port or path that were seen, the latest last.
    pub binds: Vec<Bind>,
    /// Another descriptor that has the option, which this one lacks.
    pub elsewhere: Option<(i32, SocketOption)>,
    /// The traced processes, each with its parent.
    pub parents: BTreeMap<i32, i32>,
    /// The traced processes that run.
    pub traced: Vec<i32>,
    /// Those that have executed a program since they were started.
    pub executed: Vec<i32>,
    /// The command's process.
    pub first: i32,
    /// Whether the reader's shell gets into the network namespace of its socket by its thread.
    pub is_elsewhere: bool,
}

/// A successful bind that was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bind {
    pub pid: i32,
    pub descriptor: i32,
    pub address: Address,
    pub milliseconds_ago: u64,
}

impl Failure {
    /// The error, as rustix has it.
    pub fn errno(&self) -> Errno {
        Errno::from_raw_os_error(self.errno)
    }

    /// The address of the call; of listen, the one that the socket is bound to.
    pub fn inet(&self) -> Option<SocketAddr> {
        match &self.address {
            Some(Address::Inet(address)) => Some(*address),
            Some(_) => None,
            None => self.subject.local,
        }
    }

    /// A command of what a network namespace has, for the reader's shell.
    pub fn there(&self, command: String) -> String {
        match self.is_elsewhere {
            true => format!("nsenter -t {} -n {command}", self.thread),
            false => command,
        }
    }

    /// Whether the traced process `pid` is `from`, or descends from it.
    pub fn comes_from(&self, pid: i32, from: i32) -> bool {
        let parents = std::iter::successors(Some(pid), |pid| self.parents.get(pid).copied());
        // A number may be another process's by now: then the way need not end.
        parents.take(self.parents.len() + 1).any(|pid| pid == from)
    }

    /// Whether a process has executed a program since `from` started it. Its stop may not have been seen yet,
    /// but then it mostly runs another program.
    pub fn has_executed(&self, pid: i32, from: i32) -> bool {
        let program = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let differ = program(pid).zip(program(from)).is_some_and(|(its, other)| its != other);
        differ || self.executed.contains(&pid)
    }

    /// What that process is to the one that failed, if both are traced.
    pub fn relation(&self, pid: i32) -> Option<Relation> {
        let parent = |pid: i32| self.parents.get(&pid).copied();
        if pid == self.pid {
            Some(Relation::Same)
        } else if !self.traced.contains(&pid) {
            None // the number may be another process's by now
        } else if parent(pid) == Some(self.pid) {
            Some(Relation::Child)
        } else if parent(self.pid) == Some(pid) {
            Some(Relation::Parent)
        } else if parent(pid).is_some() && parent(pid) == parent(self.pid) {
            Some(Relation::Sibling)
        } else if pid == self.first || parent(pid).is_some() {
            Some(Relation::Started)
        } else {
            None
        }
    }
}

/// What a process is to the one that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    Same,
    Child,
    Parent,
    Sibling,
    /// It was started by the same command.
    Started,
}

/// What ps(1) calls the process.
pub fn name_of(process: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    crate::printable::printable(&name)
}

/// The number of the process in the innermost PID namespace, if that is another.
pub fn pid_inside(process: i32) -> Option<i32> {
    numbers_of(process).pop().filter(|inside| *inside != process)
}

/// Whether the program that a process has just executed is setuid, or has capabilities, and got
/// neither: not where no_new_privs is set, nor where an ordinary user traces.
pub fn lost_privilege(process: i32) -> bool {
    let program = format!("/proc/{process}/exe");
    let Ok(file) = std::fs::metadata(&program) else { return false };
    const SETUID: u32 = 0o4000;
    if file.mode() & SETUID != 0 {
        let user = std::fs::metadata(format!("/proc/{process}/stat")).map(|stat| stat.uid());
        return user.is_ok_and(|user| user != file.uid());
    }
    look::file_has_capability(process) && effective_capabilities(&process.to_string()) == Some(0)
}
