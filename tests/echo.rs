//! The server returns every byte, however the client cuts the data.

use crate::harness::{self, Client, Process, Variant, wait_for_rows};
use libtest_mimic::Trial;
use std::io::{Read, Write};
use std::process::Command;
use std::thread;

const SIZES: [usize; 9] = [1, 99, 100, 101, 1_000, 4_096, 65_537, 1_000_000, 10_000_000];

pub fn trials() -> Vec<Trial> {
    let trial = |variant: Variant| {
        let check = move || SIZES.iter().for_each(|&size| echo(&mut variant.command(), size));
        harness::trial(format!("echo_{}", variant.name()), check)
    };
    Variant::servers().map(trial).collect()
}

/// Starts a server with `command`, and has `size` random bytes come back.
pub fn echo(command: &mut Command, size: usize) {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let data: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(size).collect();

    let mut server = Process::start(command);
    let client = Client::connect();
    let mut reader = client.0.try_clone().expect("descriptors are left");
    let echo = thread::spawn(move || {
        let mut echo = Vec::new();
        reader.read_to_end(&mut echo).map(|_| echo)
    });
    let mut rest = &data[..];
    while !rest.is_empty() {
        let (chunk, next) = rest.split_at(random.usize(1..=rest.len().min(100_000)));
        (&client.0).write_all(chunk).expect("the server reads");
        rest = next;
    }
    client.shutdown();
    let echo = echo.join().expect("the reader does not panic").expect("the server writes");
    assert!(echo == data, "{size} bytes, seed {seed}: {} came back", echo.len());
    assert_eq!(server.wait(), 0);
    wait_for_rows("the server's socket to go", |rows| rows.iter().all(|row| !row.is_server));
}
