//! The packets of a namespace, as tcpdump would show them.

use super::{PORT, wait_for};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, eth, socket_with};
use std::collections::HashSet;

/// Every TCP segment of this namespace from now on.
pub struct Capture {
    socket: OwnedFd,
    /// From the IP header on.
    seen: HashSet<Vec<u8>>,
    segments: Vec<Segment>,
    /// How many of them have been given out.
    given: usize,
}

/// A segment, as people are told of it.
pub struct Packet {
    /// Whether it comes from the server.
    pub is_server: bool,
    /// `SYN, ACK: seq 0 ack 1`: its flags, its bytes, its numbers from each side's SYN on.
    pub text: String,
}

struct Segment {
    is_server: bool,
    sequence: u32,
    acknowledgment: u32,
    flags: u8,
    bytes: usize,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

impl Segment {
    fn opens_or_ends(&self) -> bool {
        self.flags & (SYN | FIN) != 0
    }

    /// Whether this acknowledges the SYN or FIN of `other`.
    fn answers(&self, other: &Self) -> bool {
        let length = u32::try_from(other.bytes).expect("it is a segment") + 1;
        self.is_server != other.is_server
            && self.flags & ACK != 0
            && self.acknowledgment == other.sequence.wrapping_add(length)
    }
}

impl Capture {
    pub fn start() -> Self {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let all = Some(eth::ALL);
        let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, all);
        let socket = socket.expect("this is the root of its namespace");
        Self { socket, seen: HashSet::new(), segments: Vec::new(), given: 0 }
    }

    /// What has come since the last time, each SYN and FIN with its acknowledgment. One that
    /// acknowledges the words alone is left out: when it is sent is a matter of timing.
    pub fn packets(&mut self) -> Vec<Packet> {
        wait_for("the packets", || {
            self.take();
            let is_answered = |of: &Segment| self.segments.iter().any(|it| it.answers(of));
            self.segments.iter().all(|of| !of.opens_or_ends() || is_answered(of)).then_some(())
        });
        let mut packets = Vec::new();
        for (at, segment) in self.segments.iter().enumerate().skip(self.given) {
            let mut before = self.segments[..at].iter();
            let is_answer = before.any(|of| of.opens_or_ends() && segment.answers(of));
            if segment.bytes > 0 || segment.opens_or_ends() || is_answer {
                packets.push(Packet { is_server: segment.is_server, text: self.text(segment) });
            }
        }
        self.given = self.segments.len();
        packets
    }

    fn text(&self, segment: &Segment) -> String {
        let first = |is_server| {
            let mut opening = self.segments.iter().filter(|it| it.flags & SYN != 0);
            let opening = opening.rfind(|it| it.is_server == is_server);
            opening.map_or(0, |it| it.sequence)
        };
        let mut name: Vec<String> = [(SYN, "SYN"), (FIN, "FIN"), (ACK, "ACK")]
            .into_iter()
            .filter(|(flag, _)| segment.flags & flag != 0)
            .map(|(_, name)| name.to_owned())
            .collect();
        if segment.bytes > 0 {
            name.push(format!("{} bytes", segment.bytes));
        }
        let own = segment.sequence.wrapping_sub(first(segment.is_server));
        let mut text = format!("{}: seq {own}", name.join(", "));
        if segment.flags & ACK != 0 {
            let other = segment.acknowledgment.wrapping_sub(first(!segment.is_server));
            text.push_str(&format!(" ack {other}"));
        }
        text
    }

    /// Takes what has come. Loopback shows each packet twice: going out and coming in.
    fn take(&mut self) {
        let mut buffer = [0; 65_536];
        while let Ok(length) = rustix::io::read(&self.socket, &mut buffer) {
            let packet = &buffer[..length];
            let header = 4 * usize::from(packet[0] & 15);
            let is_tcp = packet[0] >> 4 == 4 && packet[9] == 6;
            if is_tcp && self.seen.insert(packet.to_vec()) {
                let tcp = &packet[header..];
                let number = |at: usize| {
                    u32::from_be_bytes(tcp[at..at + 4].try_into().expect("it is four bytes"))
                };
                self.segments.push(Segment {
                    is_server: tcp[..2] == PORT.to_be_bytes(),
                    sequence: number(4),
                    acknowledgment: number(8),
                    flags: tcp[13],
                    bytes: tcp.len() - 4 * usize::from(tcp[12] >> 4),
                });
            }
        }
    }
}
