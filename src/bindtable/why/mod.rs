//! `bindtable why`: runs a command, and explains each bind, listen and connect that fails, at the
//! moment at which it fails.
//!
//! [`launch`] starts the command with the tracer beside it. [`trace`] waits for the calls that
//! [`filter`] stops, and keeps what they show ([`records`]). A failed one ([`failure`]) is explained in its
//! [`namespace`]: [`explain`], and [`path`] for Unix sockets, say why, from its own socket ([`socket`]) and from
//! the others ([`look`]). [`print`] lays it out, and [`sink`] writes it; every sentence is in [`words`]. What no library does safely is in [`raw`].

mod calls;
mod explain;
mod failure;
mod filter;
mod launch;
mod look;
mod namespace;
mod path;
mod print;
mod raw;
mod records;
mod sink;
mod socket;
mod trace;
mod unix;
pub mod words;

pub use crate::named::Format;
use crate::named::one_of;
use crate::{say, words};
pub use launch::Trouble;
pub use raw::was_closed;

use clap::Args;
use rustix::fs::{Mode, OFlags};
use rustix::stdio;
use sink::Sink;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use trace::Tracer;

/// What `why` runs or traces.
#[derive(Args)]
pub struct Arguments {
    #[arg(long, value_name = "PID", value_parser = process, conflicts_with = "command", help = words!(
        "Trace a process that runs, in place of a command",
        "跟踪一个正在运行的进程，不启动命令"
    ))]
    pid: Option<i32>,
    #[arg(long, value_name = "FILE", help = words!(
        "Write the explanations to FILE, not to standard error",
        "把说明写进 FILE，不写到标准错误"
    ))]
    output: Option<PathBuf>,
    #[arg(long, default_value = "text", value_parser = one_of::<Format>(), help = words!(
        "JSON has one event a line",
        "输出格式；JSON 每行一个事件"
    ))]
    format: Format,
    #[arg(last = true, value_name = "COMMAND", help = words!(
        "The command with its arguments",
        "命令和它的参数"
    ))]
    command: Vec<OsString>,
    // The parts that other processes of `bindtable why` play: nobody else starts them.
    /// Starts the tracer of a process, and ends.
    #[arg(long, hide = true)]
    middle: bool,
    /// Traces the process that becomes the command.
    #[arg(long, hide = true)]
    trace: Option<i32>,
    /// Explains one failure in another network namespace.
    #[arg(long, hide = true)]
    helper: bool,
}

fn process(text: &str) -> Result<i32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| say!("a process number is needed", "应为进程号"))
}

/// Plays the part that the command line asks for. It returns if there is no command to become; it fails with
/// the exit status, and one line.
pub fn run(arguments: &Arguments) -> Result<(), Trouble> {
    let format = arguments.format;
    let has_part = arguments.helper || arguments.trace.is_some() || arguments.pid.is_some();
    if !has_part && arguments.command.is_empty() {
        return Err(words::no_command_given().into());
    }
    let output = arguments.output.as_deref().map(|path| {
        let file = File::create(path);
        file.map_err(|error| Trouble { status: 2, line: words::no_output(path, &error) })
    });
    let output = output.transpose()?.map(OwnedFd::from);
    match (arguments.trace, arguments.pid) {
        _ if arguments.helper => {
            namespace::help(format).map_err(|line| Trouble { status: 2, line })
        }
        (Some(traced), _) if arguments.middle => launch::be_the_middle(traced, format),
        (Some(traced), _) => {
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
        (None, Some(process)) => {
            let sink = match output {
                Some(output) => Ok(output),
                None => std::io::stderr().as_fd().try_clone_to_owned(),
            };
            let sink = sink.map_err(|error| launch::no_trace(words::failed("dup", &error)))?;
            let tracer = Tracer::of_running(process, Sink::new(sink), format);
            tracer.map_err(|errno| launch::no_trace(words::no_trace(process, errno)))?.run();
            Ok(())
        }
        (None, None) => match launch::start(&arguments.command, format, output)? {},
    }
}
