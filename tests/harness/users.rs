//! Users: whether there are two, one without privileges, and what every user may run.

use super::run;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user and the group without privileges, nobody and nogroup.
pub const NOBODY: u32 = 65_534;

/// The start of a command that runs as that user: for root alone.
pub const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Whether this process may become that user: as the root of a machine, not of a namespace of one user.
pub fn has_two_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").expect("/proc is mounted");
    let has_nobody = |line: &str| {
        let mut numbers = line.split_whitespace().filter_map(|number| number.parse::<u32>().ok());
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        first.zip(count).is_some_and(|(first, count)| NOBODY.wrapping_sub(first) < count)
    };
    map.lines().any(has_nobody)
}

/// The command as another user than root, or where there is none as a user with a namespace's number.
pub fn unprivileged(command: &Command) -> Command {
    const AS_NUMBER: [&str; 4] = ["unshare", "--user", "--map-user=65534", "--map-group=65534"];
    let start = if has_two_users() { AS_NOBODY } else { AS_NUMBER };
    let mut unprivileged = Command::new(start[0]);
    unprivileged.args(&start[1..]).arg(command.get_program()).args(command.get_args());
    unprivileged
}

/// A folder that every user may enter, and whose programs every user may run, removed at the end. The
/// project's own folder may be in a home that nobody else may enter.
pub struct SharedFolder(PathBuf);

impl SharedFolder {
    /// Makes the folder, where programs may be run.
    pub fn new() -> Self {
        let places = ["/tmp", "/var/tmp", "/dev/shm"].map(Path::new);
        let runs_programs = |place: &&&Path| {
            statvfs(**place).is_ok_and(|it| !it.flags().contains(FsFlags::ST_NOEXEC))
        };
        let place = places.iter().find(runs_programs);
        let place = place.unwrap_or_else(|| panic!("{places:?}: no program may be run there"));
        let path = place.join(format!("treuseaddr-{:x}", fastrand::u64(..)));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
        Self(path)
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Copies a program into the folder, and gives the path of the copy.
    pub fn copy(&self, program: &Path) -> PathBuf {
        let copy = self.0.join(program.file_name().expect("it is a file"));
        // By another process: what one of this process has open for writing, a program that another
        // trial is just starting has too, and until it has started nobody may execute the copy.
        let output = run(Command::new("cp").arg(program).arg(&copy));
        assert!(output.status.success(), "{}", output.stderr);
        copy
    }
}

impl Drop for SharedFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
