//! The C twins by other compilers than `cc`: no warning, the same outcomes and the same messages.

use crate::harness::{self, Client, Process, Program, Scratch, Switches, compile, in_namespace, which};
use crate::outcomes::{EXPERIMENTS, PAIRS, listens_built};
use libtest_mimic::Trial;
use std::process::Command;
use std::sync::Mutex;

/// A compiler, and what its C library says of a port in use.
const COMPILERS: [(&str, &str); 4] = [
    ("gcc", "Address already in use"),
    ("clang", "Address already in use"),
    ("tcc", "Address already in use"),
    ("musl-gcc", "Address in use"),
];

/// The compilers whose programs passed.
static COMPARED: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// A trial for each compiler. Where the compiler is not installed, the trial is an ignored one; asked for
/// with `--ignored`, it fails with one line that names the package.
pub fn trials() -> Vec<Trial> {
    let trial = |(compiler, words)| {
        harness::trial(format!("compiler_{compiler}"), move || compare(compiler, words))
            .with_ignored_flag(which(compiler).is_none())
    };
    COMPILERS.map(trial).into()
}

/// Which compilers were compared, and which are not installed.
pub fn summary() -> Option<String> {
    let mut compared = COMPARED.lock().expect("no panic holds it").clone();
    compared.sort_unstable();
    let mut text = format!("C compilers compared: {}", compared.join(", "));
    for (compiler, _) in COMPILERS.iter().filter(|(compiler, _)| which(compiler).is_none()) {
        text += &format!("; {compiler} is not installed (tests/tools.txt names the package)");
    }
    (!compared.is_empty()).then_some(text)
}

fn compare(compiler: &'static str, words: &str) {
    let scratch = Scratch::new();
    let folder = |switches: Switches| scratch.path().join(switches.features().join("-"));
    for switches in Switches::ALL {
        std::fs::create_dir_all(folder(switches)).expect("it is ours");
        compile(compiler, &[], &folder(switches), switches).expect("it compiles without a warning");
    }
    let command = |program: Program, switches| Command::new(folder(switches).join(program.name()));

    for experiment in EXPERIMENTS {
        for (old, new) in PAIRS {
            let built = |switches| command(experiment.program, switches);
            let seen = in_namespace(|| listens_built(experiment, built, old, new));
            let expected = experiment.listens[usize::from(old)][usize::from(new)];
            let message = if expected { String::new() } else { format!("bind: : {words}\n") };
            assert_eq!(seen, (expected, message), "{}: old {old}, new {new}", experiment.name);
        }
    }
    for (program, expected) in [
        (Program::Treuseaddr, "client connected: 4\nclient close: 4\n"),
        (
            Program::Treuseaddr2,
            "[PARENT] client connected: 4\n[PARENT] parent exit\n[CHILD] client close: 4\n",
        ),
    ] {
        in_namespace(|| {
            let mut server = Process::start_on_terminal(&mut command(program, Switches::default()));
            let mut client = Client::connect();
            client.exchange("hello\n");
            assert!(program == Program::Treuseaddr || server.wait() == 0, "the parent exits");
            client.shutdown();
            assert_eq!(server.stdout.to_end(), expected);
            assert_eq!(server.wait(), 0);
        });
    }
    COMPARED.lock().expect("no panic holds it").push(compiler);
}
