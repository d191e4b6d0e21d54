//! Formats that `printf!` must refuse at compile time: each line after the first is an error.

#![no_std]
#![no_main]

use rt::Format;

const _: Format<0> = Format::<0>::new(c"%n");
const _: Format<0> = Format::<0>::new(c"100%");
const _: Format<0> = Format::<0>::new(c"%%\n");
const _: Format<0> = Format::<0>::new(c"client close: %d\n");
const _: Format<1> = Format::<1>::new(c"client close\n");
const _: Format<1> = Format::<1>::new(c"%n");
const _: Format<1> = Format::<1>::new(c"%s\n");
const _: Format<1> = Format::<1>::new(c"%5d\n");
const _: Format<1> = Format::<1>::new(c"%d%d\n");
const _: Format<1> = Format::<1>::new(c"%d%");
const _: Format<3> = Format::<3>::new(c"%d %d: %s\n");
const _: Format<3> = Format::<3>::new(c"%d %d: %.*\n");
const _: Format<3> = Format::<3>::new(c"%d %.*s: %d\n");
const _: Format<3> = Format::<3>::new(c"%d %d: %. *s\n");
const _: Format<3> = Format::<3>::new(c"%d %d: %.*s %n\n");
const _: Format<3> = Format::<3>::new(c"%d: %.*s\n");
