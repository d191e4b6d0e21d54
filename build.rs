//! The link of the default runtime (`src/rt/raw.rs`), and the words of its `perror`.

use std::env;
use std::fs;
use std::io;
use std::path::Path;

/// Linux gives a failed call a number from 1 to this (`MAX_ERRNO` in `include/linux/err.h`).
const MAX_ERRNO: i32 = 4095;

/// The programs that are linked so.
const PORTS: [&str; 3] = ["treuseaddr", "treuseaddr2", "ureuseaddr"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_LIBC").is_some() {
        return;
    }
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let (os, arch, width) = (target("OS"), target("ARCH"), target("POINTER_WIDTH"));
    if (&*os, &*arch, &*width) != ("linux", "x86_64", "64") {
        println!(
            "cargo::error=the default runtime serves x86-64 Linux alone, not {arch} {os}: \
             build with --features libc"
        );
        return;
    }

    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo::rerun-if-changed=src/rt/raw.ld");
    for argument in [
        // No start files and no library; addresses fixed, so that nothing is left to relocate.
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        // One segment, laid out by hand.
        &format!("-T{folder}/src/rt/raw.ld"),
        // Nothing unwinds, and nobody looks a build up by its number.
        "-Wl,--no-eh-frame-hdr",
        "-Wl,--build-id=none",
    ] {
        for port in PORTS {
            println!("cargo::rustc-link-arg-bin={port}={argument}");
        }
    }

    let texts = strerror_texts();
    let mut starts = vec![0];
    starts.extend(texts.iter().scan(0, |start, text| {
        *start += text.len();
        Some(*start)
    }));
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let write = |name: &str, text: String| {
        fs::write(Path::new(&out).join(name), text).expect("OUT_DIR is writable");
    };
    write("strerror", texts.concat());
    write("strerror_starts", format!("{starts:?}"));
}

/// What this machine's C library says of each error number; a number without a message of its own
/// has the empty one. At 0, where there is no error, stand the words for those: `Unknown error `,
/// to be followed by the number.
fn strerror_texts() -> Vec<String> {
    let unknown = strerror(MAX_ERRNO).replace(&MAX_ERRNO.to_string(), "");
    let mut texts = vec![unknown.clone()];
    for errno in 1..MAX_ERRNO {
        let message = strerror(errno);
        let is_known = message.replace(&errno.to_string(), "") != unknown;
        texts.push(if is_known { message } else { String::new() });
    }
    while texts.last().is_some_and(String::is_empty) {
        texts.pop();
    }
    texts
}

/// strerror(3): std asks the C library and adds the number.
fn strerror(errno: i32) -> String {
    let message = io::Error::from_raw_os_error(errno).to_string();
    let number = format!(" (os error {errno})");
    message.strip_suffix(&number).unwrap_or(&message).to_owned()
}
