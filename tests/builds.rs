//! Every build that a reader may make: it works, it is small, and where it can't be it says so.

use crate::harness::{
    self, Client, MULTICAST, Process, Program, Runtime, Scratch, Sender, Switches, Variant, cargo,
    built, cargo_target, is_blocked, project, read, run, wait_for,
};
use libtest_mimic::Trial;
use nix::libc::SYS_recvfrom;
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        harness::trial("builds_in_each_profile", in_each_profile),
        harness::trial("builds_install", install),
        harness::trial("builds_package", package),
        harness::trial("builds_workspace", workspace),
        harness::trial("builds_moved", moved),
        harness::trial("builds_unsupported", unsupported),
        harness::trial("builds_unsafe_in_rt_alone", unsafe_in_rt_alone),
    ];
    // Not among the ordinary trials: each builds all that the ports need.
    for linker in LINKERS {
        let name = format!("link_{linker}");
        let trial = harness::trial(name, move || linked_by(linker));
        trials.push(trial.with_ignored_flag(true));
    }
    for program in Program::ALL {
        let name = |check| format!("builds_{}_{check}", program.name());
        trials.push(harness::trial(name("small_and_hard"), move || small_and_hard(program)));
        if Program::SERVERS.contains(&program) {
            trials.push(harness::trial(name("panics_with_a_place"), move || {
                panics_with_a_place(program)
            }));
        }
    }
    trials
}

/// rustc takes rust-lld by itself: the other trials link with it.
const LINKERS: [&str; 4] = ["bfd", "gold", "lld", "mold"];

/// Runs the command, which must succeed and print nothing on standard error.
fn quietly(command: &mut Command) {
    let output = run(command);
    assert!(output.status.success(), "{command:?}\n{}{}", output.stdout, output.stderr);
    assert_eq!(output.stderr, "", "{command:?}");
}

/// One conversation with a server, or one datagram to the receiver, that has just been built.
pub fn converse(program: Program, command: &mut Command) {
    harness::in_namespace(|| {
        let mut process = Process::start_on_terminal(command);
        if program == Program::Ureuseaddr {
            wait_for("recvfrom", || is_blocked(process.pid(), SYS_recvfrom).then_some(()));
            Sender::new().send(MULTICAST, b"hello\n");
            let line = format!("[{}] {}: hello\n", process.pid(), Sender::PORT);
            return process.stdout.wait_for(&line);
        }
        let mut client = Client::connect();
        client.exchange("hello\n");
        client.shutdown();
        assert_eq!(process.wait(), 0);
        process.stdout.wait_for(&format!("{}client close: 4\n", program.prefix()));
    });
}

/// A conversation with each program in a folder.
fn converse_with_all(folder: &Path) {
    for program in Program::ALL {
        converse(program, &mut Command::new(folder.join(program.name())));
    }
}

fn in_each_profile() {
    for profile in ["dev", "release"] {
        for switches in Switches::ALL {
            for runtime in [vec![], vec!["libc"]] {
                let features = [switches.features(), runtime].concat().join(",");
                // A folder of its own: the variants that others run are in the usual one.
                let target = cargo_target("profiles");
                let mut cargo = cargo("build", &target);
                cargo.args(["--offline", "--profile", profile, "--features", &features]);
                for program in Program::ALL {
                    cargo.args(["--bin", program.name()]);
                }
                quietly(&mut cargo);
                converse_with_all(&built(
                    &target,
                    if profile == "dev" { "debug" } else { profile },
                ));
            }
        }
    }
}

fn install() {
    let scratch = Scratch::new();
    let mut cargo = cargo("install", &cargo_target("install"));
    cargo
        .args(["--offline", "--locked", "--path", ".", "--no-track", "--root"])
        .arg(scratch.path());
    let output = run(&mut cargo);
    assert!(output.status.success(), "{}", output.stderr);
    converse_with_all(&scratch.path().join("bin"));
}

fn package() {
    let target = cargo_target("package");
    quietly(cargo("package", &target).args(["--allow-dirty", "--offline"]));
}

/// What an editor does: all packages at once, so that they share the features of their libraries.
/// None may give the ports std.
fn workspace() {
    let target = cargo_target("workspace");
    quietly(cargo("check", &target).args(["--offline", "--workspace", "--all-targets"]));
}

/// A checkout that has been built is moved; then two checkouts are built in one target folder.
fn moved() {
    let scratch = Scratch::new();
    let [first, second, third] = ["first", "second", "third"].map(|name| scratch.path().join(name));
    let build = |checkout: &Path, target: &Path| {
        // The sources alone are newer: the build script does not run again by itself.
        let source = File::options().append(true).open(checkout.join("src/treuseaddr.rs"));
        let source = source.expect("it is ours");
        source.set_modified(SystemTime::now()).expect("it is ours");
        let mut cargo = cargo("build", target);
        quietly(cargo.args(["--offline", "--bin", "treuseaddr"]).current_dir(checkout));
        let program = built(target, "debug").join("treuseaddr");
        converse(Program::Treuseaddr, &mut Command::new(program));
    };

    fs::create_dir(&first).expect("it is ours");
    let mut copy = Command::new("cp");
    copy.args(["-a", "--no-preserve=ownership"])
        .args(["Cargo.toml", "Cargo.lock", "build.rs", "src", "tests"].map(project));
    quietly(copy.arg(&first));
    build(&first, &first.join("target"));
    fs::rename(&first, &second).expect("it is ours");
    build(&second, &second.join("target"));

    let shared = scratch.path().join("shared");
    build(&second, &shared);
    fs::rename(&second, &third).expect("it is ours");
    build(&third, &shared);
}

/// As with the linker that rustc takes by itself.
fn linked_by(linker: &str) {
    let target = cargo_target(linker);
    let mut cargo = cargo("build", &target);
    cargo.args(["--offline", "--release", "--bins"]);
    let output = run(cargo.env("RUSTFLAGS", format!("-C link-arg=-fuse-ld={linker}")));
    assert!(output.status.success(), "{}", output.stderr); // rustc warns of gold
    let folder = built(&target, "release");
    converse_with_all(&folder);
    for program in Program::ALL {
        is_small_and_hard(&folder.join(program.name()));
    }
}

/// What the build script says of a target that the default runtime does not serve, if no linker for
/// another machine is set or it is missing, and of settings with which the programs cannot be built.
fn unsupported() {
    let build = cargo_target("variants").join("release/build");
    let script = fs::read_dir(&build)
        .expect("prepare has built there")
        .map(|entry| entry.expect("it is a folder").path().join("build-script-build"))
        .find(|path| path.is_file() && path.to_string_lossy().contains("treuseaddr-"))
        .expect("prepare has built it");
    let out = Scratch::new();
    let says = |target: &str, width: &str, endian: &str, settings: &[(&str, &str)]| {
        let (arch, rest) = target.split_once('-').expect("it is a triple");
        let mut command = Command::new(&script);
        command
            .env_remove("CARGO_FEATURE_LIBC")
            .env_remove("RUSTC_LINKER")
            .env("OUT_DIR", out.path())
            .env("HOST", "sparc64-unknown-linux-gnu")
            .env("TARGET", target)
            .env("CARGO_ENCODED_RUSTFLAGS", "")
            .env("CARGO_CFG_TARGET_OS", rest.split('-').nth(1).expect("it is a triple"))
            .env("CARGO_CFG_TARGET_ARCH", arch.trim_end_matches("_be"))
            .env("CARGO_CFG_TARGET_POINTER_WIDTH", width)
            .env("CARGO_CFG_TARGET_ENDIAN", endian)
            .envs(settings.iter().copied());
        let output = run(&mut command);
        let error = output.stdout.lines().filter_map(|line| line.strip_prefix("cargo::error="));
        error.map(str::to_owned).collect::<Vec<_>>()
    };
    for (target, width, endian) in [
        ("i686-unknown-linux-gnu", "32", "little"),
        ("x86_64-unknown-linux-gnux32", "32", "little"),
        ("aarch64_be-unknown-linux-gnu", "64", "big"),
        ("s390x-unknown-linux-gnu", "64", "big"),
        ("x86_64-unknown-freebsd", "64", "little"),
        ("aarch64-apple-darwin", "64", "little"),
    ] {
        assert_eq!(
            says(target, width, endian, &[]),
            [format!(
                "the default runtime serves 64-bit, little-endian Linux on x86_64, aarch64 and \
                 riscv64, not {target}: build with --features libc"
            )]
        );
    }
    let target = "aarch64-unknown-linux-gnu";
    assert_eq!(
        says(target, "64", "little", &[]),
        ["no linker is set for aarch64-unknown-linux-gnu: sudo apt-get install \
          gcc-aarch64-linux-gnu, and set \
          CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc"]
    );
    assert_eq!(
        says(target, "64", "little", &[("RUSTC_LINKER", "no-such-linker")]),
        ["no-such-linker is not installed: sudo apt-get install gcc-aarch64-linux-gnu"]
    );
    assert_eq!(says(target, "64", "little", &[("RUSTC_LINKER", "cc")]), [""; 0]);

    let unwind = "the programs cannot unwind: leave panic=unwind out";
    let coverage = "instrument-coverage needs a C library: build with --features libc";
    let sanitizer =
        "sanitizer= needs a C library: build with --features libc and -C link-arg=-lgcc_s";
    for (variable, value, expected) in [
        ("CARGO_ENCODED_RUSTFLAGS", "-C\x1fpanic=unwind", unwind),
        ("CARGO_PROFILE_RELEASE_PANIC", "unwind", unwind),
        ("CARGO_ENCODED_RUSTFLAGS", "-Cinstrument-coverage", coverage),
        ("CARGO_ENCODED_RUSTFLAGS", "-Z\x1fsanitizer=address", sanitizer),
    ] {
        let settings = [("RUSTC_LINKER", "cc"), ("PROFILE", "release"), (variable, value)];
        assert_eq!(says(target, "64", "little", &settings), [expected]);
    }
}

fn unsafe_in_rt_alone() {
    fn check(folder: &Path) {
        for entry in fs::read_dir(folder).expect("it is a folder") {
            let path = entry.expect("it is a folder").path();
            if path.is_dir() {
                check(&path);
            } else if path.ends_with("why/raw.rs") {
                // The one file of `bindtable` that may: its own test has no other way in.
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("it is a text");
                for word in ["unsafe {", "unsafe fn", "unsafe impl", "#[unsafe("] {
                    // In this file the words stand in string literals.
                    let found =
                        source.lines().any(|line| line.contains(word) && !line.contains('"'));
                    assert!(!found, "{path:?} has {word:?}");
                }
            }
        }
    }
    check(&project("tests"));
    check(&project("src/bindtable"));
    for file in ["build.rs", "src/treuseaddr.rs", "src/treuseaddr2.rs", "src/ureuseaddr.rs"] {
        assert!(!read(file).replace("forbid(unsafe_code)", "").contains("unsafe"), "{file}");
    }
}

fn small_and_hard(program: Program) {
    for switches in Switches::ALL {
        is_small_and_hard(&Variant::new(program, Runtime::Raw).with(switches).path());
    }
}

/// Under 8 KiB, or 40 KiB for a newer processor than the base model (`-C target-cpu`): Rust's own
/// libraries are compiled for that one, and across the border the linker finds no unused message of a
/// panic. No loader, no relocation, nothing both writable and executable, no executable stack.
pub fn is_small_and_hard(path: &Path) {
    let size = fs::metadata(path).expect("it is built").len();
    let limit = if cfg!(target_feature = "sse3") { 40 << 10 } else { 8 << 10 };
    assert!(size < limit, "{path:?} has {size} bytes");
    let readelf = |option| run(Command::new("readelf").args([option, "-W"]).arg(path)).stdout;
    let segments = readelf("--segments");
    assert!(!segments.contains("INTERP") && !segments.contains("RWE"), "{segments}");
    assert!(segments.lines().any(|line| line.contains("GNU_STACK") && line.contains(" RW ")));
    let relocations = readelf("--relocs");
    assert!(relocations.contains("There are no relocations"), "{relocations}");
}

/// The ports panic only if read returns more than its buffer holds, which strace fakes here. rustix limits
/// the receiver's number to the buffer's length.
fn panics_with_a_place(program: Program) {
    let line = read(&format!("src/{}.rs", program.name()))
        .lines()
        .position(|line| line.contains("&buff[..num"))
        .map_or(0, |index| index + 1);
    for runtime in [Runtime::Raw, Runtime::Libc] {
        harness::in_namespace(|| {
            let variant = Variant::new(program, runtime);
            // A process's second read: the first may be the loader's, of the C library.
            let inject = "--inject=read:retval=200:when=2";
            let mut strace = Command::new("strace");
            strace.args(["-f", "-o", "/dev/null", "--trace=read", inject]).arg(variant.path());
            let mut server = Process::start(&mut strace);
            let mut client = Client::connect();
            client.0.write_all(b"hello\n").expect("the server reads");
            let message = format!("panicked at src/{}.rs:{line}\n", program.name());
            server.stderr.wait_for(&message);
            if program == Program::Treuseaddr {
                assert_eq!(server.wait(), -(Signal::SIGABRT as i32));
            }
        });
    }
}
