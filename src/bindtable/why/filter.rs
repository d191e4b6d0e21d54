//! The seccomp filter: it stops the hooked calls for the tracer, and lets every other one pass.
//!
//! By hand, since libraries know one ABI of a machine: x86-64 has three.

use super::calls::{ABIS, Abi, Name};
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

/// The rest, if the loaded word is `value`; what follows it, if not.
fn if_equal(value: u32, then: Vec<sock_filter>) -> Vec<sock_filter> {
    let skipped = u8::try_from(then.len()).expect("a block is short");
    let mut all = vec![instruction(IF_EQUAL, 0, skipped, value)];
    all.extend(then);
    all
}

fn stop() -> Vec<sock_filter> {
    vec![instruction(RETURN, 0, 0, libc::SECCOMP_RET_TRACE)]
}

/// The filter for this machine's ABIs. `options`: whether socket(2) and setsockopt(2) are hooked, too,
/// since no descriptor can be copied to read the options.
pub fn program(options: bool) -> Vec<sock_filter> {
    let allow = instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW);
    let mut program = vec![instruction(LOAD, 0, 0, ARCH)];
    for abi in ABIS {
        let mut block = vec![instruction(LOAD, 0, 0, NUMBER)];
        block.extend(of_abi(abi, options));
        block.push(allow);
        program.extend(if_equal(abi.arch, block));
    }
    program.push(allow);
    program
}

fn of_abi(abi: &Abi, options: bool) -> Vec<sock_filter> {
    let mut block = Vec::new();
    for (number, name) in abi.numbers {
        let then = match name {
            Name::Socket | Name::SetSockOpt if !options => continue,
            Name::SetSockOpt => any_option(),
            Name::Ptrace => any_attach(),
            _ => stop(),
        };
        block.extend(if_equal(*number, then));
    }
    if let Some(number) = abi.socketcall {
        block.extend(if_equal(number, stop()));
    }
    block
}

/// setsockopt of the options by which bind decides.
fn any_option() -> Vec<sock_filter> {
    let name = |names: &[i32]| {
        let mut block = vec![instruction(LOAD, 0, 0, argument(2))];
        block.extend(names.iter().flat_map(|name| if_equal(name.cast_unsigned(), stop())));
        block.push(instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
        block
    };
    let mut block = vec![instruction(LOAD, 0, 0, argument(1))];
    let socket = name(&[libc::SO_REUSEADDR, libc::SO_REUSEPORT]);
    block.extend(if_equal(libc::SOL_SOCKET.cast_unsigned(), socket));
    let ipv6 = name(&[libc::IPV6_V6ONLY]);
    block.extend(if_equal(libc::IPPROTO_IPV6.cast_unsigned(), ipv6));
    block.push(instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    block
}

/// ptrace(2), where it begins to trace: that will fail, since there is a tracer.
fn any_attach() -> Vec<sock_filter> {
    let mut block = vec![instruction(LOAD, 0, 0, argument(0))];
    block.extend(super::calls::ATTACH.iter().flat_map(|request| if_equal(*request, stop())));
    block.push(instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    block
}
