//! The failed call of a Unix socket: at a path, or an abstract name.

use super::calls::{Address, Name};
use super::explain::{Explanation, Help, Reason};
use super::failure::Failure;
use super::look::{self, Stop};
use super::unix;
use crate::printable::Outside;
use rustix::io::Errno;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl Explanation<'_> {
    /// Any error of a Unix socket.
    pub fn of_unix(&mut self) {
        let failure = self.failure;
        match (failure.errno(), &failure.address) {
            (Errno::ADDRINUSE, Some(Address::Path(path))) => {
                let file = path_of(failure, path);
                self.in_the_way = look::unix_sockets(failure, Some(&file));
                let is_socket = std::fs::metadata(&file).is_ok_and(|file| {
                    rustix::fs::FileType::from_raw_mode(file.mode()) == rustix::fs::FileType::Socket
                });
                let is_seen = !self.in_the_way.is_empty();
                let is_bound = if is_seen { Some(true) } else { unix::is_bound(&file) };
                self.of_path(shown(failure, path), is_socket, is_bound);
            }
            (Errno::ADDRINUSE, _) => {
                self.in_the_way = look::unix_sockets(failure, None);
                self.reason = Some(Reason::NameTaken);
                if let Some(first) = self.in_the_way.first() {
                    let stop = look::kill_command(&first.processes);
                    self.advise(stop.map(Stop::Command));
                }
            }
            (Errno::ACCESS, Some(Address::Path(path))) => {
                let is_folder = failure.call == Name::Bind;
                let path = inside(failure, path);
                let path = if is_folder { path.parent().unwrap_or(&path) } else { &path };
                let path = path.to_string_lossy().into_owned();
                self.say(Reason::Permission { path, is_folder }, []);
            }
            (Errno::INVAL, _) if failure.address_length > SUN_LENGTH => {
                let (given, needed) = (failure.address_length, SUN_LENGTH);
                self.say(Reason::TooLong { given, needed }, [Help::ShorterPath]);
            }
            (Errno::INVAL, _) if failure.call == Name::Bind => {
                self.say(Reason::BoundAlready { local: None }, [Help::NewSocket]);
            }
            _ => {}
        }
    }

    /// EADDRINUSE of a path, which may have a name for a reader's shell.
    fn of_path(&mut self, path: Option<(String, bool)>, is_socket: bool, is_bound: Option<bool>) {
        match is_bound {
            _ if !is_socket => self.say(Reason::PathIsFile, [Help::OtherPath]),
            None => self.say(Reason::PathUnknown, [Help::AsRoot]),
            Some(false) => {
                let help = match path {
                    Some((path, false)) => Help::UnlinkThere { path },
                    path => Help::Unlink { path: path.map(|(path, _)| path) },
                };
                self.say(Reason::PathTaken { listens: false }, [help]);
            }
            Some(true) => {
                self.reason = Some(Reason::PathTaken { listens: true });
                let Some(first) = self.in_the_way.first() else {
                    self.help.push(Help::OtherPath);
                    return;
                };
                // The path stays, unless the process removes it.
                let path =
                    path.filter(|(_, is_here)| *is_here).map(|(path, _)| Outside::from(path));
                let remove = path.as_ref().and_then(Outside::quoted);
                let remove = remove.map_or(String::new(), |path| format!("; rm -f {path}"));
                let stop = look::kill_command(&first.processes).map(|kill| kill + &remove);
                self.advise(stop.map(Stop::Command));
            }
        }
    }
}

/// The size of `struct sockaddr_un`.
const SUN_LENGTH: u32 = 110;

/// Where a path of the process is, for this one.
fn path_of(failure: &Failure, path: &[u8]) -> PathBuf {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let of = |folder: &str| PathBuf::from(format!("/proc/{}/{folder}", failure.thread));
    // Here these would be this process's own.
    for (own, folder) in [("/proc/self", "."), ("/proc/thread-self", "."), ("/dev/fd", "fd")] {
        if let Ok(rest) = path.strip_prefix(own) {
            return of(folder).join(rest);
        }
    }
    match path.strip_prefix("/") {
        Ok(path) => of("root").join(path),
        Err(_) => of("cwd").join(path),
    }
}

/// The same by an absolute name, for a process with the same root folder.
fn inside(failure: &Failure, path: &[u8]) -> PathBuf {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let folder = std::fs::read_link(format!("/proc/{}/cwd", failure.thread));
    let path = folder.map_or_else(|_| path.to_owned(), |folder| folder.join(path));
    path.components().collect() // without `.`
}

/// The same for a reader's shell, and whether that shell has the file under this name: a process may be in another
/// mount namespace. None, if it is no text.
fn shown(failure: &Failure, path: &[u8]) -> Option<(String, bool)> {
    let file = |path: &Path| {
        let file = std::fs::symlink_metadata(path).ok()?;
        Some((file.dev(), file.ino()))
    };
    let (there, inside) = (path_of(failure, path), inside(failure, path));
    // Of a process with another root folder, the name begins with that.
    let folder = there.parent().and_then(|folder| folder.canonicalize().ok());
    let outside = folder.zip(there.file_name()).map(|(folder, name)| folder.join(name));
    let is_it = |here: &&Path| file(here).is_some() && file(here) == file(&there);
    match [Some(&*inside), outside.as_deref()].into_iter().flatten().find(is_it) {
        Some(here) => Some((here.to_str()?.to_owned(), true)),
        None => Some((inside.to_str()?.to_owned(), false)),
    }
}
