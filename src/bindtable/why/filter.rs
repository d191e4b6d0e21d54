//! The seccomp filter: it stops the hooked calls for the tracer, and lets every other one pass.
//!
//! By hand, since libraries know one ABI of a machine: x86-64 has three.

use super::calls::{ABIS, ATTACH, Abi, Name};
use nix::libc::{self, sock_filter};

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const fn argument(index: u32) -> u32 {
    16 + 8 * index // the lower half, on the little-endian machines that this runs on
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

const STOP: sock_filter = instruction(RETURN, 0, 0, libc::SECCOMP_RET_TRACE);
const ALLOW: sock_filter = instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW);

/// What follows each value of the word at that offset. With any other value the call passes.
fn choose(offset: u32, cases: impl Iterator<Item = (u32, Vec<sock_filter>)>) -> Vec<sock_filter> {
    let mut block = vec![instruction(LOAD, 0, 0, offset)];
    for (value, then) in cases {
        let skipped = u8::try_from(then.len()).expect("a block is short");
        block.push(instruction(IF_EQUAL, 0, skipped, value));
        block.extend(then);
    }
    block.push(ALLOW);
    block
}

/// Stops the call if this argument has one of the values.
fn stop_if(index: u32, values: impl IntoIterator<Item = u32>) -> Vec<sock_filter> {
    choose(argument(index), values.into_iter().map(|value| (value, vec![STOP])))
}

/// The filter for this machine's ABIs. `options`: whether socket(2) and setsockopt(2) are hooked, too,
/// since no descriptor can be copied to read the options.
pub fn program(options: bool) -> Vec<sock_filter> {
    choose(ARCH, ABIS.iter().map(|abi| (abi.arch, of_abi(abi, options))))
}

fn of_abi(abi: &Abi, options: bool) -> Vec<sock_filter> {
    let calls = abi.numbers.iter().filter_map(|(number, name)| match name {
        Name::Socket | Name::SetSockOpt if !options => None,
        Name::SetSockOpt => Some((*number, any_option())),
        // Where it begins to trace: that will fail, since there is a tracer.
        Name::Ptrace => Some((*number, stop_if(0, ATTACH))),
        _ => Some((*number, vec![STOP])),
    });
    choose(NUMBER, calls.chain(abi.socketcall.map(|number| (number, vec![STOP]))))
}

/// setsockopt of the options by which bind decides.
fn any_option() -> Vec<sock_filter> {
    let levels: [(i32, &[i32]); 2] = [
        (libc::SOL_SOCKET, &[libc::SO_REUSEADDR, libc::SO_REUSEPORT]),
        (libc::IPPROTO_IPV6, &[libc::IPV6_V6ONLY]),
    ];
    choose(
        argument(1),
        levels.into_iter().map(|(level, names)| {
            (level.cast_unsigned(), stop_if(2, names.iter().map(|name| name.cast_unsigned())))
        }),
    )
}
