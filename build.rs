//! The link of the default runtime (`src/rt/raw.rs`).

use std::path::Path;
use std::{env, fs};

/// The machines of which `src/rt/raw/` has a file, and Debian's package of a linker for each.
const MACHINES: [(&str, &str); 3] = [
    ("x86_64", "gcc-x86-64-linux-gnu"),
    ("aarch64", "gcc-aarch64-linux-gnu"),
    ("riscv64", "gcc-riscv64-linux-gnu"),
];

fn main() {
    // For the tests, which look for what cargo has built.
    println!("cargo::rustc-env=TARGET={}", variable("TARGET"));
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MOLD_PATH");
    let is_raw = env::var_os("CARGO_FEATURE_LIBC").is_none();
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let trouble = refuse(&flags, is_raw).and_then(|()| match is_raw {
        true => link_arguments(&flags),
        false => Ok(()),
    });
    if let Err(trouble) = trouble {
        println!("cargo::error={trouble}");
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Says what to do about a setting with which the linker or rustc would fail.
fn refuse(flags: &str, is_raw: bool) -> Result<(), String> {
    let profile = variable("PROFILE").replace("debug", "dev").to_uppercase();
    let panic = format!("CARGO_PROFILE_{profile}_PANIC");
    println!("cargo::rerun-if-env-changed={panic}");
    if flags.contains("panic=unwind") || variable(&panic) == "unwind" {
        return Err("the programs cannot unwind: leave panic=unwind out".into());
    }
    for (flag, and) in [("instrument-coverage", ""), ("sanitizer=", " and -C link-arg=-lgcc_s")] {
        if is_raw && flags.contains(flag) {
            return Err(format!("{flag} needs a C library: build with --features libc{and}"));
        }
    }
    Ok(())
}

fn link_arguments(flags: &str) -> Result<(), String> {
    let target = variable("TARGET");
    let arch = variable("CARGO_CFG_TARGET_ARCH");
    let package = MACHINES.iter().find(|(machine, _)| *machine == arch).map(|(_, package)| package);
    let is_served = variable("CARGO_CFG_TARGET_OS") == "linux"
        && variable("CARGO_CFG_TARGET_POINTER_WIDTH") == "64"
        && variable("CARGO_CFG_TARGET_ENDIAN") == "little";
    let Some(package) = package.filter(|_| is_served) else {
        return Err(format!(
            "the default runtime serves 64-bit, little-endian Linux on x86_64, aarch64 and \
             riscv64, not {target}: build with --features libc"
        ));
    };

    let is_foreign = !variable("HOST").starts_with(&*arch);
    let linker = variable("RUSTC_LINKER");
    if is_foreign && linker.is_empty() && !flags.contains("linker=") {
        let name = target.to_uppercase().replace('-', "_");
        return Err(format!(
            "no linker is set for {target}: sudo apt-get install {package}, and set \
             CARGO_TARGET_{name}_LINKER={arch}-linux-gnu-gcc"
        ));
    }
    let path = variable("PATH");
    if !linker.is_empty() && env::split_paths(&path).all(|dir| !dir.join(&linker).is_file()) {
        return Err(format!("{linker} is not installed: sudo apt-get install {package}"));
    }

    // No start files and no library; addresses fixed, so that nothing is left to relocate.
    let mut arguments = vec!["-nostartfiles".to_owned(), "-nostdlib".into(), "-static".into()];
    arguments.extend(["-no-pie".into(), "-Wl,--entry=rt_start".into()]);
    // Nothing unwinds, and nobody looks a build up by its number.
    arguments.extend(["-Wl,--no-eh-frame-hdr".into(), "-Wl,--build-id=none".into()]);
    // One segment, laid out by hand; mold reads no script and lays out three.
    if flags.contains("mold") || env::var_os("MOLD_PATH").is_some() {
        arguments.push("-Wl,-z,noseparate-code".into());
    } else {
        // A copy: cargo knows where it is, also once the checkout has moved.
        let script = Path::new(&variable("OUT_DIR")).join("raw.ld");
        fs::write(&script, include_str!("src/rt/raw.ld"))
            .map_err(|error| format!("{}: {error}", script.display()))?;
        arguments.push(format!("-T{}", script.display()));
    }
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    Ok(())
}
