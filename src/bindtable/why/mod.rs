//! `bindtable why`: runs a command, and explains each bind, listen and connect that fails, at the
//! moment at which it fails.
//!
//! [`launch`] starts the command with the tracer beside it. [`trace`] waits for the calls that
//! [`filter`] stops, and keeps what they show ([`records`]). Of a failed one, [`explain`] says why,
//! from its own socket ([`socket`]) and from the others ([`look`]). [`print`] lays it out, and
//! [`sink`] writes it; every sentence is in [`words`]. What no library does safely is in [`raw`].

mod calls;
mod explain;
mod filter;
mod launch;
mod look;
mod print;
mod raw;
mod records;
mod sink;
mod socket;
mod trace;
mod unix;
pub mod words;

pub use crate::named::Format;
pub use launch::Trouble;
pub use raw::was_closed;

use rustix::fs::{Mode, OFlags};
use rustix::stdio;
use sink::Sink;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use trace::Tracer;

/// What this process is to do. The command line decides.
pub enum Part<'a> {
    /// Becomes the command.
    Command(&'a [OsString]),
    /// Traces a process that runs.
    Running(i32),
    /// Starts the tracer of a process, and ends.
    Middle(i32),
    /// Traces the process that becomes the command.
    Tracer(i32),
    /// Explains one failure in another network namespace.
    Helper,
}

/// Plays the part. It returns if there is no command to become.
///
/// # Errors
///
/// The exit status, and one line.
pub fn run(part: Part, format: Format, output: Option<&Path>) -> Result<(), Trouble> {
    let output = output.map(|path| {
        let file = File::create(path);
        file.map_err(|error| Trouble { status: 2, line: words::no_output(path, &error) })
    });
    let output = output.transpose()?.map(OwnedFd::from);
    match part {
        Part::Command(command) => match launch::start(command, format, output)? {},
        Part::Middle(traced) => launch::be_the_middle(traced, format),
        Part::Tracer(traced) => {
            // The other side has heard why it failed.
            if launch::attach(traced).is_ok()
                && let Ok(sink) = std::io::stdout().as_fd().try_clone_to_owned()
            {
                let null = rustix::fs::open("/dev/null", OFlags::WRONLY, Mode::empty());
                let _ = null.map(stdio::dup2_stdout);
                Tracer::new(traced, Sink::new(sink), format).run();
            }
            Ok(())
        }
        Part::Running(process) => {
            let sink = match output {
                Some(output) => Ok(output),
                None => std::io::stderr().as_fd().try_clone_to_owned(),
            };
            let sink = sink.map_err(|error| launch::no_trace(words::failed("dup", &error)))?;
            let tracer = Tracer::of_running(process, Sink::new(sink), format);
            tracer.map_err(|errno| launch::no_trace(words::no_trace(process, errno)))?.run();
            Ok(())
        }
        Part::Helper => explain::help(format).map_err(|line| Trouble { status: 2, line }),
    }
}
