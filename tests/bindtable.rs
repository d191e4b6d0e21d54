//! `bindtable`: the options, the cells, what is written elsewhere, and what is left behind.

use crate::documents::is_current;
use crate::harness::{self, Scratch, read, run};
use libtest_mimic::Trial;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bindtable");
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
    printed(Command::new(PROGRAM).args(arguments))
}

fn printed(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}", output.stderr);
    assert_eq!(output.stderr, "", "{command:?}");
    output.stdout
}

fn json(arguments: &[&str]) -> Value {
    let text = bindtable(&[&["--format", "json"], arguments].concat());
    serde_json::from_str(&text).expect("it is JSON")
}

/// Each cell's name, and what of it is asked.
fn fields<'a>(run: &'a Value, field: &str) -> Vec<(&'a str, &'a str)> {
    let cells = run["cells"].as_array().expect("they are a list");
    let text = |cell: &'a Value, field: &str| cell[field].as_str().expect("it is a text");
    cells.iter().map(|cell| (text(cell, "cell"), text(cell, field))).collect()
}

/// Whether there may be two users: as the root of a machine, not of a user namespace.
fn has_two_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").expect("/proc is mounted");
    map.split_whitespace().nth(2) != Some("1")
}

/// The document has what is measured; of one user, what one user may try.
fn document() {
    let table = bindtable(&["--format", "markdown"]);
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
        (&["--proto"], "needs a value"),
        (&["--proto", "sctp"], "none of tcp, udp"),
        (&["--state=asleep"], "none of bound"),
        (&["--family", "ipv5"], "none of ipv4"),
        (&["--format", "xml"], "none of text"),
        (&["--question", "bogus"], "none of restart"),
        (&["--proto", "udp", "--state", "last-ack"], "no cell"),
        (&["--explain", "tcp"], "PROTOCOL/THERE/STATE/NEW"),
        (&["--explain", "tcp/localhost/bound/::1"], "'localhost' is no IP address"),
        (&["--explain", "tcp/::1+late-v6only/bound/::1"], "'+late-v6only'"),
        (&["--explain", "udp/::1/listening/::1"], "UDP has no state"),
        (&["--explain", "tcp/224.0.0.1/bound/::1"], "no multicast"),
        (&["--explain", "tcp/192.0.2.1/bound/192.0.2.1"], "EADDRNOTAVAIL"),
        (&["--diff", "/dev/null/none"], "/dev/null/none"),
        (&["--diff", "/dev/null"], "no saved run"),
    ] {
        let output = run(Command::new(PROGRAM).args(arguments));
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), ""), "{arguments:?}");
        assert!(output.stderr.starts_with("bindtable: "), "{}", output.stderr);
        assert!(output.stderr.contains(word), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
    let full = run(Command::new("sh").args(["-c", "\"$0\" --help >/dev/full", PROGRAM]));
    assert_eq!(full.status.code(), Some(2));
    assert!(full.stderr.contains("No space left"), "{}", full.stderr);
    let help = bindtable(&["--help"]);
    for option in ["proto", "family", "state", "question", "format", "diff", "explain"] {
        assert!(help.contains(&format!("--{option} ")), "{option}");
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
        let text = bindtable(&["--explain", cell]);
        assert!(text.contains(&format!(": {verdict}\n")), "{text}");
        assert!(text.contains(rule) && !text.contains("another"), "{text}");
    }
    let text = bindtable(&["--explain", "udp/0.0.0.0+reuseaddr/bound/127.0.0.1+reuseaddr"]);
    for line in ["to 127.0.0.1: B", "to 127.255.255.255: A", "to 239.1.2.3: A"] {
        assert!(text.contains(line), "{text}");
    }
}

/// The restart after a TIME_WAIT, as `docs/so_reuseaddr.md` has it, in the table that comes first.
fn restart() {
    let text = bindtable(&[]);
    let first = text.lines().find(|line| line.ends_with(')')).expect("there are tables");
    assert!(first.ends_with("(restart)"), "{first}");
    let run = json(&["--question", "restart", "--state", "time-wait"]);
    let verdicts: Vec<(&str, &str)> = fields(&run, "verdict");
    let no = "bind EADDRINUSE";
    assert_eq!(
        verdicts,
        [
            ("tcp/127.0.0.1/time-wait/127.0.0.1", no),
            ("tcp/127.0.0.1/time-wait/127.0.0.1+reuseaddr", no),
            ("tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1", no),
            ("tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr", "ok"),
        ]
    );
}

/// Each state is what the kernel's table says, and nothing else of the port is there.
fn states() {
    for (cell, found) in fields(&json(&["--question", "users"]), "found") {
        let state = cell.split('/').nth(2).expect("it is a cell");
        let expected = match state {
            _ if cell.ends_with("+other-user") && !has_two_users() => "",
            "bound" | "between" | "closed" => "",
            "listening" => "LISTEN",
            "connection" => "ESTABLISHED LISTEN",
            "connected" => "ESTABLISHED",
            "fin-wait-2" => "FIN_WAIT2",
            "close-wait" => "CLOSE_WAIT",
            "last-ack" => "LAST_ACK",
            "time-wait" => "TIME_WAIT",
            other => panic!("{other}"),
        };
        assert_eq!(found, expected, "{cell}");
    }
}

/// The model of the rule predicts every cell; one that it did not would be named.
fn predicted() {
    let run = json(&[]);
    let (verdicts, predictions) = (fields(&run, "verdict"), fields(&run, "predicted"));
    assert!(verdicts.len() > 1000);
    for (verdict, prediction) in verdicts.into_iter().zip(predictions) {
        assert!(verdict.1.starts_with("not tried") || verdict == prediction, "{verdict:?}");
    }
}

/// Each statement of others has its cell, and agrees or is named as a difference.
fn written() {
    let (run, text) = (json(&[]), bindtable(&[]));
    let verdicts = fields(&run, "verdict");
    let expectations = run["expectations"].as_array().expect("they are a list");
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
            let (_, measured) = measured.expect("each statement has its cell");
            if measured.starts_with("not tried") {
                assert!(cell.contains("+other-user") && !has_two_users(), "{cell}");
                continue;
            }
            tried += 1;
            if *measured == written {
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

fn diff() {
    let scratch = Scratch::new();
    let file = scratch.path().join("run");
    let path = file.to_str().expect("it is UTF-8");
    let narrow = ["--question", "restart"];
    let saved = bindtable(&[&["--format", "json"][..], &narrow].concat());
    fs::write(&file, &saved).expect("it is ours");
    let same = bindtable(&[&["--diff", path][..], &narrow].concat());
    assert!(
        same.ends_with("\n40 cells are equal, 0 differ, 0 are in one of the two alone\n"),
        "{same}"
    );

    let cell = "tcp/127.0.0.1/closed/127.0.0.1";
    let (is, was) = ("verdict\":\"ok\"", "verdict\":\"bind EACCES\"");
    let (before, after) = saved.split_once(&format!("{cell}\"")).expect("it is there");
    fs::write(&file, [before, cell, "\"", &after.replacen(is, was, 1)].concat())
        .expect("it is ours");
    let output = run(Command::new(PROGRAM).args(["--diff", path]).args(narrow));
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.contains("\n39 cells are equal, 1 differ, "), "{}", output.stdout);
    assert!(output.stdout.ends_with(&format!("\n{cell}: was bind EACCES, is ok\n")));
}

/// Each format has every question; the tables are whole, the fragment is one element.
fn formats() {
    let run = json(&["--proto", "tcp"]);
    assert!(run["kernel"].as_str().is_some_and(|kernel| kernel.starts_with("Linux ")));
    let text = bindtable(&["--format", "text"]);
    assert!(!text.contains('\x1b'), "colour is for a terminal");
    let markdown = bindtable(&["--format=markdown"]);
    let mut columns = 0;
    for line in markdown.lines() {
        match line.starts_with('|') {
            true if columns == 0 => columns = line.matches('|').count(),
            true => assert_eq!(line.matches('|').count(), columns, "{line}"),
            false => columns = 0,
        }
    }
    let html = bindtable(&["--format", "html"]);
    assert!(html.starts_with("<section ") && html.ends_with("</section>\n"));
    for element in ["section", "style", "details", "summary", "table", "tr", "td", "th", "ul"] {
        let opened = html.matches(&format!("<{element}>")).count()
            + html.matches(&format!("<{element} ")).count();
        assert_eq!(opened, html.matches(&format!("</{element}>")).count(), "{element}");
    }
    for foreign in ["<html", "<head", "<script", "<link", "src=", "href=", "url(", "@import"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    for name in ["restart", "exhausted", "udp-delivery", "tcp-delivery"] {
        assert!(text.contains(&format!(" ({name})\n")), "{name}");
        assert!(markdown.contains(&format!("\n`{name}`. ")), "{name}");
        assert!(html.contains(&format!("id=\"bindtable-{name}\"")), "{name}");
    }
}

/// A copy that every user may run.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Self {
        let file = format!("bindtable-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(file);
        // By another process: what one of this process has open for writing, a program that another
        // trial is just starting has too, and until it has started nobody may execute the copy.
        printed(Command::new("cp").arg(PROGRAM).arg(&path));
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
    assert_eq!(cells(&text), cells(&bindtable(&[])));
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
        harness::run(Command::new("unshare").arg("-U").arg(&copy.0).args(["--explain", cell]));
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
