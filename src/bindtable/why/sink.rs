//! Where the explanations go. Whoever reads them may be slow, or gone: the program waits for no
//! reader longer than it must.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// What a pipe that poll(2) calls writable takes without waiting: `PIPE_BUF`.
const AT_ONCE: usize = 4096;

/// A file, a terminal or a pipe.
pub struct Sink {
    /// None after [`close`](Self::close).
    pub descriptor: Option<OwnedFd>,
}

impl Sink {
    /// To a descriptor that is open for writing.
    pub fn new(descriptor: OwnedFd) -> Self {
        Self { descriptor: Some(descriptor) }
    }

    /// Nothing is written any more, and its reader sees an end.
    pub fn close(&mut self) {
        self.descriptor = None;
    }

    /// Writes the text; or not all of it, if there is no room for so long. Whether all was written.
    pub fn write(&mut self, text: &str, patience: Duration) -> bool {
        let Some(descriptor) = &self.descriptor else { return false };
        let (mut rest, end) = (text.as_bytes(), Instant::now() + patience);
        while !rest.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let mut polled = [PollFd::new(descriptor.as_fd(), PollFlags::POLLOUT)];
            match poll(&mut polled, left) {
                Ok(0) => break,
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(_) => break,
            }
            match write(descriptor, &rest[..rest.len().min(AT_ONCE)]) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(_) => break, // EPIPE, ENOSPC: nobody reads, or nothing can be kept
            }
        }
        rest.is_empty()
    }
}
