//! The hooked system calls: their numbers in each ABI, and what their arguments say.

use crate::named::named;
use nix::libc;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

named! {
    /// A hooked call, as in its man page.
    Name {
        Socket = "socket",
        Bind = "bind",
        Listen = "listen",
        Connect = "connect",
        SetSockOpt = "setsockopt",
        Ptrace = "ptrace",
    }
}

/// The numbers of the hooked calls in one ABI.
pub struct Abi {
    /// `AUDIT_ARCH_*` of `include/uapi/linux/audit.h`.
    pub arch: u32,
    /// From the kernel's `syscall.tbl` and `unistd.h`.
    pub numbers: &'static [(u32, Name)],
    /// socketcall(2), which has all of them in one.
    pub socketcall: Option<u32>,
}

/// The ABIs of programs that this kernel runs.
#[cfg(target_arch = "x86_64")]
pub const ABIS: &[Abi] = &[
    Abi {
        arch: 0xc000_003e,
        numbers: &[
            (41, Name::Socket),
            (42, Name::Connect),
            (49, Name::Bind),
            (50, Name::Listen),
            (54, Name::SetSockOpt),
            (101, Name::Ptrace),
            // x32: the same with __X32_SYSCALL_BIT, and two with numbers of their own.
            (0x4000_0000 + 41, Name::Socket),
            (0x4000_0000 + 42, Name::Connect),
            (0x4000_0000 + 49, Name::Bind),
            (0x4000_0000 + 50, Name::Listen),
            (0x4000_0000 + 541, Name::SetSockOpt),
            (0x4000_0000 + 521, Name::Ptrace),
        ],
        socketcall: None,
    },
    Abi {
        arch: 0x4000_0003, // i386
        numbers: &[
            (359, Name::Socket),
            (361, Name::Bind),
            (362, Name::Connect),
            (363, Name::Listen),
            (366, Name::SetSockOpt),
            (26, Name::Ptrace),
        ],
        socketcall: Some(102),
    },
];

/// The ABIs of programs that this kernel runs.
#[cfg(target_arch = "aarch64")]
pub const ABIS: &[Abi] = &[
    Abi { arch: 0xc000_00b7, numbers: GENERIC, socketcall: None },
    Abi {
        arch: 0x4000_0028, // arm
        numbers: &[
            (281, Name::Socket),
            (282, Name::Bind),
            (283, Name::Connect),
            (284, Name::Listen),
            (294, Name::SetSockOpt),
            (26, Name::Ptrace),
        ],
        socketcall: None,
    },
];

/// The ABIs of programs that this kernel runs.
#[cfg(target_arch = "riscv64")]
pub const ABIS: &[Abi] = &[Abi { arch: 0xc000_00f3, numbers: GENERIC, socketcall: None }];

/// `include/uapi/asm-generic/unistd.h`.
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
const GENERIC: &[(u32, Name)] = &[
    (198, Name::Socket),
    (200, Name::Bind),
    (201, Name::Listen),
    (203, Name::Connect),
    (208, Name::SetSockOpt),
    (117, Name::Ptrace),
];

/// The ABIs of programs that this kernel runs: none is known.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
pub const ABIS: &[Abi] = &[];

/// `PTRACE_TRACEME`, `PTRACE_ATTACH`, `PTRACE_SEIZE`.
pub const ATTACH: [u32; 3] = [0, 16, 0x4206];

/// A hooked call with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub name: Name,
    /// As the registers have them; socketcall's are those of the call that it stands for.
    pub args: [u64; 6],
}

impl Call {
    /// The call that a thread is in, if it is a hooked one: from `struct ptrace_syscall_info`, ptrace(2).
    pub fn new(thread: i32, arch: u32, number: u64, args: [u64; 6]) -> Option<Self> {
        let abi = ABIS.iter().find(|abi| abi.arch == arch)?;
        let number = u32::try_from(number).ok()?;
        if abi.socketcall == Some(number) {
            return Self::of_socketcall(thread, args);
        }
        let name = abi.numbers.iter().find(|(its, _)| *its == number)?.1;
        Some(Self { name, args })
    }

    /// socketcall(2): which call, and where its arguments are. `include/uapi/linux/net.h`.
    fn of_socketcall(thread: i32, args: [u64; 6]) -> Option<Self> {
        let (name, count) = match args[0] {
            1 => (Name::Socket, 3),
            2 => (Name::Bind, 3),
            3 => (Name::Connect, 3),
            4 => (Name::Listen, 2),
            14 => (Name::SetSockOpt, 5),
            _ => return None,
        };
        let words = read(thread, args[1], 4 * count)?;
        let mut args = [0; 6];
        for (arg, word) in args.iter_mut().zip(words.chunks_exact(4)) {
            *arg = u32::from_ne_bytes(word.try_into().ok()?).into();
        }
        Some(Self { name, args })
    }

    /// The descriptor that it is about.
    pub fn descriptor(&self) -> i32 {
        self.number(0)
    }

    /// An argument of type int: its lower half.
    pub fn number(&self, index: usize) -> i32 {
        (self.args[index] as u32).cast_signed()
    }

    /// The address of bind or connect.
    pub fn address(&self, thread: i32) -> Address {
        /// `sizeof(struct sockaddr_storage)`: no longer one is accepted.
        const LONGEST: u64 = 128;
        let length = self.args[2] & 0xffff_ffff;
        if length > LONGEST {
            return Address::Other { length };
        }
        match read(thread, self.args[1], length as usize) {
            Some(bytes) => Address::new(&bytes),
            None => Address::Other { length },
        }
    }
}

/// `length` bytes of the thread's memory: process_vm_readv(2). None if they cannot all be read.
pub fn read(thread: i32, from: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    let remote = RemoteIoVec { base: usize::try_from(from).ok()?, len: length };
    let local = &mut [IoSliceMut::new(&mut bytes)];
    let count = process_vm_readv(Pid::from_raw(thread), local, &[remote]).ok()?;
    (count == length).then_some(bytes)
}

/// A `struct sockaddr`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Address {
    Inet(SocketAddr),
    /// A path, as the program wrote it.
    Path(Vec<u8>),
    /// A name of the abstract namespace, without its leading zero.
    Abstract(Vec<u8>),
    /// What is of another family, or too short for its own.
    Other {
        length: u64,
    },
}

impl Address {
    fn new(bytes: &[u8]) -> Self {
        let other = Self::Other { length: bytes.len() as u64 };
        let Some(family) = bytes.get(..2).and_then(|family| family.try_into().ok()) else {
            return other;
        };
        let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
        let address = match i32::from(u16::from_ne_bytes(family)) {
            libc::AF_INET if bytes.len() >= 16 => {
                port().zip(octets::<4>(bytes, 4)).map(|(port, octets)| {
                    Self::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port))
                })
            }
            libc::AF_INET6 if bytes.len() >= 24 => {
                port().zip(octets::<16>(bytes, 8)).map(|(port, ip)| {
                    let scope = octets::<4>(bytes, 24).map_or(0, u32::from_ne_bytes);
                    let ip = Ipv6Addr::from(ip);
                    Self::Inet(SocketAddrV6::new(ip, port, 0, scope).into())
                })
            }
            libc::AF_UNIX => Some(match &bytes[2..] {
                [0, name @ ..] => Self::Abstract(name.to_vec()),
                path => {
                    let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
                    Self::Path(path[..end].to_vec())
                }
            }),
            _ => None,
        };
        address.unwrap_or(other)
    }

    /// The port, if it has one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Inet(address) => Some(address.port()),
            _ => None,
        }
    }
}

fn octets<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..from + N)?.try_into().ok()
}
