//! The failed call of a Unix socket: at a path, or an abstract name.

use super::calls::{Address, Name};
use super::explain::{Explanation, Help, Reason};
use super::failure::Failure;
use super::look::{self, Stop};
use super::unix;
use crate::port::holders;
use crate::printable::Outside;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::fstatat;
use nix::unistd::{AccessFlags, access};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

impl Explanation<'_> {
    /// Any error of a Unix socket.
    pub fn of_unix(&mut self) {
        let failure = self.failure;
        match (failure.errno(), &failure.address) {
            (Errno::ADDRINUSE, Some(Address::Path(path))) => {
                self.of_path(Path::new(std::ffi::OsStr::from_bytes(path)));
            }
            (Errno::ADDRINUSE, _) => {
                self.in_the_way = look::unix_sockets(failure, None);
                self.reason = Some(Reason::NameTaken);
                if let Some(name) = self.in_the_way.first().and_then(|old| old.path.as_deref()) {
                    self.advise(look::stop_unix(failure, name, &self.in_the_way));
                }
            }
            (Errno::ACCESS, Some(Address::Path(path))) => {
                let is_folder = failure.call == Name::Bind;
                let path = inside(failure, Path::new(std::ffi::OsStr::from_bytes(path)));
                let path = if is_folder { path.parent().unwrap_or(&path) } else { &path };
                let path = path.to_string_lossy().into_owned();
                self.say(Reason::Permission { path, is_folder }, []);
            }
            (Errno::INVAL, _) if failure.address_length > SUN_LENGTH => {
                let (given, needed) = (failure.address_length, SUN_LENGTH);
                self.say(Reason::TooLong { given, needed }, [Help::ShorterPath]);
            }
            (Errno::INVAL, Some(Address::Path(_) | Address::Abstract(_)))
                if failure.call == Name::Bind =>
            {
                self.say(Reason::BoundAlready { local: None }, [Help::NewSocket]);
            }
            _ => {}
        }
    }

    /// EADDRINUSE of a path.
    fn of_path(&mut self, path: &Path) {
        let failure = self.failure;
        let file = open_there(failure, path, OFlag::O_NOFOLLOW);
        let kind = file.as_ref().and_then(|file| Some(file.metadata().ok()?.file_type()));
        match kind {
            Some(kind) if kind.is_symlink() => {
                // What it leads to is no loss, if it is not there, or nobody has it.
                let there = open_there(failure, path, OFlag::empty());
                let is_loss = there.is_some_and(|file| unix::is_bound(&file) != Some(false));
                let help = if is_loss { Help::OtherPath } else { remove(failure, path) };
                return self.say(Reason::PathIsLink, [help]);
            }
            Some(kind) if !kind.is_socket() => {
                return self.say(Reason::PathIsFile, [Help::OtherPath]);
            }
            _ => {}
        }
        let is_bound = file.as_ref().and_then(unix::is_bound);
        if is_bound != Some(false) {
            self.in_the_way = look::unix_sockets(failure, file.as_ref());
        }
        match is_bound.or((!self.in_the_way.is_empty()).then_some(true)) {
            None => self.say(Reason::PathUnknown, [Help::AsRoot]),
            Some(false) => {
                self.say(Reason::PathTaken { listens: false }, [remove(failure, path)]);
            }
            Some(true) => {
                self.reason = Some(Reason::PathTaken { listens: true });
                if self.in_the_way.is_empty() {
                    return self.help.push(Help::OtherPath);
                }
                // The path stays, unless the process removes it.
                let shown = shown(failure, path).filter(|(_, is_here)| *is_here);
                let here = shown.map(|(path, _)| Outside::from(path));
                let remove = here.as_ref().and_then(Outside::quoted);
                let remove = remove.map_or(String::new(), |path| format!(" && rm -f {path}"));
                let name = match &here {
                    Some(here) => here.raw().to_owned(),
                    None => inside(failure, path).to_string_lossy().into_owned(),
                };
                let stop = match look::stop_unix(failure, &name, &self.in_the_way) {
                    Some(Stop::Command { command, parent, above }) => {
                        Some(Stop::Command { command: command + &remove, parent, above })
                    }
                    stop => stop,
                };
                self.advise(stop);
            }
        }
    }
}

/// What removes a file that is in nobody's use.
fn remove(failure: &Failure, path: &Path) -> Help {
    match shown(failure, path) {
        Some((path, false)) => Help::UnlinkThere { path },
        None => Help::Unlink { path: None },
        Some((path, true)) => match may_remove(Path::new(&path)) {
            Ok(()) => Help::Unlink { path: Some(path) },
            Err(nix::Error::EROFS) => Help::OtherPath,
            Err(_) => Help::UnlinkAsRoot { path },
        },
    }
}

/// The size of `struct sockaddr_un`.
const SUN_LENGTH: u32 = 110;

/// A descriptor that only names the file which the process would find at that path, by its own root folder: O_PATH of
/// open(2). `last` is O_NOFOLLOW for a link itself.
fn open_there(failure: &Failure, path: &Path, last: OFlag) -> Option<File> {
    let thread = failure.thread;
    let open = |path: &Path, last: OFlag| {
        let flags = libc::O_PATH | last.bits();
        OpenOptions::new().read(true).custom_flags(flags).open(path).ok()
    };
    let open_here = |path: &Path| open(path, last);
    // Here these would be this process's own.
    let own = [("/proc/self", "."), ("/proc/thread-self", "."), ("/dev/fd", "fd")];
    let of_itself = own.into_iter().find_map(|(link, folder)| {
        Some(Path::new(&format!("/proc/{thread}/{folder}")).join(path.strip_prefix(link).ok()?))
    });
    let folder = match path.is_absolute() {
        true => Some(PathBuf::from("/")),
        false => holders::folder(thread),
    };
    match (of_itself, folder) {
        (Some(path), _) => open_here(&path),
        (None, Some(folder)) => {
            let root = PathBuf::from(format!("/proc/{thread}/root"));
            let path = folder.join(path);
            let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC | last);
            let how = how.resolve(ResolveFlag::RESOLVE_IN_ROOT);
            let opened =
                open(&root, OFlag::empty()).and_then(|root| openat2(&root, &path, how).ok());
            // Before Linux 5.6, or through a link as /proc/PID/fd/3.
            let outside = || open_here(&root.join(path.strip_prefix("/").unwrap_or(&path)));
            opened.map(File::from).or_else(outside)
        }
        (None, None) => open_here(&Path::new(&format!("/proc/{thread}/cwd")).join(path)),
    }
}

/// The same by an absolute name, for a process with the same root folder.
fn inside(failure: &Failure, path: &Path) -> PathBuf {
    let folder = std::fs::read_link(format!("/proc/{}/cwd", failure.thread));
    let path = folder.map_or_else(|_| path.to_owned(), |folder| folder.join(path));
    path.components().collect() // without `.`
}

/// Whether this process's user may unlink(2) the file: the folder may be another's, or sticky.
fn may_remove(file: &Path) -> nix::Result<()> {
    let folder = file.parent().unwrap_or(file);
    access(folder, AccessFlags::W_OK)?;
    let owner = |path: &Path| std::fs::symlink_metadata(path).map(|it| (it.uid(), it.mode()));
    let (Ok((of_folder, mode)), Ok((of_file, _))) = (owner(folder), owner(file)) else {
        return Ok(());
    };
    let own = geteuid().as_raw();
    match mode & libc::S_ISVTX != 0 && own != 0 && ![of_file, of_folder].contains(&own) {
        true => Err(nix::Error::EPERM),
        false => Ok(()),
    }
}

/// The same for a reader's shell, and whether that shell has the file under this name: a process may be in another
/// mount namespace. None, if it is no text.
fn shown(failure: &Failure, path: &Path) -> Option<(String, bool)> {
    let inside = inside(failure, path);
    let folder = path.parent().and_then(|parent| match parent == Path::new("") {
        true => open_there(failure, Path::new("."), OFlag::empty()),
        false => open_there(failure, parent, OFlag::empty()),
    });
    let there = folder.zip(path.file_name()).and_then(|(folder, name)| {
        let file = fstatat(&folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        // Of a process with another root folder, the name begins with that.
        let folder = std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd())).ok()?;
        Some((folder.join(name), (file.st_dev, file.st_ino)))
    });
    let outside = there.as_ref().map(|(path, _)| &**path);
    let is_it = |here: &&Path| {
        let file = std::fs::symlink_metadata(here).ok().map(|file| (file.dev(), file.ino()));
        file.is_some() && file == there.as_ref().map(|(_, file)| *file)
    };
    match [Some(&*inside), outside].into_iter().flatten().find(is_it) {
        Some(here) => Some((here.to_str()?.to_owned(), true)),
        None => Some((inside.to_str()?.to_owned(), false)),
    }
}
