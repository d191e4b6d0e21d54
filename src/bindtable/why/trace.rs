//! The tracer: a loop around wait(2), which stops at the hooked calls alone.

use super::calls::{Address, Call, Name, read};
use super::failure::{self, Failure};
use super::raw::{self, Resume};
use super::records::{Records, Refused, SocketOption};
use super::sink::Sink;
use super::socket::{Protocol, Subject, inode, sockets_of};
use super::{Format, launch, namespace, print, words};
use crate::port::refusals::{CAP_SYS_ADMIN, has_capability};
use crate::port::holders::{numbers, status_field};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::ptrace;
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, wait};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// What may be explained. Not ERESTARTSYS and its kin, of a call that a signal has interrupted: no program
/// sees them.
const EXPLAINED: [Errno; 5] =
    [Errno::ADDRINUSE, Errno::ADDRNOTAVAIL, Errno::ACCESS, Errno::PERM, Errno::INVAL];

/// How many calls of a thread stop after its bind has failed: one of them may be the setsockopt that
/// should have come before.
const CALLS_AFTER: u8 = 64;

/// How many other descriptors are looked at, for the option that the failed one lacks.
const OTHERS: usize = 64;

/// How long a stopped program waits for a reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long is waited between two looks whether a pipe can be closed, in milliseconds.
const FIRST_PAUSE: u16 = 10;
const LAST_PAUSE: u16 = 10_000;

/// Failures that look the same are explained once: the process, the call, listen's descriptor, the address, the
/// error, and of the socket its protocol, SO_REUSEADDR, SO_REUSEPORT, IPV6_V6ONLY and IP_LOCAL_PORT_RANGE.
type Key = (i32, Name, i32, Option<Address>, i32, (Protocol, [Option<bool>; 3], Option<[u16; 2]>));

/// How often the same failure is looked at in any case, and how long is waited then between two looks.
const LOOKS: u8 = 8;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// How many of them are kept.
const MOST_EXPLAINED: usize = 4096;

/// A failure that was explained, and may come again.
struct Explained {
    /// The first line of the explanation.
    headline: String,
    /// What the explanation rests on.
    gist: String,
    /// How often it has come again.
    count: usize,
    /// How often it was looked at, and when last.
    looks: u8,
    at: Instant,
}

impl Explained {
    /// Whether another look may find another reason, and costs the program little.
    fn is_due(&self) -> bool {
        self.looks < LOOKS || self.at.elapsed() >= BETWEEN_LOOKS
    }
}

/// A traced thread.
struct Thread {
    process: i32,
    /// The hooked call that it is in.
    call: Option<Call>,
    /// How many of its next calls stop, whatever they are.
    calls_left: u8,
}

impl Thread {
    const fn new(process: i32) -> Self {
        Self { process, call: None, calls_left: 0 }
    }
}

/// The tracer, and what it remembers.
pub struct Tracer {
    threads: HashMap<i32, Thread>,
    records: Records,
    explained: BTreeMap<Key, Explained>,
    sink: Sink,
    /// How many texts nobody has taken, since one was.
    lost: usize,
    format: Format,
    /// How a thread goes on between the hooked calls.
    between: Resume,
    /// Whether the process ran before: whoever asked ends this one by a signal.
    has_attached: bool,
    /// Whether this has CAP_SYS_ADMIN, without which the filter needs no_new_privs: seccomp(2).
    is_privileged: bool,
    /// The processes that have executed a program since they were started.
    executed: BTreeSet<i32>,
    /// The command's process.
    first: i32,
    /// The command has ended, others go on, and somebody may read the explanations from a pipe.
    has_reader: bool,
}

impl Tracer {
    /// One that has attached itself to the process `first`, which has the filter, or will have it.
    pub fn new(first: i32, sink: Sink, format: Format) -> Self {
        Self {
            threads: HashMap::from([(first, Thread::new(first))]),
            records: Records::default(),
            explained: BTreeMap::new(),
            sink,
            lost: 0,
            format,
            between: Resume::Continue,
            has_attached: false,
            is_privileged: has_capability("thread-self", CAP_SYS_ADMIN),
            executed: BTreeSet::new(),
            first,
            has_reader: false,
        }
    }

    /// One that attaches itself to each thread of a process that runs: without a filter, so that
    /// each system call stops. It fails as ptrace(2) does; ESRCH: no such process.
    pub fn of_running(first: i32, sink: Sink, format: Format) -> Result<Self, Errno> {
        let first = number_of(first, "Tgid:").ok_or(Errno::SRCH)?;
        let _ = nix::sys::prctl::set_name(c"bindtable-why"); // by which what it has stopped is known
        let mut tracer = Self::new(first, sink, format);
        tracer.threads.clear();
        (tracer.between, tracer.has_attached) = (Resume::ToCall, true);
        loop {
            // Again, until no thread has started meanwhile.
            let threads = numbers(&format!("/proc/{first}/task")).map_err(|_| Errno::SRCH)?;
            // A first thread that has ended stays as long as the others.
            let is_new = |id: &i32| !tracer.threads.contains_key(id) && !has_ended(first, *id);
            let new: Vec<i32> = threads.filter(is_new).collect();
            if new.is_empty() {
                break;
            }
            for thread in new {
                let id = unistd::Pid::from_raw(thread);
                let seized =
                    ptrace::seize(id, launch::options()).and_then(|()| ptrace::interrupt(id));
                match seized {
                    // Another thread has started it, and it is traced already; or it has ended.
                    Err(nix::Error::EPERM | nix::Error::ESRCH) if !tracer.threads.is_empty() => {}
                    Err(errno) => return Err(Errno::from_raw_os_error(errno as i32)),
                    Ok(()) => {}
                }
                tracer.threads.insert(thread, Thread::new(first));
            }
        }
        if tracer.threads.is_empty() { Err(Errno::SRCH) } else { Ok(tracer) }
    }

    /// Follows the processes to the end of the last one; those that ran before, until a signal ends this one.
    pub fn run(mut self) {
        let any = WaitOptions::from_bits_retain(libc::__WALL.cast_unsigned());
        raw::hear_children();
        let signals = self.signals();
        let received = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK).ok();
        if received.is_some() {
            let _ = signals.thread_block();
        }
        let (mut pause, mut ended_by) = (FIRST_PAUSE, None);
        while ended_by.is_none() && !(self.has_attached && self.threads.is_empty()) {
            // A reader waits for the end of the pipe: then this waits with a limit.
            let looks_up = self.has_reader || (self.has_attached && received.is_some());
            let nobody = if looks_up { WaitOptions::NOHANG } else { WaitOptions::empty() };
            match wait(any | nobody) {
                Ok(Some(first)) => {
                    // wait finds the first that has stopped: each gets its turn, before one gets another.
                    let mut stops = vec![first];
                    while self.threads.len() > 1
                        && let Ok(Some(more)) = wait(any | WaitOptions::NOHANG)
                    {
                        // execve of another thread takes the number of a first thread that has stopped.
                        stops.retain(|(thread, _)| *thread != more.0);
                        stops.push(more);
                    }
                    for (thread, status) in stops {
                        self.changed(thread.as_raw_nonzero().get(), status.as_raw());
                    }
                }
                Ok(None) => {
                    let mut polled: Vec<PollFd> = received
                        .iter()
                        .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN))
                        .collect();
                    let limit = match self.has_reader {
                        true => PollTimeout::from(pause),
                        false => PollTimeout::NONE,
                    };
                    if poll(&mut polled, limit) == Ok(0) {
                        self.leave_reader();
                        pause = pause.saturating_mul(2).min(LAST_PAUSE);
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break, // ECHILD: nobody is left
            }
            // In each turn: a thread may always have stopped.
            if looks_up && let Some(Ok(Some(signal))) = received.as_ref().map(SignalFd::read_signal)
            {
                let signal = Signal::try_from(signal.ssi_signo as i32).ok();
                ended_by = signal.filter(|signal| *signal != Signal::SIGCHLD);
            }
        }
        self.say_again(|_| true);
        if let Some(signal) = ended_by {
            let _ = signals.thread_unblock();
            let _ = raise(signal);
        }
    }

    /// What tells of traced threads; and what ends this process, if it has attached itself to one that ran before.
    fn signals(&self) -> SigSet {
        let mut signals = SigSet::from(Signal::SIGCHLD);
        if self.has_attached {
            // A blocked signal is not ignored, but this one was to ignore it: nohup(1).
            let ignored = status_field("thread-self", "SigIgn:");
            let ignored = ignored.and_then(|set| u64::from_str_radix(&set, 16).ok()).unwrap_or(0);
            let ends = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];
            signals.extend(ends.into_iter().filter(|it| ignored & (1 << (*it as i32 - 1)) == 0));
        }
        signals
    }

    /// A thread has ended, or has stopped. `status` is raw: a signal in it may be a real-time one.
    fn changed(&mut self, thread: i32, status: i32) {
        if status & 0xff != 0x7f {
            self.ended(thread);
            return;
        }
        let (signal, event) = (status >> 8 & 0xff, status >> 16);
        // It may stop before its parent's stop says that it has started it.
        self.threads.entry(thread).or_insert_with(|| Thread::new(process_of(thread)));
        let (how, signal) = match event {
            libc::PTRACE_EVENT_SECCOMP => (self.entered(thread), 0),
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                self.forked(thread, event == libc::PTRACE_EVENT_CLONE);
                (self.between(thread), 0)
            }
            libc::PTRACE_EVENT_EXEC => {
                self.executed(thread);
                (self.between(thread), 0)
            }
            libc::PTRACE_EVENT_STOP => match signal {
                libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => {
                    (Resume::Listen, 0)
                }
                _ => (self.between(thread), 0), // the first stop of a new thread, or SIGCONT
            },
            0 if signal == libc::SIGTRAP | 0x80 => (self.at_call(thread), 0),
            0 => (self.between(thread), signal),
            _ => (self.between(thread), 0),
        };
        // ESRCH: it has been killed meanwhile, and its end will be seen.
        let _ = raw::resume(thread, how, signal);
    }

    /// How a thread goes on that is in no hooked call.
    fn between(&self, thread: i32) -> Resume {
        match self.threads.get(&thread) {
            Some(Thread { calls_left: 1.., .. }) => Resume::ToCall,
            _ => self.between,
        }
    }

    /// The stop of a call without a filter, or the exit of a hooked one.
    fn at_call(&mut self, thread: i32) -> Resume {
        const EXIT: u64 = 2;
        let Ok(info) = raw::syscall_info(thread) else { return self.between(thread) };
        if info[0] & 0xff != EXIT {
            return self.entered(thread);
        }
        let its = self.threads.get_mut(&thread);
        let call = its.and_then(|its| {
            its.calls_left = its.calls_left.saturating_sub(1);
            its.call.take()
        });
        if let Some(call) = call {
            let value = info[3].cast_signed();
            let is_error = info[4] & 0xff != 0;
            let errno = i32::try_from(-value).unwrap_or(0);
            let result = if is_error { Err(Errno::from_raw_os_error(errno)) } else { Ok(value) };
            self.returned(thread, call, result);
        }
        self.between(thread)
    }

    /// Keeps the call that the thread enters, if it is a hooked one.
    fn entered(&mut self, thread: i32) -> Resume {
        let call = raw::syscall_info(thread).ok().and_then(|info| {
            let arch = (info[0] >> 32) as u32;
            Call::new(thread, arch, info[3], info[4..10].try_into().ok()?)
        });
        // setsockopt of SO_REUSEADDR and SO_REUSEPORT fails for no valid socket: its exit need not stop.
        let is_sure = |call: &Call| {
            let option = SocketOption::new(call.number(1), call.number(2));
            call.name == Name::SetSockOpt && option != Some(SocketOption::V6Only)
        };
        if let Some(call) = call.filter(is_sure) {
            self.returned(thread, call, Ok(0));
            return self.between(thread);
        }
        let how = if call.is_some() { Resume::ToCall } else { self.between(thread) };
        if let Some(its) = self.threads.get_mut(&thread) {
            its.call = call;
        }
        how
    }

    /// A hooked call has returned, and the thread stands still.
    fn returned(&mut self, thread: i32, call: Call, result: Result<i64, Errno>) {
        let process = self.threads[&thread].process;
        let descriptor = call.descriptor();
        match (call.name, result) {
            (Name::Socket, Ok(made)) => {
                let kind = [call.number(0), call.number(1), call.number(2)];
                self.records.made_socket(process, made as i32, kind);
            }
            (Name::SetSockOpt, Ok(_)) => {
                let option = SocketOption::new(call.number(1), call.number(2));
                let value = (call.number(4) >= 4).then(|| read(thread, call.args[3], 4)).flatten();
                let value =
                    value.and_then(|bytes| Some(i32::from_ne_bytes(bytes.try_into().ok()?)));
                if let (Some(option), Some(value)) = (option, value) {
                    self.records.set_option(process, descriptor, option, value != 0);
                    if value != 0 {
                        self.set_late(process, descriptor, option);
                    }
                }
            }
            (Name::Bind, Ok(_)) => {
                let address = call.address(thread);
                self.say_again(|key| {
                    (key.0, key.1) == (process, Name::Bind) && key.3.as_ref() == Some(&address)
                });
                self.records.bound(process, descriptor, address);
            }
            (Name::Bind | Name::Listen | Name::Connect, Err(errno))
                if EXPLAINED.contains(&errno) =>
            {
                self.failed(thread, process, call, errno);
            }
            (Name::Ptrace, Err(Errno::PERM)) if self.is_ours(process, &call) => {
                let note = words::second_tracer(&failure::name_of(process), process);
                self.note(process, "second-tracer", &note);
            }
            _ => {}
        }
    }

    /// Whether a ptrace(2) is of a process that is traced: of itself, or of another. Numbers of another PID
    /// namespace tell nothing.
    fn is_ours(&self, process: i32, call: &Call) -> bool {
        call.number(0) == libc::PTRACE_TRACEME as i32
            || self.threads.contains_key(&call.number(1))
            || failure::pid_inside(process).is_some()
    }

    /// Explains the failed call, while its thread stands still.
    fn failed(&mut self, thread: i32, process: i32, call: Call, errno: Errno) {
        let address = (call.name != Name::Listen).then(|| call.address(thread));
        let descriptor = call.descriptor();
        if call.name == Name::Bind
            && errno == Errno::ADDRINUSE
            && let Some(its) = self.threads.get_mut(&thread)
        {
            its.calls_left = CALLS_AFTER;
        }
        let of_listen = if call.name == Name::Listen { descriptor } else { -1 };
        // Its parent's stop may not have been seen yet.
        if !self.records.parents.contains_key(&process)
            && let Some(parent) = number_of(process, "PPid:")
            && self.threads.contains_key(&parent)
        {
            self.records.forked(parent, process);
        }
        let subject = Subject::new(process, thread, descriptor, &self.records);
        let options = [subject.reuseaddr, subject.reuseport, subject.ipv6_only];
        let traits = (subject.protocol, options, subject.port_range);
        let number = errno.raw_os_error();
        let key: Key = (process, call.name, of_listen, address.clone(), number, traits);
        if let Some(explained) = self.explained.get_mut(&key)
            && !explained.is_due()
        {
            explained.count += 1;
            return;
        }
        let failure = self.failure(thread, process, call, errno, address, subject);
        let report = namespace::report(&failure, self.format);
        let mut looks = 1;
        if let Some(explained) = self.explained.get_mut(&key) {
            looks = explained.looks.saturating_add(1);
            if explained.gist == report.gist {
                (explained.looks, explained.at) = (looks, Instant::now());
                explained.count += 1;
                return;
            }
            self.say_again(|its| *its == key);
        }
        let (headline, gist) = (report.headline, report.gist);
        if self.explained.len() >= MOST_EXPLAINED {
            let first = self.explained.keys().next().cloned();
            self.say_again(|key| Some(key) == first.as_ref());
        }
        let explained = Explained { headline, gist, count: 0, looks, at: Instant::now() };
        self.explained.insert(key, explained);
        if call.name == Name::Bind && errno == Errno::ADDRINUSE {
            self.records.refused(Refused {
                process,
                descriptor,
                inode: failure.subject.inode,
                helps: report.helps,
            });
        }
        self.write(&report.text);
    }

    /// All that is known of the failed call.
    fn failure(
        &self,
        thread: i32,
        process: i32,
        call: Call,
        errno: Errno,
        address: Option<Address>,
        subject: Subject,
    ) -> Failure {
        let place = address.clone().or(subject.local.map(Address::Inet));
        Failure {
            pid: process,
            thread,
            name: failure::name_of(process),
            pid_inside: failure::pid_inside(process),
            call: call.name,
            address,
            address_length: (call.args[2] & 0xffff_ffff) as u32,
            errno: errno.raw_os_error(),
            binds: place.map_or(Vec::new(), |place| self.binds(&place)),
            elsewhere: self.option_elsewhere(process, &subject, call.name),
            subject,
            parents: self.records.parents.clone(),
            traced: self.threads.values().map(|thread| thread.process).collect(),
            executed: self.executed.iter().copied().collect(),
            first: self.first,
            is_elsewhere: false,
        }
    }

    /// The binds of that place by traced processes.
    fn binds(&self, place: &Address) -> Vec<failure::Bind> {
        let now = Instant::now();
        let binds = self.records.binds(place).map(|bound| failure::Bind {
            pid: bound.process,
            descriptor: bound.descriptor,
            address: bound.address.clone(),
            milliseconds_ago: now.saturating_duration_since(bound.at).as_millis() as u64,
        });
        binds.collect()
    }

    /// Another descriptor of this process that has SO_REUSEADDR or SO_REUSEPORT, where this socket
    /// lacks it. Only a socket that is still open there, has it, and is not bound: Java sets one on a
    /// socket that it makes to see whether the option exists.
    fn option_elsewhere(
        &self,
        process: i32,
        subject: &Subject,
        call: Name,
    ) -> Option<(i32, SocketOption)> {
        let mut lacked = vec![SocketOption::ReuseAddr, SocketOption::ReusePort];
        lacked.retain(|option| subject.has(*option) == Some(false));
        if call != Name::Bind || lacked.is_empty() {
            return None;
        }
        let mut others = sockets_of(process);
        others.sort_unstable_by_key(|other| other.abs_diff(subject.descriptor));
        let others = others.into_iter().take(OTHERS);
        let others = others.map(|other| Subject::new(process, process, other, &self.records));
        let others: Vec<Subject> = others
            .filter(|other| {
                other.inode != 0
                    && other.inode != subject.inode
                    && other.protocol == subject.protocol
                    && other.local.is_none()
            })
            .collect();
        lacked.into_iter().find_map(|option| {
            let other = others.iter().find(|other| other.has(option) == Some(true));
            other.map(|other| (other.descriptor, option))
        })
    }

    /// The option comes after the bind that it was for.
    fn set_late(&mut self, process: i32, descriptor: i32, option: SocketOption) {
        let at = match option {
            SocketOption::ReuseAddr => 0,
            SocketOption::ReusePort => 1,
            SocketOption::V6Only => return,
        };
        let Some(refused) = self.records.take_refused(process, descriptor) else { return };
        if refused.inode != 0 && inode(process, descriptor) == Some(refused.inode) {
            let name = failure::name_of(process);
            let note = words::late_option(&name, process, descriptor, option, refused.helps[at]);
            self.note(process, "option-after-bind", &note);
        }
    }

    /// One line beside the explanations.
    fn note(&mut self, process: i32, event: &str, text: &str) {
        let text = print::note(self.format, event, process, text);
        self.write(&text);
    }

    /// Writes the text. A reader that has left one waiting for too long gets no second wait: what it
    /// then has no room for is lost, too.
    fn write(&mut self, text: &str) {
        if self.lost > 0 {
            let lost = print::note(self.format, "lost", self.first, &words::lost(self.lost));
            if self.sink.write(&lost, Duration::ZERO) {
                self.lost = 0;
            }
        }
        if self.lost > 0 || !self.sink.write(text, PATIENCE) {
            self.lost += 1;
        }
    }

    /// Says how often those failures have come again.
    fn say_again(&mut self, is_wanted: impl Fn(&Key) -> bool) {
        if self.explained.is_empty() {
            return;
        }
        let keys: Vec<Key> = self.explained.keys().filter(|key| is_wanted(key)).cloned().collect();
        for key in keys {
            if let Some(Explained { count: count @ 1.., headline, .. }) =
                self.explained.remove(&key)
            {
                let text = print::again(self.format, key.0, &headline, count);
                self.write(&text);
            }
        }
    }

    fn ended(&mut self, thread: i32) {
        let Some(its) = self.threads.remove(&thread) else { return };
        if its.process == thread {
            self.say_again(|key| key.0 == thread);
            self.records.ended(thread);
            self.executed.remove(&thread);
            if thread == self.first {
                self.has_reader = true;
                self.leave_reader();
            }
        }
    }

    /// The command has ended, and a daemon of it runs on. Who reads the command's standard error from
    /// a pipe or a socket waits for its end: it has to come, unless a process that is left has that, too.
    fn leave_reader(&mut self) {
        let pipe = self.sink.descriptor.as_ref().and_then(|sink| nix::sys::stat::fstat(sink).ok());
        let kind = pipe.map_or(0, |file| file.st_mode & libc::S_IFMT);
        // Node makes sockets. The journal's waits for no end: systemd.exec(5).
        let journal = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        let link = match (pipe, kind) {
            (Some(pipe), libc::S_IFIFO) => format!("pipe:[{}]", pipe.st_ino),
            (Some(pipe), libc::S_IFSOCK)
                if journal != format!("{}:{}", pipe.st_dev, pipe.st_ino) =>
            {
                format!("socket:[{}]", pipe.st_ino)
            }
            _ => {
                self.has_reader = false;
                return;
            }
        };
        let has_it = |process: i32| {
            let listed = std::fs::read_dir(format!("/proc/{process}/fd"));
            let mut listed = listed.into_iter().flatten().filter_map(Result::ok);
            listed.any(|file| {
                std::fs::read_link(file.path()).is_ok_and(|its| its.as_os_str() == &*link)
            })
        };
        if !self.threads.values().any(|thread| has_it(thread.process)) {
            self.sink.close();
            self.has_reader = false;
        }
    }

    /// A thread has started a process, or, if that may be, another thread.
    fn forked(&mut self, thread: i32, may_be_thread: bool) {
        let Ok(child) = ptrace::getevent(unistd::Pid::from_raw(thread)) else { return };
        let (child, parent) = (child as i32, self.threads[&thread].process);
        let its = self.threads.entry(child).or_insert_with(|| {
            Thread::new(if may_be_thread && !is_process(child) { parent } else { child })
        });
        if its.process == child {
            self.records.forked(parent, child);
        }
    }

    /// Of a process with several threads, the one that calls execve takes the place of the first.
    fn executed(&mut self, thread: i32) {
        if let Ok(before) = ptrace::getevent(unistd::Pid::from_raw(thread))
            && before as i32 != thread
        {
            self.threads.remove(&(before as i32));
        }
        self.threads.insert(thread, Thread::new(thread));
        self.executed.insert(thread);
        if !self.is_privileged && failure::lost_privilege(thread) {
            let note = words::lost_privilege(&failure::name_of(thread), thread);
            self.note(thread, "no-privilege", &note);
        }
    }
}

/// Whether it is a process, and not a thread of one: pidfd_open(2) takes no other.
fn is_process(id: i32) -> bool {
    Pid::from_raw(id).is_some_and(|pid| pidfd_open(pid, PidfdFlags::empty()).is_ok())
}

/// The process of a thread.
fn process_of(thread: i32) -> i32 {
    if is_process(thread) { thread } else { number_of(thread, "Tgid:").unwrap_or(thread) }
}

/// Whether the thread has ended: a zombie, or gone.
fn has_ended(process: i32, thread: i32) -> bool {
    let state = status_field(&format!("{process}/task/{thread}"), "State:");
    state.is_none_or(|state| state.starts_with(['Z', 'X']))
}

/// A number of `/proc/THREAD/status`.
fn number_of(thread: i32, name: &str) -> Option<i32> {
    status_field(&thread.to_string(), name)?.parse().ok()
}
