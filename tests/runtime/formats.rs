//! Formats that `printf!` must refuse at compile time: each line after the first is an error.

#![no_std]
#![no_main]

use rt::{Text, WithDatagram, WithDescriptor};

const _: Text = Text::new(c"%n");
const _: Text = Text::new(c"100%");
const _: Text = Text::new(c"%%\n");
const _: Text = Text::new(c"client close: %d\n");
const _: WithDescriptor = WithDescriptor::new(c"client close\n");
const _: WithDescriptor = WithDescriptor::new(c"%n");
const _: WithDescriptor = WithDescriptor::new(c"%s\n");
const _: WithDescriptor = WithDescriptor::new(c"%5d\n");
const _: WithDescriptor = WithDescriptor::new(c"%d%d\n");
const _: WithDescriptor = WithDescriptor::new(c"%d%");
const _: WithDatagram = WithDatagram::new(c"%d %d: %s\n");
const _: WithDatagram = WithDatagram::new(c"%d %d: %.*\n");
const _: WithDatagram = WithDatagram::new(c"%d %.*s: %d\n");
const _: WithDatagram = WithDatagram::new(c"%d %d: %. *s\n");
const _: WithDatagram = WithDatagram::new(c"%d %d: %.*s %n\n");
const _: WithDatagram = WithDatagram::new(c"%d: %.*s\n");
