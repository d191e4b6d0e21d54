//! `bindtable`: the options, the cells, what is written elsewhere, and what is left behind.

use crate::documents::is_current;
use crate::harness::{self, Scratch, bindtable as program, read, run};
use libtest_mimic::Trial;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

const DOCUMENT: &str = "docs/bind-table.md";

const TRIALS: [(&str, fn()); 13] = [
    ("bindtable_document", document),
    ("bindtable_options", options),
    ("bindtable_cells", cells),
    ("bindtable_restart", restart),
    ("bindtable_states", states),
    ("bindtable_predicted", predicted),
    ("bindtable_written", written),
    ("bindtable_stable", stable),
    ("bindtable_diff", diff),
    ("bindtable_formats", formats),
    ("bindtable_ordinary_user", ordinary_user),
    ("bindtable_without_namespaces", without_namespaces),
    ("bindtable_leaves_nothing", leaves_nothing),
];

pub fn trials() -> Vec<Trial> {
    TRIALS.map(|(name, check)| harness::trial(name, check)).into()
}

/// What it prints, where it must succeed and say nothing else.
pub fn bindtable(arguments: &[&str]) -> String {
    printed(Command::new(program()).args(arguments))
}

fn printed(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}", output.stderr);
    assert_eq!(output.stderr, "", "{command:?}");
    output.stdout
}

/// The whole table, run once for each format.
pub fn table(format: &str) -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    static MARKDOWN: OnceLock<String> = OnceLock::new();
    static JSON: OnceLock<String> = OnceLock::new();
    let made = match format {
        "text" => &TEXT,
        "markdown" => &MARKDOWN,
        _ => &JSON,
    };
    made.get_or_init(|| bindtable(&["--format", format]))
}

/// What is saved of the whole table.
pub fn whole() -> Value {
    parsed(table("json"))
}

fn json(arguments: &[&str]) -> Value {
    parsed(&bindtable(&[&["--format", "json"], arguments].concat()))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("it is JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("it is a list")
}

/// Each cell's name, and what of it is asked; nothing, if it was not tried.
fn fields<'a>(run: &'a Value, field: &str) -> Vec<(&'a str, Option<&'a str>)> {
    let name = |cell: &'a Value| cell["cell"].as_str().expect("it is a text");
    list(&run["cells"]).iter().map(|cell| (name(cell), cell[field].as_str())).collect()
}

/// Whether there may be two users: as the root of a machine, not of a user namespace.
fn has_two_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").expect("/proc is mounted");
    map.split_whitespace().nth(2) != Some("1")
}

/// The document has what is measured; of one user, what one user may try.
fn document() {
    let table = table("markdown");
    let (_kernel, table) = table.split_once('\n').expect("it has a head");
    let table = table.trim_start();
    if has_two_users() {
        return is_current(DOCUMENT, "table", &format!("{table}\n"));
    }
    let document = read(DOCUMENT);
    let (_, document) = document.split_once("<!-- table -->\n").expect("the block is there");
    for (here, written) in table.lines().zip(document.lines()) {
        if here.starts_with("## What is written") {
            break; // it counts the cells
        }
        assert_eq!(here.matches('|').count(), written.matches('|').count());
        for (here, written) in here.split(" | ").zip(written.split(" | ")) {
            let here = here.trim_end_matches(" |");
            assert!(here == "–" || here == written.trim_end_matches(" |"), "{here}, not {written}");
        }
    }
}

/// What is wrong gets one line, and status 2.
fn options() {
    for (arguments, word) in [
        (&["--bogus"][..], "--bogus"),
        (&["bogus"], "bogus"),
        (&["--proto"], "a value is required"),
        (&["--proto", "sctp"], "tcp, udp"),
        (&["--state=asleep"], "bound, between"),
        (&["--family", "ipv5"], "ipv4, ipv6, mixed"),
        (&["--format", "html"], "text, markdown, json"),
        (&["explain", "tcp/::1/bound/::1", "--format", "xml"], "text, markdown, json"),
        (&["explain", "tcp/::1/bound/::1", "--proto", "tcp"], "'--proto'"),
        (&["--format", "json", "explain", "tcp/::1/bound/::1"], "cannot be used"),
        (&["explain"], "<CELL>"),
        (&["diff"], "<FILE>"),
        (&["--question", "bogus"], "none of restart"),
        (&["--proto", "udp", "--state", "last-ack"], "no cell"),
        (&["explain", "tcp"], "PROTOCOL/THERE/STATE/NEW"),
        (&["explain", "tcp/localhost/bound/::1"], "'localhost' is no IP address"),
        (&["explain", "tcp/::1+late-v6only/bound/::1"], "'+late-v6only'"),
        (&["explain", "udp/::1/listening/::1"], "UDP has no state"),
        (&["explain", "tcp/224.0.0.1/bound/::1"], "no multicast"),
        (&["explain", "tcp/192.0.2.1/bound/192.0.2.1"], "EADDRNOTAVAIL"),
        (&["diff", "/dev/null/none"], "/dev/null/none"),
        (&["diff", "/dev/null"], "no saved run"),
    ] {
        let output = run(Command::new(program()).args(arguments));
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), ""), "{arguments:?}");
        assert!(output.stderr.starts_with("bindtable: "), "{}", output.stderr);
        assert!(output.stderr.contains(word), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
    let full = run(Command::new("sh").args(["-c", "\"$0\" --help >/dev/full"]).arg(program()));
    assert_eq!(full.status.code(), Some(2));
    assert!(full.stderr.contains("No space left"), "{}", full.stderr);
    let help = bindtable(&["--help"]);
    for word in ["--proto", "--family", "--state", "--question", "--format", "diff", "explain"] {
        assert!(help.contains(&format!("  {word} ")), "{word}");
    }
}

/// Of each protocol and each family, a cell that must be and one that must not.
fn cells() {
    for (cell, verdict, rule) in [
        ("tcp/127.0.0.1/bound/127.0.0.2", "ok", "inet_rcv_saddr_equal"),
        ("tcp/127.0.0.1/bound/0.0.0.0", "bind EADDRINUSE", "inet_bind_conflict"),
        ("tcp/127.0.0.1+reuseaddr/between/127.0.0.1+reuseaddr", "listen EADDRINUSE", "LISTEN"),
        ("tcp/::1+reuseaddr/time-wait/::1+reuseaddr", "ok", "both have SO_REUSEADDR"),
        ("tcp/::1/time-wait/::1+reuseaddr", "bind EADDRINUSE", "no option"),
        ("tcp/0.0.0.0/listening/::+v6only", "ok", "inet_rcv_saddr_equal"),
        ("tcp/0.0.0.0/listening/::", "bind EADDRINUSE", "inet_bind_conflict"),
        ("tcp/::1+reuseport/listening/::1+reuseport", "ok", "sk_reuseport_match"),
        ("udp/127.0.0.1+reuseaddr/bound/127.0.0.1+reuseaddr", "ok", "udp_lib_lport_inuse"),
        ("udp/127.0.0.1/bound/127.0.0.1", "bind EADDRINUSE", "udp_lib_lport_inuse"),
        ("udp/::1+reuseport/bound/::1+reuseport", "ok", "the same user"),
        ("udp/::1/bound/::", "bind EADDRINUSE", "udp_lib_lport_inuse"),
        ("udp/0.0.0.0/bound/::+v6only", "ok", "inet_rcv_saddr_equal"),
        ("udp/0.0.0.0/bound/::", "bind EADDRINUSE", "udp_lib_lport_inuse"),
    ] {
        let text = bindtable(&["explain", cell]);
        assert!(text.contains(&format!(": {verdict}\n")), "{text}");
        assert!(text.contains(rule) && !text.contains("another"), "{text}");
    }
    let text = bindtable(&["explain", "udp/0.0.0.0+reuseaddr/bound/127.0.0.1+reuseaddr"]);
    for line in ["to 127.0.0.1: B", "to 127.255.255.255: A", "to 239.1.2.3: A"] {
        assert!(text.contains(line), "{text}");
    }
}

/// The restart after a TIME_WAIT, as `docs/so_reuseaddr.md` has it, in the table that comes first.
fn restart() {
    let text = table("text");
    let first = text.lines().find(|line| line.ends_with(')')).expect("there are tables");
    assert!(first.ends_with("(restart)"), "{first}");
    let run = json(&["--question", "restart", "--state", "time-wait"]);
    let verdicts = fields(&run, "verdict");
    let no = Some("bind EADDRINUSE");
    assert_eq!(
        verdicts,
        [
            ("tcp/127.0.0.1/time-wait/127.0.0.1", no),
            ("tcp/127.0.0.1/time-wait/127.0.0.1+reuseaddr", no),
            ("tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1", no),
            ("tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr", Some("ok")),
        ]
    );
}

/// Each state is what the kernel's table says, and nothing else of the port is there.
fn states() {
    for cell in list(&json(&["--question", "users"])["cells"]) {
        let found: Vec<_> = cell["found"].as_array().into_iter().flatten().collect();
        let cell = cell["cell"].as_str().expect("it is a text");
        let state = cell.split('/').nth(2).expect("it is a cell");
        let expected = match state {
            _ if cell.ends_with("+other-user") && !has_two_users() => &[][..],
            "bound" | "between" | "closed" => &[],
            "listening" => &["LISTEN"],
            "connection" => &["ESTABLISHED", "LISTEN"],
            "connected" => &["ESTABLISHED"],
            "fin-wait-2" => &["FIN_WAIT2"],
            "close-wait" => &["CLOSE_WAIT"],
            "last-ack" => &["LAST_ACK"],
            "time-wait" => &["TIME_WAIT"],
            other => panic!("{other}"),
        };
        assert_eq!(found, expected, "{cell}");
    }
}

/// The model of the rule predicts every cell; one that it did not would be named.
fn predicted() {
    let run = whole();
    let (verdicts, predictions) = (fields(&run, "verdict"), fields(&run, "predicted"));
    assert!(verdicts.len() > 1000);
    for (verdict, prediction) in verdicts.into_iter().zip(predictions) {
        assert!(verdict.1.is_none() || verdict == prediction, "{verdict:?}, not {prediction:?}");
    }
}

/// Each statement of others has its cell, and agrees or is named as a difference.
fn written() {
    let (run, text) = (whole(), table("text"));
    let verdicts = fields(&run, "verdict");
    let expectations = list(&run["expectations"]);
    for source in [
        "selftest bind_wildcard",
        "selftest bind_timewait",
        "selftest reuseaddr_conflict",
        "selftest reuseaddr_ports_exhausted",
        "socket(7)",
        "ip(7)",
        "stackoverflow.com/q/14388706, of BSD",
        "stackoverflow.com/q/14388706, of Linux",
    ] {
        let of_source = expectations.iter().filter(|expectation| expectation["source"] == source);
        let (mut tried, mut agree) = (0, 0);
        for expectation in of_source {
            let (cell, written) = (expectation["cell"].as_str(), expectation["verdict"].as_str());
            let (cell, written) = (cell.expect("it is a text"), written.expect("it is a text"));
            let measured = verdicts.iter().find(|(name, _)| *name == cell);
            let &(_, measured) = measured.expect("each statement has its cell");
            let Some(measured) = measured else {
                assert!(cell.contains("+other-user") && !has_two_users(), "{cell}");
                continue;
            };
            tried += 1;
            if measured == written {
                agree += 1;
            } else {
                let difference =
                    format!("{source}: {cell}: written {written}, measured {measured}");
                assert!(text.contains(&difference), "{difference}");
            }
        }
        assert!(tried > 0, "{source}");
        assert!(text.contains(&format!("{source}: {agree} of {tried} agree")), "{source}");
    }
}

fn stable() {
    let runs = [(); 3].map(|()| bindtable(&["--format", "json"]));
    assert!(runs[0] == runs[1] && runs[1] == runs[2]);
}

/// A saved run against this one, re-formatted too: a cell that differs, and cells that one of the
/// two has alone.
fn diff() {
    let scratch = Scratch::new();
    let file = scratch.path().join("run");
    let path = file.to_str().expect("it is UTF-8");
    let narrow = ["--question", "restart"];
    let saved = json(&narrow);
    let counts = |equal, differ, saved, here| {
        format!(
            "\n{equal} cells are equal, {differ} differ, 0 were not tried in one of the two, {saved} \
             are in the saved run alone, {here} here alone\n"
        )
    };
    let write = |run: &Value| {
        fs::write(&file, serde_json::to_string_pretty(run).expect("it is JSON"))
            .expect("it is ours");
    };
    write(&saved);
    let same = bindtable(&[&["diff", path][..], &narrow].concat());
    assert!(same.ends_with(&counts(40, 0, 0, 0)), "{same}");

    let cell = "tcp/127.0.0.1/closed/127.0.0.1";
    let mut other = saved.clone();
    let cells = other["cells"].as_array_mut().expect("they are a list");
    let changed = cells.iter_mut().find(|other| other["cell"] == cell).expect("it is there");
    changed["verdict"] = "bind EACCES".into();
    write(&other);
    let compare = |arguments: &[&str]| {
        let output = run(Command::new(program()).args(["diff", path]).args(arguments).args(narrow));
        (output.status.code(), output.stdout)
    };
    let (status, text) = compare(&[]);
    assert_eq!(status, Some(1));
    assert!(text.contains(&counts(39, 1, 0, 0)), "{text}");
    assert!(text.ends_with(&format!("\n{cell}: was bind EACCES, is ok\n")), "{text}");
    let (status, text) = compare(&["--format", "markdown"]);
    assert_eq!(status, Some(1));
    assert!(text.ends_with(&format!("\n| `{cell}` | bind EACCES | ok |\n")), "{text}");
    let (status, text) = compare(&["--format", "json"]);
    assert_eq!(status, Some(1));
    let differ = &parsed(&text)["differ"];
    assert_eq!(list(differ).len(), 1);
    assert_eq!(
        (&differ[0]["cell"], &differ[0]["was"]["verdict"], &differ[0]["is"]["verdict"]),
        (&cell.into(), &"bind EACCES".into(), &"ok".into())
    );

    // The saved run has two cells more, and lacks three that are here.
    let mut other = saved.clone();
    let cells = other["cells"].as_array_mut().expect("they are a list");
    cells.drain(..3);
    for state in ["asleep", "awake"] {
        let mut cell = cells[0].clone();
        cell["cell"] = format!("tcp/127.0.0.1/{state}/127.0.0.1").into();
        cells.push(cell);
    }
    write(&other);
    let (status, text) = compare(&[]);
    assert_eq!(status, Some(0));
    assert!(text.ends_with(&counts(37, 0, 2, 3)), "{text}");
}

/// Each format has every question, and the tables are whole.
fn formats() {
    let (text, markdown, run) = (table("text"), table("markdown"), whole());
    assert!(run["kernel"].as_str().is_some_and(|kernel| kernel.starts_with("Linux ")));
    assert!(!text.contains('\x1b'), "colour is for a terminal");
    let mut columns = 0;
    for line in markdown.lines() {
        match line.starts_with('|') {
            true if columns == 0 => columns = line.matches('|').count(),
            true => assert_eq!(line.matches('|').count(), columns, "{line}"),
            false => columns = 0,
        }
    }
    for name in ["restart", "exhausted", "udp-delivery", "tcp-delivery"] {
        assert!(text.contains(&format!(" ({name})\n")), "{name}");
        assert!(markdown.contains(&format!("\n`{name}`. ")), "{name}");
    }
    let verdicts = fields(&run, "verdict");
    for table in list(&run["questions"]) {
        let name = table["name"].as_str().expect("it is a text");
        assert!(text.contains(&format!(" ({name})\n")), "{name}");
        for row in list(&table["rows"]) {
            let cells = list(&row["cells"]);
            assert_eq!(cells.len(), list(&table["columns"]).len(), "{name}");
            for cell in cells.iter().filter(|cell| !cell.is_null()) {
                let text = cell["text"].as_str().expect("it is a text");
                let verdict = verdicts.iter().find(|(name, _)| cell["cell"] == **name);
                match verdict.expect("every cell is in the list").1 {
                    Some("ok") => assert!(!text.starts_with(['✗', '–']), "{cell}"),
                    Some(_) => assert!(text.starts_with('✗'), "{cell}"),
                    None => assert_eq!(text, "–", "{cell}"),
                }
            }
        }
    }
}

/// A copy that every user may run.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Self {
        let file = format!("bindtable-{name}-{}", fastrand::u64(..));
        let path = std::env::temp_dir().join(file);
        // By another process: what one of this process has open for writing, a program that another
        // trial is just starting has too, and until it has started nobody may execute the copy.
        printed(Command::new("cp").arg(program()).arg(&path));
        Self(path)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A user without privileges has a namespace of the own user, and does all but two users' cells.
fn ordinary_user() {
    use std::os::unix::process::CommandExt;
    let copy = Copy::new("user");
    let mut command = Command::new(&copy.0);
    if has_two_users() {
        command.uid(65_534).gid(65_534);
    }
    let text = printed(&mut command);
    assert!(text.contains("\nNot tried here\n") && text.contains(": it needs two users: "));
    assert!(!text.contains("it needs a network namespace"));
    let cells = |text: &str| {
        let table = text.split_once("(restart)").expect("it is there").1;
        table.split_once("(reuseport)").expect("it is there").0.to_owned()
    };
    assert_eq!(cells(&text), cells(table("text")));
}

/// On the loopback itself, as a user who may make no namespace: one whose number has no meaning.
fn without_namespaces() {
    let copy = Copy::new("loopback");
    let run = |arguments: &[&str]| {
        printed(Command::new("unshare").arg("-U").arg(&copy.0).args(arguments))
    };
    let text = run(&["--question", "restart"]);
    assert!(text.contains("\nNot tried here\n"), "{text}");
    assert!(text.contains("4 cells: it needs a network namespace: run it as root"), "{text}");
    let all = bindtable(&["--question", "restart"]);
    let table = |text: &str| -> Vec<String> {
        let rows = text.lines().skip_while(|line| !line.starts_with("A's state"));
        let rows = rows.take_while(|line| !line.is_empty());
        rows.filter(|line| !line.starts_with("LAST_ACK")).map(str::to_owned).collect()
    };
    assert_eq!(table(&text), table(&all));
    let cell = "tcp/127.0.0.1/last-ack/127.0.0.1";
    let output =
        harness::run(Command::new("unshare").arg("-U").arg(&copy.0).args(["explain", cell]));
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.contains("it needs a network namespace"), "{}", output.stderr);
    run(&[]); // and all of it
}

/// The network that it was started in stays as it was.
fn leaves_nothing() {
    let look = || {
        ["net/tcp", "net/tcp6", "net/udp", "net/udp6", "net/if_inet6", "net/fib_trie"]
            .map(|file| format!("/proc/thread-self/{file}"))
            .into_iter()
            .chain(["/proc/sys/net/ipv4/ip_local_port_range".to_owned()])
            .map(|file| fs::read_to_string(file).expect("/proc is mounted"))
            .collect::<Vec<_>>()
    };
    let before = look();
    bindtable(&[]);
    assert_eq!(look(), before);
}
