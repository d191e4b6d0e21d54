//! Which two sockets may share a port, on this kernel.
//!
//! A [`cell::Cell`] is a pairing: sockets that are there, the state of the first, and a new socket
//! that binds. [`questions`] has the cells of the table, [`world`] the network in which they are
//! tried, [`engine`] tries one, and [`run`] all of them. [`rule`] is the kernel's rule as a model,
//! for a cell and for any two sockets, and [`delivery`] which of them receives. [`expected`] is
//! what others have written, [`report`] what is printed, saved and compared, [`port`] looks at a port
//! of this machine, and [`language`] has the two languages in which all that is said.
#![forbid(unsafe_code)]

pub mod cell;
pub mod delivery;
pub mod engine;
pub mod expected;
pub mod language;
pub mod netlink;
pub mod port;
pub mod questions;
pub mod report;
pub mod rule;
pub mod run;
pub mod world;
