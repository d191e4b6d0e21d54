//! The table of this kernel: each cell tried, and beside it what the model says of it.

pub mod attempt;
pub mod cell;
pub mod expected;
pub mod netlink;
pub mod questions;
pub mod report;
pub mod run;
pub mod world;
