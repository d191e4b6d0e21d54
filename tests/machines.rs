//! The raw runtime on machines that this one only emulates: the ports beside the C twins, both built for
//! that machine, under qemu-user. The calls are those that QEMU's `-strace` shows.

use crate::builds::{converse, is_small_and_hard};
use crate::echo::echo;
use crate::kernels::{explained, predicted};
use crate::harness::{
    self, Client, MULTICAST, Process, Program, Scratch, Sender, Switches, UNICAST, cargo_target,
    compile, boot, download, download_kernel, download_std, downloaded, project, hold_port,
    hold_udp_port, in_namespace, is_blocked, run, std_source, wait_for,
};
use crate::runtime;
use libtest_mimic::Trial;
use nix::libc::{SYS_accept4, SYS_read, SYS_recvfrom, c_long};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A machine, under the name that Debian's cross compilers and QEMU have for it.
struct Machine {
    name: &'static str,
    target: &'static str,
    kernel: Kernel,
    is_built: OnceLock<()>,
}

/// One of Debian's kernels.
struct Kernel {
    /// The name that its download has.
    name: &'static str,
    suite: &'static str,
    /// Debian's name of the machine, and of the flavour: its package is `linux-image-FLAVOUR`.
    machine: &'static str,
    flavour: &'static str,
    /// How its version begins.
    version: &'static str,
}

static MACHINES: [Machine; 2] = [
    Machine {
        name: "aarch64",
        target: "aarch64-unknown-linux-gnu",
        kernel: Kernel {
            name: "kernel_arm64",
            suite: "bookworm",
            machine: "arm64",
            flavour: "cloud-arm64",
            version: "6.1.",
        },
        is_built: OnceLock::new(),
    },
    Machine {
        name: "riscv64",
        target: "riscv64gc-unknown-linux-gnu",
        kernel: Kernel {
            name: "kernel_riscv64",
            suite: "trixie",
            machine: "riscv64",
            flavour: "riscv64",
            version: "6.12.",
        },
        is_built: OnceLock::new(),
    },
];

const MUSL: &str = "x86_64-unknown-linux-musl";

/// Machines that the raw runtime does not serve, where the ports run on the C library: the name, the
/// target, Debian's name of the machine, and QEMU's.
const ON_LIBC: [(&str, &str, &str, &str); 3] = [
    ("i686", "i686-unknown-linux-gnu", "i686-linux-gnu", "i386"),
    ("armv7", "armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf", "arm"),
    ("s390x", "s390x-unknown-linux-gnu", "s390x-linux-gnu", "s390x"),
];

/// Where the ports at least compile for the C library. No test runs them there.
const COMPILED: [&str; 8] = [
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    "x86_64-unknown-freebsd",
    "x86_64-unknown-netbsd",
    "x86_64-unknown-openbsd",
    "x86_64-unknown-illumos",
    "aarch64-linux-android",
    "powerpc64le-unknown-linux-gnu",
];

/// Not among the ordinary trials: they build Rust's `core` for each machine.
pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        harness::trial("machine_x86_64_musl", musl),
        harness::trial("machine_aarch64_kernel", kernel),
        harness::trial("machine_others_compile", others_compile),
    ];
    for (name, target, debian, qemu) in ON_LIBC {
        let name = format!("machine_{name}_on_libc");
        trials.push(harness::trial(name, move || on_libc(target, debian, qemu)));
    }
    for machine in &MACHINES {
        for (name, check) in [
            ("each_build", Machine::each_build as fn(&Machine)),
            ("echo", Machine::echo),
            ("memory", Machine::memory),
            ("messages", Machine::messages),
            ("traces", Machine::traces),
            ("bindtable", Machine::bindtable),
        ] {
            let name = format!("machine_{}_{name}", machine.name);
            trials.push(harness::trial(name, move || check(machine)));
        }
    }
    trials.into_iter().map(|trial| trial.with_ignored_flag(true)).collect()
}

/// Starts the downloads that the wanted trials need: to be called before all networks are left.
pub fn prepare(wanted: &[String]) -> Result<(), String> {
    if wanted.iter().any(|name| name.starts_with("machine_")) {
        let [first, second] = MACHINES.each_ref().map(|machine| machine.target);
        let mut targets = vec![first, second, MUSL];
        targets.extend(ON_LIBC.map(|(_, target, ..)| target));
        targets.extend(COMPILED);
        download_std(&targets);
    }
    let is_wanted = |name: &str| wanted.iter().any(|wanted| wanted == name);
    for Machine { name, kernel, .. } in &MACHINES {
        let trials = ["bindtable", "kernel"].map(|what| format!("machine_{name}_{what}"));
        if trials.iter().any(|trial| is_wanted(trial)) {
            download_kernel(kernel.name, kernel.suite, kernel.machine, kernel.flavour);
        }
    }
    if is_wanted("machine_aarch64_kernel") {
        download("busybox-arm64", &["bookworm", "arm64", "{}", "busybox-static"]);
    }
    Ok(())
}

/// cargo for a target whose libraries this toolchain may not have.
fn cargo(target: &str, folder: &str, libraries: &str) -> Command {
    cargo_to("build", target, folder, libraries)
}

fn cargo_to(subcommand: &str, target: &str, folder: &str, libraries: &str) -> Command {
    let mut cargo = harness::cargo(subcommand, &cargo_target(folder));
    cargo.args(["--offline", "--target", target]);
    if let Some(source) = std_source(target) {
        // Rust's `core` without optimization calls memcmp(3), which the libraries as they are
        // installed do not.
        let optimized = ["--config", "profile.dev.package.core.opt-level=3"];
        cargo.args(["-Z", &format!("build-std={libraries}")]).args(optimized);
        cargo.env("RUSTC_BOOTSTRAP", "1").env("__CARGO_TESTS_ONLY_SRC_ROOT", source);
    }
    cargo
}

fn succeed(command: &mut Command) {
    let output = run(command);
    assert!(output.status.success(), "{command:?}\n{}{}", output.stdout, output.stderr);
}

impl Machine {
    /// Its C compiler.
    fn compiler(&self) -> String {
        format!("{}-linux-gnu-gcc", self.name)
    }

    /// cargo for this machine, with that linker.
    fn cargo(&self, folder: &str, libraries: &str) -> Command {
        let mut cargo = cargo(self.target, folder, libraries);
        let variable = self.target.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), self.compiler());
        cargo
    }

    /// cargo for a program on std that needs no library.
    fn static_cargo(&self) -> Command {
        let mut cargo = self.cargo("machines-std", "std,panic_abort");
        cargo.arg("--release").env("RUSTFLAGS", "-C target-feature=+crt-static");
        cargo
    }

    fn static_program(&self, name: &str) -> PathBuf {
        cargo_target("machines-std").join(self.target).join("release").join(name)
    }

    /// A program as it was built: `c`, `release` or `debug`.
    fn path(&self, kind: &str, switches: Switches, program: Program) -> PathBuf {
        let name = [&[kind][..], &switches.features()].concat().join("-");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.target).join(name);
        folder.join(program.name())
    }

    /// Builds the ports in both profiles and the C twins, with every set of switches.
    fn build(&self) {
        let compiler = self.compiler();
        for switches in Switches::ALL {
            for (profile, kind) in [("dev", "debug"), ("release", "release")] {
                let mut cargo = self.cargo("machines", "core");
                cargo.args([
                    "--bins",
                    "--profile",
                    profile,
                    "--features",
                    &switches.features().join(","),
                ]);
                succeed(&mut cargo);
                for program in Program::ALL {
                    let built = cargo_target("machines").join(self.target).join(kind);
                    let path = self.path(kind, switches, program);
                    fs::create_dir_all(path.parent().expect("it has a folder"))
                        .expect("it is ours");
                    fs::copy(built.join(program.name()), path).expect("it is built");
                }
            }
            let path = self.path("c", switches, Program::Treuseaddr);
            let folder = path.parent().expect("it has a folder");
            fs::create_dir_all(folder).expect("it is ours");
            compile(&compiler, &["-static"], folder, switches).expect("it compiles");
        }
    }

    /// QEMU with a program, which is built if it is not yet.
    fn command(&self, kind: &str, switches: Switches, program: Program) -> Command {
        self.is_built.get_or_init(|| self.build());
        let mut qemu = Command::new(format!("qemu-{}", self.name));
        qemu.arg(self.path(kind, switches, program));
        qemu
    }

    /// Every build serves, and each release build is small.
    fn each_build(&self) {
        for kind in ["c", "debug", "release"] {
            for switches in Switches::ALL {
                for program in Program::ALL {
                    converse(program, &mut self.command(kind, switches, program));
                }
                if kind == "release" {
                    for program in Program::ALL {
                        is_small_and_hard(&self.path(kind, switches, program));
                    }
                }
            }
        }
    }

    /// The server returns every byte, however the client cuts the data.
    fn echo(&self) {
        for size in [1, 99, 100, 101, 65_537, 1_000_000] {
            echo(&mut self.command("release", Switches::default(), Program::Treuseaddr), size);
        }
    }

    /// memcpy(3) and memset(3), for each length and alignment.
    fn memory(&self) {
        let mut cargo = self.cargo("machines-rt", "core");
        cargo.args(["--release", "--bin", "memory"]);
        let output = runtime::run_on_package(&mut cargo);
        assert!(output.status.success(), "{cargo:?}\n{}", output.stderr);
        let program = cargo_target("machines-rt").join(self.target).join("release/memory");
        succeed(Command::new(format!("qemu-{}", self.name)).arg(program));
    }

    /// Each call fails, and the port says of it what C says. strace makes QEMU's own call fail, which
    /// is the program's.
    fn messages(&self) {
        for (program, calls) in [
            (Program::Treuseaddr, &["socket", "bind", "listen", "accept4"][..]),
            (Program::Treuseaddr2, &["clone"]),
            (Program::Ureuseaddr, &["socket", "bind", "setsockopt", "recvfrom"]),
        ] {
            for call in calls {
                for error in ["EACCES", "ENOTNAM", "ENOTRECOVERABLE", "EAGAIN"] {
                    let [c, raw] = ["c", "release"].map(|kind| {
                        let qemu = self.command(kind, Switches::default(), program);
                        in_namespace(|| fails(&qemu, program, call, error))
                    });
                    assert_eq!(raw, c, "{} {call} {error}", program.name());
                    let is_known = c.0.contains("accept: : ")
                        || c.0.contains(&format!("{}: : ", call.replace("clone", "fork")));
                    assert!(is_known, "{c:?}");
                }
            }
        }
    }

    /// The port makes the calls that C makes, in each scenario.
    fn traces(&self) {
        for switches in Switches::ALL {
            for program in Program::SERVERS {
                for scenario in [closes, resets, interrupted, port_in_use] {
                    self.compare(switches, program, scenario);
                }
            }
            for scenario in [datagrams, udp_port_in_use] {
                self.compare(switches, Program::Ureuseaddr, scenario);
            }
        }
    }

    /// Every cell of the bind table, on Debian's kernel for that machine: the model predicts it, as on x86-64.
    /// And `bindtable why` explains four failures there.
    fn bindtable(&self) {
        succeed(self.static_cargo().args(["--package", "bindtable"]));
        let program = self.static_program("bindtable");
        explained(self.kernel.name, &program, &self.compiler());
        predicted(self.kernel.name, &program, self.kernel.version);
    }

    fn compare(&self, switches: Switches, program: Program, scenario: Scenario) {
        let [c, raw] = ["c", "release"].map(|kind| {
            in_namespace(|| {
                let logs = Scratch::new();
                let qemu = self.command(kind, switches, program);
                // Two processes write into QEMU's log at the same time: strace tells them apart.
                let mut traced = Command::new("strace");
                traced.args(["-DD", "-ff", "-s4096", "--trace=write", "--signal=none", "-o"]);
                traced.arg(logs.path().join("log")).arg(qemu.get_program()).arg("-strace");
                traced.arg("-D").arg(logs.path().join("qemu")).args(qemu.get_args());
                let mut process = scenario(&mut traced, kind == "c");
                drop(traced); // it has the terminal open
                let said = process.stdout.to_end();
                let status = process.wait();
                Seen::new(logs.path(), process.pid(), said, status)
            })
        });
        assert!(raw.calls.iter().all(|calls| calls.len() > 2), "{raw:?}");
        assert_eq!(raw, c.without_the_library(), "{}: {switches:?}", program.name());
    }
}

/// What a program under QEMU says and its status if a call fails.
fn fails(qemu: &Command, program: Program, call: &str, error: &str) -> (String, i32) {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null"]);
    strace.args([format!("--trace={call}"), format!("--inject={call}:error={error}")]);
    strace.arg(qemu.get_program()).args(qemu.get_args());
    let mut process = Process::start_on_terminal(&mut strace);
    drop(strace); // it has the terminal open
    let client = (program == Program::Treuseaddr2).then(Client::connect);
    let status = process.wait();
    drop(client);
    (process.stdout.to_end(), status)
}

/// What happens to a program, from its start until it ends or is about to.
type Scenario = fn(&mut Command, is_c: bool) -> Process;

/// The process that serves: treuseaddr2's child once there is one.
fn server(process: &Process) -> Pid {
    process.descendant().unwrap_or(process.pid())
}

fn wait_for_call(process: &Process, call: c_long) {
    wait_for("the call to wait", || is_blocked(server(process), call).then_some(()));
}

fn connect(command: &mut Command) -> (Process, Client) {
    let process = Process::start_on_terminal(command);
    wait_for_call(&process, SYS_accept4); // as which QEMU makes accept
    let client = Client::connect();
    wait_for_call(&process, SYS_read);
    if server(&process) != process.pid() {
        process.stdout.wait_for("parent exit\n"); // what the child says comes after that
    }
    (process, client)
}

fn closes(command: &mut Command, _: bool) -> Process {
    let (process, mut client) = connect(command);
    for size in [6, 99, 100] {
        client.exchange(&"x".repeat(size));
        wait_for_call(&process, SYS_read);
    }
    client.shutdown();
    process
}

/// C goes on for ever, and is killed.
fn resets(command: &mut Command, is_c: bool) -> Process {
    let (process, client) = connect(command);
    client.reset();
    if is_c {
        let count = || process.stdout.text().matches("client error").count();
        wait_for("C to go on", || (count() > 2).then_some(()));
        kill(server(&process), Signal::SIGKILL).expect("it goes on");
    }
    process
}

fn interrupted(command: &mut Command, _: bool) -> Process {
    let (process, mut client) = connect(command);
    *command = Command::new(""); // it had the terminal open
    client.exchange("hello\n");
    wait_for_call(&process, SYS_read);
    kill(server(&process), Signal::SIGINT).expect("it waits");
    process.stdout.to_end(); // only then the client closes
    process
}

fn port_in_use(command: &mut Command, _: bool) -> Process {
    let _holder = hold_port();
    let mut process = Process::start_on_terminal(command);
    process.wait();
    process
}

fn datagrams(command: &mut Command, _: bool) -> Process {
    let process = Process::start_on_terminal(command);
    wait_for_call(&process, SYS_recvfrom);
    let sender = Sender::new();
    for (to, text) in [(UNICAST, "one\n"), (MULTICAST, "two"), (UNICAST, &*"x".repeat(200))] {
        sender.send(to, text.as_bytes());
        wait_for_call(&process, SYS_recvfrom);
    }
    process.signal(Signal::SIGTERM);
    process
}

fn udp_port_in_use(command: &mut Command, _: bool) -> Process {
    let _holder = hold_udp_port();
    let mut process = Process::start_on_terminal(command);
    process.wait();
    process
}

/// What a program has done: what it says, its status, and the calls of each process, the first one's
/// first; what differs from run to run has a name.
#[derive(Debug, PartialEq)]
struct Seen {
    said: String,
    /// None where the client has reset the connection: C goes on from there, and is cut off.
    status: Option<i32>,
    calls: Vec<Vec<String>>,
}

impl Seen {
    fn new(logs: &Path, first: Pid, said: String, status: i32) -> Self {
        let mut processes: Vec<i32> = fs::read_dir(logs)
            .expect("it is ours")
            .filter_map(|entry| {
                entry.ok()?.file_name().to_str()?.strip_prefix("log.")?.parse().ok()
            })
            .collect();
        processes.sort_by_key(|process| *process != first.as_raw());
        let name = |text: &str| text.replace(&first.to_string(), "PID");
        let calls = processes.into_iter().map(|process| {
            let log = fs::read_to_string(logs.join(format!("log.{process}"))).expect("it is ours");
            // Its first file is the log. What has no number is what fork has returned to the child.
            let texts =
                log.lines().filter_map(|line| line.strip_prefix("write(3, \"")?.split_once("\", "));
            let text: String = texts.map(|(text, _)| text).collect();
            let text = text.replace("\\\"", "\"").replace("\\n", "\n");
            let calls = text.lines().filter_map(|line| line.split_once(' '));
            let calls = calls.filter(|(process, _)| !process.is_empty());
            calls.map(|(_, call)| name(&named(call))).collect::<Vec<_>>()
        });
        let mut seen = Self {
            said: name(&said),
            status: Some(status),
            calls: calls.filter(|calls| !calls.is_empty()).collect(),
        };
        if let Some(first) = seen.calls.first_mut() {
            let start = first.iter().position(|call| call.starts_with("socket("));
            first.drain(..start.expect("QEMU has seen it"));
        }
        for calls in &mut seen.calls {
            if let Some(reset) = calls.iter().position(|call| call.contains("errno=104 ")) {
                let close = calls[reset..].iter().position(|call| call.starts_with("close("));
                calls.truncate(reset + close.expect("the descriptor is closed") + 1);
                let error = seen.said.find("client error: ").expect("the error is said");
                let end = seen.said[error..].find('\n').expect("it is a line");
                seen.said.truncate(error + end);
                seen.status = None;
            }
        }
        seen
    }

    /// Without what docs/differences.md lists: what the C library adds, calls and flags of fork(2).
    fn without_the_library(mut self) -> Self {
        const ADDED: [&str; 9] = [
            "brk(",
            "dup(",
            "fcntl(",
            "fstat(",
            "getrandom(",
            "newfstatat(",
            "rt_sigprocmask(",
            "set_robust_list(",
            "statx(",
        ];
        for calls in &mut self.calls {
            let mut duplicate = None;
            calls.retain_mut(|call| {
                if let Some(number) = call.strip_prefix("dup(2) = ") {
                    duplicate = Some(number.to_owned());
                } else if let Some(number) = &duplicate {
                    *call = call.replace(&format!("write({number},"), "write(2,");
                    if call.starts_with(&format!("close({number})")) {
                        return false;
                    }
                }
                *call = call.replace("CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|", "");
                !ADDED.iter().any(|added| call.starts_with(added))
            });
        }
        self
    }
}

/// A call with names in place of what differs from run to run.
fn named(call: &str) -> String {
    if let Some((flags, _)) = call.split_once(',').filter(|(start, _)| start.starts_with("clone("))
    {
        return flags.to_owned(); // what comes after, this clone does not look at
    }
    let is_address = |number: &str| number.starts_with("0x") || number.len() > 10;
    let mut text = String::new();
    for part in call.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let number = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        match number.starts_with(|c: char| c.is_ascii_digit()) && is_address(number) {
            true => text += &part.replace(number, "ADDRESS"),
            false => text += part,
        }
    }
    // Of a setsockopt whose option QEMU does not know it shows six arguments; there are five.
    if let Some((arguments, result)) = text.split_once(") = ")
        && arguments.starts_with("setsockopt(")
        && arguments.matches(',').count() == 5
    {
        let (arguments, _) = arguments.rsplit_once(',').expect("it has five");
        text = format!("{arguments}) = {result}");
    }
    match text.split_once("si_pid=") {
        Some((before, _)) => before.to_owned(),
        None => text,
    }
}

/// The restart outcomes and the claims, on Debian's kernel for ARM64: with the ports and the C twins.
fn kernel() {
    let machine = &MACHINES[0];
    machine.is_built.get_or_init(|| machine.build());
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest");
    fs::create_dir_all(&package).expect("the target folder is writable");
    let manifest = format!(
        "[package]\nname = \"guest\"\nedition = \"2024\"\n\n[[bin]]\nname = \"guest\"\npath = {:?}\n\n\
         [dependencies]\nclose_fds = \"0.3\"\nfastrand = \"2\"\nlibtest-mimic = \"0.8\"\n\
         nix = {{ version = \"0.31\", features = [\"feature\", \"fs\", \"mount\", \"process\", \"sched\", \
         \"signal\", \"socket\", \"term\", \"user\"] }}\n\
         rustix = {{ version = \"1.1\", default-features = false, features = [\"event\", \"net\", \
         \"process\"] }}\n\n[workspace]\n",
        project("tests/machines/guest.rs")
    );
    fs::write(package.join("Cargo.toml"), manifest).expect("the target folder is writable");
    fs::copy(project("Cargo.lock"), package.join("Cargo.lock")).expect("it is there");
    let mut cargo = machine.static_cargo();
    // Where the harness of the guest looks for the programs.
    succeed(cargo.current_dir(&package).env("CARGO_TARGET_TMPDIR", "/tests"));

    let files = Scratch::new();
    for (kind, runtime) in [("c", "c"), ("release", "raw")] {
        for switches in Switches::ALL {
            let variant = [&[runtime][..], &switches.features()].concat().join("-");
            for program in Program::ALL {
                let file = files.path().join(format!("{variant}~{}", program.name()));
                fs::copy(machine.path(kind, switches, program), file).expect("it is built");
            }
        }
    }
    let busybox = downloaded("busybox-arm64").join("bin/busybox");
    fs::copy(busybox, files.path().join("busybox")).expect("Debian has it there");
    let files: Vec<PathBuf> =
        fs::read_dir(files.path()).expect("it is ours").flatten().map(|file| file.path()).collect();
    let mut boot = boot(machine.kernel.name, &[], &files);
    let output = run(boot.env("LIMIT", "600").arg(machine.static_program("guest")));
    let passed = output.stdout.matches("... ok").count();
    assert!(output.status.success() && passed > 30, "{}\n{}", output.stdout, output.stderr);
}

/// rustc links start files for this target all the same, which define `_start`.
fn musl() {
    let sysroot = Scratch::new();
    let library = sysroot.path().join("lib/rustlib").join(MUSL).join("lib/self-contained");
    fs::create_dir_all(&library).expect("it is ours");
    let print = |compiler: &str, file: &str| {
        let output = run(Command::new(compiler).arg(format!("-print-file-name={file}")));
        PathBuf::from(output.stdout.trim())
    };
    let mut cargo = cargo(MUSL, "musl", "core");
    if std_source(MUSL).is_some() {
        for (compiler, file) in [
            ("musl-gcc", "rcrt1.o"),
            ("musl-gcc", "crti.o"),
            ("cc", "crtbeginS.o"),
            ("cc", "crtendS.o"),
            ("musl-gcc", "crtn.o"),
        ] {
            fs::copy(print(compiler, file), library.join(file)).expect("the compiler has it");
        }
        cargo.env("RUSTFLAGS", format!("--sysroot={}", sysroot.path().display()));
    }
    succeed(cargo.args(["--release", "--bins"]));
    for program in Program::ALL {
        let path = cargo_target("musl").join(MUSL).join("release").join(program.name());
        is_small_and_hard(&path);
        converse(program, &mut Command::new(path));
    }
}

fn others_compile() {
    for target in COMPILED {
        let mut cargo = cargo_to("check", target, "machines-libc", "core");
        succeed(cargo.args(["--bins", "--features", "libc"]));
    }
}

/// Each port serves, says what has failed as C does, and the server and its child return every byte.
fn on_libc(target: &str, debian: &str, qemu: &str) {
    let mut cargo = cargo(target, "machines-libc", "core");
    let variable = target.to_uppercase().replace('-', "_");
    cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), format!("{debian}-gcc"));
    succeed(cargo.args(["--release", "--bins", "--features", "libc"]));
    let command = |program: Program| {
        let path = cargo_target("machines-libc").join(target).join("release").join(program.name());
        let mut command = Command::new(format!("qemu-{qemu}"));
        command.arg("-L").arg(Path::new("/usr").join(debian)).arg(path);
        command
    };
    for program in Program::ALL {
        converse(program, &mut command(program));
    }
    for program in Program::SERVERS {
        echo(&mut command(program), 65_537);
        let (said, status) = in_namespace(|| {
            let _holder = hold_port();
            let mut process = Process::start_on_terminal(&mut command(program));
            let status = process.wait();
            (process.stdout.to_end(), status)
        });
        assert_eq!((&*said, status), ("bind: : Address already in use\n", 255));
    }
    for (program, call, error, expected) in [
        (Program::Treuseaddr, "socket", "EMFILE", "socket: : Too many open files\n"),
        (Program::Treuseaddr, "bind", "EACCES", "bind: : Permission denied\n"),
        (Program::Treuseaddr, "listen", "EOPNOTSUPP", "listen: : Operation not supported\n"),
        (Program::Ureuseaddr, "setsockopt", "ENODEV", "setsockopt: : No such device\n"),
    ] {
        let seen = in_namespace(|| fails(&command(program), program, call, error));
        assert_eq!(seen, (expected.to_owned(), 255), "{target}: {call}");
    }
}
