//! What the tests share: the programs built in every variant, a network namespace for each trial,
//! processes that do not outlive it, and waiting for a state in place of sleeping.

mod block;
mod built;
mod capture;
mod downloads;
mod keeper;
mod lack;
mod net;
mod process;
mod strace;
mod tools;
mod users;
mod variant;

pub use block::block;
pub use built::built;
pub use capture::Capture;
pub use keeper::{SCRATCH, Stage, keep, start};
pub use downloads::{
    boot, download, download_kernel, download_std, download_with, downloaded, std_source,
};
pub use lack::{Need, lacks, lacks_in, need, not_tried};
pub use net::{
    BROADCAST, Client, Listed, MULTICAST, PORT, Row, Sender, UNICAST, close_server_first,
    forbid_memberships, hold_port, hold_udp_port, in_namespace, return_to_first_network, rows,
    set_sysctl, sockets, state_name, time_wait_left, wait_for_exactly, wait_for_rows,
};
pub use process::{Output, Process, Stream, Terminal, own_descriptors, run, run_at_most, spawn};
pub use strace::{Observation, Place, Strace, is_blocked, state, stop};
pub use tools::find_tools;
pub use users::{AS_NOBODY, NOBODY, SharedFolder, has_two_users, unprivileged};
pub use variant::{
    Program, Runtime, Switches, Variant, bindtable, cargo, cargo_target, compile, share_programs,
};

use libtest_mimic::{Completion, Trial};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::utsname::uname;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The longest that any state is waited for; no trial comes near it on an idle machine. Within it no
/// TIME_WAIT ends by itself.
pub const LIMIT: Duration = Duration::from_secs(50);

/// Everything that must be there before the first trial: a namespace, the programs. From
/// here on this process is the parent of each descendant that has lost its own.
pub fn prepare() -> Result<(), String> {
    set_child_subreaper(true).map_err(|error| format!("PR_SET_CHILD_SUBREAPER: {error}"))?;
    variant::build_all()?; // before all networks are left: cargo may have to download
    net::prepare()
}

/// A trial that runs in a network namespace of its own. It counts as ignored if this system lacks what it needs.
pub fn trial(name: impl Into<String>, check: impl FnOnce() + Send + 'static) -> Trial {
    let name = name.into();
    Trial::ignorable_test(name.clone(), move || {
        Ok(match lack::try_all(&name, || in_namespace(check)) {
            None => Completion::Completed,
            Some(need) => Completion::ignored_with(format!("needs {need}")),
        })
    })
}

/// The version of this kernel: the first two numbers of its release (uname(2)).
pub fn kernel() -> (u16, u16) {
    let name = uname().expect("uname has room");
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let mut next =
        || numbers.next().and_then(Result::ok).expect("a release begins with two numbers");
    (next(), next())
}

/// Where `tool` is on the PATH.
pub fn which(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(tool)).find(|file| file.is_file())
}

/// A path as a shell takes it: the project may stand in a folder whose name has spaces.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// A file or folder of the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of the project.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Letters, digits and underscores that stand together.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Waits until `state` gives something. If it does not, panics with `what`, and with the trial's processes
/// and rows.
pub fn wait_for<T>(what: &str, state: impl FnMut() -> Option<T>) -> T {
    wait_at_most(LIMIT, what, String::new, state)
}

/// As `wait_for`, and panics with the `screen` too: what the processes have written by then.
pub fn wait_showing<T>(
    what: &str,
    screen: impl FnOnce() -> String,
    state: impl FnMut() -> Option<T>,
) -> T {
    wait_at_most(LIMIT, what, screen, state)
}

fn wait_at_most<T>(
    limit: Duration,
    what: &str,
    screen: impl FnOnce() -> String,
    mut state: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = state() {
            return value;
        }
        if start.elapsed() >= limit {
            let (screen, processes, rows) = (screen(), process::listed(), net::listed());
            panic!("waited {limit:?} for {what}\n{screen}\n{processes}{rows}");
        }
        // Between two looks: what takes long is looked at less often, and seen at most 5 % later.
        let pause = start.elapsed() / 20;
        std::thread::sleep(pause.clamp(Duration::from_millis(1), Duration::from_millis(50)));
    }
}

/// How many things the trials have compared, and how many were not as they must be.
pub struct Tally {
    compared: AtomicU32,
    different: AtomicU32,
}

impl Tally {
    /// Nothing compared yet.
    pub const fn new() -> Self {
        Self { compared: AtomicU32::new(0), different: AtomicU32::new(0) }
    }

    /// Counts one, and fails where it is not as it must be.
    pub fn count(&self, result: Result<(), String>) {
        self.compared.fetch_add(1, Ordering::Relaxed);
        if let Err(difference) = result {
            self.different.fetch_add(1, Ordering::Relaxed);
            panic!("{difference}");
        }
    }

    /// The line for the end of the run, with `what` as the name of the things; none if nothing was compared.
    pub fn summary(&self, what: &str) -> Option<String> {
        let compared = self.compared.load(Ordering::Relaxed);
        let different = self.different.load(Ordering::Relaxed);
        (compared > 0)
            .then(|| format!("{compared} {what} compared, {different} unexplained differences"))
    }
}

/// An empty folder, removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder, among the files of this run.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("scratch-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(&std::env::var_os(SCRATCH).expect("the keeper has set it")).join(name);
        std::fs::create_dir(&path).expect("the target folder is writable");
        Self(path)
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
