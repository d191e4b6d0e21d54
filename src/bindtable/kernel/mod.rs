//! The kernel's rule for sockets that share a port, as a small model.

pub mod bind;
pub mod receive;

use crate::named::named;
use rustix::io::Errno;
use std::fmt::{self, Display, Formatter};

named! {
    /// The protocol of all sockets of a cell.
    Proto { Tcp = "tcp", Udp = "udp", }
}

impl Proto {
    /// The one of the two that it is not.
    pub fn other(self) -> Self {
        match self {
            Self::Tcp => Self::Udp,
            Self::Udp => Self::Tcp,
        }
    }
}

/// The two options that let sockets share a port: SO_REUSEADDR, SO_REUSEPORT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub reuseaddr: bool,
    pub reuseport: bool,
}

/// When an option is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Set {
    /// Not at all.
    #[default]
    Never,
    /// Before bind.
    Before,
    /// After bind.
    Late,
    /// Before bind, and cleared after it.
    Cleared,
}

impl Set {
    /// Whether it is set while the socket binds.
    pub fn at_bind(self) -> bool {
        matches!(self, Self::Before | Self::Cleared)
    }

    /// Whether it is set afterwards.
    pub fn after_bind(self) -> bool {
        matches!(self, Self::Before | Self::Late)
    }
}

/// What became of the new socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is bound, and listens or is connected.
    Ok,
    /// It is not.
    Failed { call: Call, errno: Errno },
}

named! {
    /// A call of the new socket.
    Call { Bind = "bind", Listen = "listen", Connect = "connect", }
}

impl Verdict {
    /// What has come of this call.
    pub fn of(call: Call, result: Result<(), Errno>) -> Self {
        result.map_or_else(|errno| Self::Failed { call, errno }, |()| Self::Ok)
    }

    /// In the words of an error's name: `ok`, `bind EADDRINUSE`.
    pub fn name(self) -> String {
        let Self::Failed { call, errno } = self else { return "ok".to_owned() };
        match (call.name(), error_name(errno)) {
            (call, Some(name)) => format!("{call} {name}"),
            (call, None) => format!("{call} errno {}", errno.raw_os_error()),
        }
    }
}

/// The names in errno(3) of the errors that these calls give.
pub fn error_name(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::ACCESS => "EACCES",
        Errno::ADDRINUSE => "EADDRINUSE",
        Errno::ADDRNOTAVAIL => "EADDRNOTAVAIL",
        Errno::AGAIN => "EAGAIN",
        Errno::BUSY => "EBUSY",
        Errno::CONNREFUSED => "ECONNREFUSED",
        Errno::INVAL => "EINVAL",
        Errno::NETUNREACH => "ENETUNREACH",
        Errno::PERM => "EPERM",
        _ => return None,
    })
}

/// A version of Linux: the three numbers of its release. Debian's 6.1.0-50 says 0 for the third, so
/// what the model knows of a stable series counts for each of its releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16, pub u16);

impl Version {
    /// The newest kernel whose rule the model has: the bind table was made with it.
    pub const NEWEST: Self = Self(6, 18, 0);
    /// The oldest kernel on which the model was checked.
    pub const OLDEST: Self = Self(5, 10, 0);
    /// The releases in which two stable series took over 5e07e672412b of 6.8 without its successor
    /// 06a8c04f8994 (`Bucket::overlooks`; their announcements). 6.1.192 still lacks that (Debian's
    /// changelog). For the model every release of these series is so.
    pub const HALF_OF_6_8: [Self; 2] = [Self(6, 1, 168), Self(6, 6, 131)];
    /// Beside a port's bucket there is one for each of its addresses: bhash2 (28044fc1d495).
    pub const ADDRESS_BUCKETS: Self = Self(6, 1, 0);
    /// A port's bucket lists the owners of bhash2, and none of its own (8002d44fe84d, b2cb9f9ef240).
    pub const ONE_LIST: Self = Self(6, 8, 0);
    /// Connected sockets of UDP have a list of their own (`udp4_lib_lookup4`, 78c91ae2c6de).
    pub const CONNECTED_LIST: Self = Self(6, 13, 0);
    /// A socket without a process keeps its user (`sk_uid`, in place of `sock_i_uid`): c51da3f7a161 of
    /// 6.17, in the stable series 242124e3e3a7 of 6.16.6 (its announcement).
    pub const ORPHANS_USER: Self = Self(6, 16, 6);
    /// A port is open to connect again, when those are gone that had bound it: d57f4b874946 of 6.18, in
    /// the stable series 7f3df9e527c5 of 6.17.8 (the log of its branch).
    pub const CONNECT_AGAIN: Self = Self(6, 17, 8);

    /// From a release, with or without the word before it: `Linux 6.1.0-50-cloud-amd64`.
    pub fn parse(release: &str) -> Option<Self> {
        let release = release.split_whitespace().last()?;
        let number = |part: &str| part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
        let mut parts = release.splitn(3, '.');
        let (major, minor) = (number(parts.next()?)?, number(parts.next()?)?);
        Some(Self(major, minor, parts.next().and_then(number).unwrap_or(0)))
    }

    pub fn has_half_of_6_8(self) -> bool {
        Self::HALF_OF_6_8.iter().any(|it| (it.0, it.1) == (self.0, self.1))
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)?;
        if self.2 > 0 { write!(f, ".{}", self.2) } else { Ok(()) }
    }
}
