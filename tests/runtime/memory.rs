//! memcpy(3) and memset(3) of the raw runtime, as the compiler calls them: each length from 0 to 300
//! at each alignment, of the destination and of the source. A wrong byte, inside or beside, panics.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::hint::black_box;

rt::start!(main);

const LONGEST: usize = 300;
const ALIGNMENTS: usize = 16;
/// With room for a byte too many, before and behind.
const ROOM: usize = ALIGNMENTS + LONGEST + ALIGNMENTS;

fn main() -> ! {
    let mut source = [0; ROOM];
    for (at, byte) in source.iter_mut().enumerate() {
        *byte = (at % 251) as u8;
    }
    let source = black_box(source);
    for len in 0..=LONGEST {
        for to in 1..=ALIGNMENTS {
            for from in 0..ALIGNMENTS {
                let source = &source[from..from + black_box(len)];
                let mut room = black_box([252; ROOM]);
                room[to..to + len].copy_from_slice(source);
                let is_right = |(at, &byte): (usize, &u8)| {
                    byte == *source.get(at.wrapping_sub(to)).unwrap_or(&252)
                };
                assert!(black_box(&room).iter().enumerate().all(is_right), "memcpy");
            }
            let mut room = black_box([252; ROOM]);
            room[to..to + black_box(len)].fill(black_box(253));
            let is_right = |(at, &byte): (usize, &u8)| {
                byte == if (to..to + len).contains(&at) { 253 } else { 252 }
            };
            assert!(black_box(&room).iter().enumerate().all(is_right), "memset");
        }
    }
    rt::exit(0)
}
