//! The options of the command line.

use crate::cell::{Cell, Proto, State, named};
use std::str::FromStr;

named! { Format { Text = "text", Markdown = "markdown", Json = "json", Html = "html", } }

named! {
    /// Which of the two families the sockets of a cell have.
    Family { Ipv4 = "ipv4", Ipv6 = "ipv6", Mixed = "mixed", }
}

impl Family {
    pub fn of(cell: &Cell) -> Self {
        let is_ipv4 = |socket: &crate::cell::Socket| socket.ip.is_ipv4();
        match (cell.sockets().all(is_ipv4), cell.sockets().any(is_ipv4)) {
            (true, _) => Self::Ipv4,
            (_, false) => Self::Ipv6,
            _ => Self::Mixed,
        }
    }
}

#[derive(Default)]
pub struct Options {
    pub proto: Option<Proto>,
    pub family: Option<Family>,
    pub state: Option<State>,
    pub question: Option<String>,
    pub format: Option<Format>,
    pub explain: Option<Cell>,
    pub diff: Option<String>,
    pub help: bool,
}

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        fn read<T: FromStr<Err = String>>(option: &str, value: &str) -> Result<Option<T>, String> {
            value.parse().map(Some).map_err(|error| format!("{option}: {error}"))
        }
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            if matches!(&*argument, "-h" | "--help") {
                options.help = true;
                continue;
            }
            let (option, value) = match argument.split_once('=') {
                Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            const KNOWN: [&str; 7] =
                ["--proto", "--family", "--state", "--question", "--format", "--explain", "--diff"];
            if !KNOWN.contains(&&*option) {
                return Err(format!("no option '{option}': see --help"));
            }
            let value = value
                .or_else(|| arguments.next())
                .ok_or_else(|| format!("{option} needs a value: see --help"))?;
            match &*option {
                "--proto" => options.proto = read(&option, &value)?,
                "--family" => options.family = read(&option, &value)?,
                "--state" => options.state = read(&option, &value)?,
                "--format" => options.format = read(&option, &value)?,
                "--explain" => options.explain = read(&option, &value)?,
                "--question" => options.question = Some(value),
                _ => options.diff = Some(value),
            }
        }
        Ok(options)
    }

    pub fn wants(&self, cell: &Cell) -> bool {
        self.proto.is_none_or(|proto| proto == cell.proto)
            && self.family.is_none_or(|family| family == Family::of(cell))
            && self.state.is_none_or(|state| state == cell.state)
    }
}

pub const HELP: &str = "\
bindtable: may a socket B bind where a socket A is? Every pairing, tried on this kernel.

    bindtable [--proto tcp|udp] [--family ipv4|ipv6|mixed] [--state STATE] [--question NAME]
              [--format text|markdown|json|html] [--diff FILE]
    bindtable --explain CELL

--proto, --family, --state  the cells that are so, and no others
--question NAME  one table; the name stands beside its title
--format         text is the default; json has one cell a line
--diff FILE      which cells differ from a saved run (bindtable --format json > FILE), of another
                 kernel; status 1 if any does
--explain CELL   one cell, and the rule of the kernel that decides it

A cell is PROTOCOL/A/STATE/B, as in tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr.
A and B are an address with any of +v6only +reuseaddr +reuseport +late-reuseaddr (set after bind)
+cleared-reuseaddr (set before bind, cleared after) +other-user.
STATE is A's: bound, between (bound, listens before B listens), listening, connection (and one
connection accepted), connected (the connection alone), fin-wait-2, close-wait, last-ack, time-wait,
closed, exhausted (bound to the last port, and B asks for any), exhausted-between.

Each cell has a port of its own, in a network namespace of this program's: made as root, or by a
user where user namespaces are allowed. Otherwise it is done on the real loopback, without what
needs a namespace, and TIME_WAITs stay there for a minute. Two users' cells need root.

In the table: states for TCP alone, since UDP has none; each address against each in two states, and
all states at one address, since the rule looks at either by itself; a second user and late options
at one address. Not in it: SO_BINDTODEVICE, BPF on a group, connect without bind, and the states
that pass by themselves (SYN_RECV, FIN_WAIT1, CLOSING).
";
