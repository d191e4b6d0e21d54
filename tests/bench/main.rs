//! What the raw port costs, compared with what a reader would use instead: `cargo bench`.

mod alternatives;
mod measure;
#[path = "../harness/net.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod net;
#[path = "../harness/process.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod process;
mod table;

use alternatives::Alternative;
use process::run;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

const HELP: &str = "\
Usage: cargo bench [-- OPTIONS]

Builds the alternatives to the raw port, measures them round by round, and prints one table.

Options:
  --write  write docs/performance.md too
  --quick  run a few rounds, to see that everything works: do not quote its numbers
  --help   print this";

/// The longest wait for any state.
const LIMIT: Duration = Duration::from_secs(30);

/// How often things are done.
struct Counts {
    /// Starts of each alternative that are timed.
    starts: usize,
    /// Starts of each alternative whose memory is read.
    starts_to_look_at: usize,
    /// Conversations with each alternative for each length of message.
    conversations: usize,
    /// Round trips of a short message and of a long one in a conversation.
    trips: [usize; 2],
}

impl Counts {
    const FULL: Self =
        Self { starts: 1000, starts_to_look_at: 50, conversations: 21, trips: [10_000, 150] };
    const QUICK: Self =
        Self { starts: 10, starts_to_look_at: 3, conversations: 3, trips: [200, 4] };

    fn trips(&self, len: usize) -> usize {
        self.trips[usize::from(len > 1024)]
    }
}

fn main() -> ExitCode {
    // cargo gives --bench to a benchmark, and nothing where it runs one as a test.
    let (mut write, mut quick) = (false, !env::args().any(|argument| argument == "--bench"));
    for argument in env::args().skip(1) {
        match &*argument {
            "--bench" => {}
            "--write" => write = true,
            "--quick" => quick = true,
            "--help" | "-h" => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            _ => return fail(&format!("{argument}: no such option, see cargo bench -- --help")),
        }
    }
    if write && quick {
        return fail("--write is for the full number of rounds, not for --quick");
    }
    match bench(write, quick) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => fail(&trouble),
    }
}

fn fail(trouble: &str) -> ExitCode {
    eprintln!("bench: {trouble}");
    ExitCode::FAILURE
}

fn bench(write: bool, quick: bool) -> Result<(), String> {
    alternatives::find("busybox", "busybox")?; // the harness starts the loopback with it
    let start = Instant::now();
    eprintln!("building the alternatives");
    let alternatives = alternatives::build();
    if let Err(trouble) = &alternatives[0].program {
        return Err(format!("no raw port: {trouble}"));
    }
    measure::share_one_cpu();
    net::prepare()?; // after cargo, which may have to download

    let load = read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    let counts = if quick { Counts::QUICK } else { Counts::FULL };
    let mut missing: Vec<String> = alternatives
        .iter()
        .filter_map(|alternative| {
            let trouble = alternative.program.as_ref().err()?;
            Some(format!("{}: {trouble}", alternative.name))
        })
        .collect();
    eprintln!("counting instructions");
    let (instructions, trouble) = measure::instructions(&alternatives);
    missing.extend(trouble.map(|trouble| format!("instructions: {trouble}")));
    let mut rows = Vec::from(instructions);
    rows.push(measure::file_size(&alternatives));
    let (row, trouble) = measure::calls_before_socket(&alternatives);
    missing.extend(trouble.map(|trouble| format!("{}: {trouble}", row.label)));
    rows.push(row);
    eprintln!("measuring memory");
    rows.extend(measure::memory(&alternatives, &counts));
    eprintln!("measuring {} starts of each, twice", counts.starts);
    rows.push(measure::failed_bind(&alternatives, &counts));
    rows.push(measure::first_accept(&alternatives, &counts));
    for len in [1, 100, 65_536] {
        eprintln!("measuring {} round trips of {len} bytes", counts.trips(len));
        let [rate, time] = measure::echo(&alternatives, &counts, len);
        rows.push(rate);
        if len == 65_536 {
            rows.push(time);
        }
    }

    let mut report = table::markdown(&alternatives, &rows);
    if !missing.is_empty() {
        report += &format!("\nMissing:\n\n- {}\n", missing.join("\n- "));
    }
    report += &format!("\n{}\n", machine(&alternatives, &load));
    println!("\n{report}");
    eprintln!("{} s in all", start.elapsed().as_secs());
    if write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        fs::write(&path, page(&alternatives, &report, &counts))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The machine and the tools behind the numbers, in one line.
fn machine(alternatives: &[Alternative], load: &str) -> String {
    let cpuinfo = read("/proc/cpuinfo");
    let mut models = cpuinfo.lines().filter_map(|line| line.strip_prefix("model name\t: "));
    let said = |tool: &str, option: &str| {
        let found = alternatives::find(tool, "");
        let output = found.map(|_| run(Command::new(tool).args(option.split(' '))).stdout);
        output.ok()?.lines().next().map(str::to_owned)
    };
    let has_tokio = alternatives.iter().any(|it| it.name == "Rust tokio" && it.program.is_ok());
    let tools = [
        said("cc", "--version"),
        said("getconf", "GNU_LIBC_VERSION"),
        said("rustc", "--version"),
        has_tokio.then(alternatives::tokio_version).flatten(),
    ];
    let tools: Vec<String> = tools.into_iter().flatten().collect();
    format!(
        "Linux {} on {} × {}; {}; load average {load} before the first row.",
        read("/proc/sys/kernel/osrelease").trim().split('-').next().unwrap_or_default(),
        cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        models.next().unwrap_or("an unnamed CPU"),
        tools.join("; "),
    )
}

fn page(alternatives: &[Alternative], report: &str, counts: &Counts) -> String {
    let recipes: String = alternatives
        .iter()
        .map(|alternative| format!("- **{}**: {}\n", alternative.name, alternative.recipe))
        .collect();
    let Counts { starts, starts_to_look_at, conversations, trips: [short, long] } = counts;
    format!(
        "\
# Performance

What does the raw port of `treuseaddr` cost, compared with what you would use instead? The first \
column has its numbers, and the others say how many times as much each alternative takes. The first \
two rows are instructions, which are the same in every run; the times depend on the machine and on \
what else it does. `cargo bench -- --write` builds every alternative, measures them, and writes this \
page.

{report}
## How to read the table

- The column of the raw port has its numbers. The others have ratios to it: 2.00 means twice as \
long, as large or as many. For instructions and system calls they have the number itself.
- Less is better, except in the rows with an arrow. A dash means that the alternative has no part \
in that row.
- Each number is a median. The number after ± is half the distance between the quartiles.
- In each round every alternative has its turn. A ratio compares two numbers of the same round, so \
a slow minute of the machine changes both.
- The rows of starts have {starts} rounds, the rows of memory {starts_to_look_at}, and the round \
trips {conversations}. A round has {short} round trips, or {long} of 64 KiB.

## The alternatives

{recipes}
## How each row is measured

- Each row is measured on the loopback interface of a network namespace of its own, with an empty \
environment. Server and client share one CPU.
- **Instructions**: what the processor executes outside the kernel, counted by valgrind's callgrind. \
It does not count the last block of a program, which ends in `exit_group`. The first row goes from \
the start to the end of a server whose port is in use. A round trip is the difference between 110 \
and 10 of 100 bytes, divided by 100.
- **Calls before `socket`**: from `execve` on, with `strace`.
- **Memory and page faults**: of a process that waits in `accept`. The page faults include those of \
making the process, 2 or 3 for any program. Pss counts a page that n processes share as 1/n of a \
page.
- **Starts**: the clock starts before the process is made. If the port is in use, it stops when the \
process has ended. Otherwise it stops when a client, which connects again and again, has its first \
byte back.
- **Round trips**: per second. The client sets TCP_NODELAY, and for long messages TCP_QUICKACK. The \
servers set neither, and have a buffer of 100 bytes.
- **CPU time**: the server's, user and system, while it echoes messages of 64 KiB. The number is \
scaled to 10⁹ bytes from the amount in the label.

## Why 27 instructions for a round trip, and not fewer

`objdump -d` shows the loop of lines 46 to 64 as the x86-64 build has it. In the last column stands \
what a compiler could do with the same checks:

| what | instructions | executed | needed |
|---|---|---:|---:|
| line 47, three arguments and the call `read` | `mov` `xor` `mov` `syscall` | 4 | 4 |
| did it fail? | `mov` `cmp` `setge` `test` `sets` `test` `je` | 7 | 3 |
| line 48, is it 0? | `test` `je` | 2 | 2 |
| line 59, is it within the buffer? | `cmp` `jae` | 2 | 2 |
| three arguments and the call `write` | `mov` `mov` `mov` `syscall` | 4 | 4 |
| did it fail, or is it another number? | `cmp` `setl` `test` `setns` `cmp` `jne` `or` `jne` | 8 | 4 |

The difference of 8 is in the two checks for an error. A result between -4095 and -1 is an error, and \
one comparison of an unsigned number would tell. In rustix each result is a pointer (`RetReg` in its \
`reg.rs`). LLVM does not merge two comparisons of a pointer as it merges those of a number. Our own \
`read` and `write` would save the 8, and 19 would remain. The ports use rustix's, so that a reader \
finds the calls of a library that others use too. C has no bounds check, but calls the C library twice.

## Where an alternative is ahead

- **Rust std** and **Rust tokio** are ahead with messages of 64 KiB. They call `recvfrom` and \
`sendto`, where the article's C calls `read` and `write`: these pass through the kernel's file layer \
(`vfs_read`, `sock_read_iter`) before they reach the socket. C gains as much as Rust std if \
`recv(cfd, buff, 100, 0)` and `send(cfd, buff, num, 0)` take their place.
"
    )
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Waits until `state` gives something, and between two looks leaves the CPU to the server: the
/// wait is what is measured.
fn wait_for<T>(what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = state() {
            return value;
        }
        assert!(start.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        std::thread::yield_now();
    }
}
