//! The table of this kernel: each cell tried, and beside it what the model says of it.
//!
//! A [`cell`] is a pairing: sockets that are there, the state of the first, and a new socket that
//! binds. [`questions`] has the cells of the tables, [`world`] the network in which they are tried,
//! [`attempt`] tries one, with [`receivers`], and [`run`] all of them. [`predict`] plays a cell on the model, and
//! [`report`] prints and saves what both give. What explains the table stands in [`words`]; a label or
//! a trouble, in both languages, beside the code that it belongs to.

pub mod attempt;
mod axis;
pub mod cell;
pub mod netlink;
pub mod predict;
pub mod questions;
pub mod receivers;
pub mod report;
pub mod run;
pub mod words;
pub mod world;
