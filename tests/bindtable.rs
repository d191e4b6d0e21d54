//! `bindtable`: the options, the cells, what is written elsewhere, and what is left behind.

use crate::documents::{compare, is_current};
use crate::harness::{
    self, Need, Scratch, SharedFolder, bindtable as program, block, has_two_users, in_namespace,
    need, project, read, run, set_sysctl, unprivileged,
};
use fastrand::Rng;
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use unicode_width::UnicodeWidthStr;

/// The languages, and in each the document and the titles of what bindtable writes into it.
const DOCUMENTS: [(&str, &str, [&str; 2]); 2] = [
    ("en", "docs/bind-table.md", ["The rules", "The tables"]),
    ("zh", "docs/zh-CN/bind-table.md", ["规则", "表格"]),
];

const TRIALS: [(&str, fn()); 30] = [
    ("bindtable_documents", documents),
    ("bindtable_rooms", rooms),
    ("bindtable_options", options),
    ("bindtable_language", language),
    ("bindtable_chinese", chinese),
    ("bindtable_sentences", sentences),
    ("bindtable_cells", cells),
    ("bindtable_restart", restart),
    ("bindtable_states", states),
    ("bindtable_predicted", predicted),
    ("bindtable_functions", functions),
    ("bindtable_written", written),
    ("bindtable_smallest_cells", smallest_cells),
    ("bindtable_random_cells", || random_cells(2_000)),
    (LONG, || random_cells(50_000)),
    ("bindtable_stable", stable),
    ("bindtable_diff", diff),
    ("bindtable_formats", formats),
    ("bindtable_filters", filters),
    ("bindtable_names", names),
    ("bindtable_receivers", receivers),
    ("bindtable_jobs", jobs),
    ("bindtable_user_not_mapped", user_not_mapped),
    ("bindtable_ipv6_off", ipv6_off),
    ("bindtable_sysctl_missing", sysctl_missing),
    ("bindtable_proc_missing", proc_missing),
    ("bindtable_ordinary_user", ordinary_user),
    ("bindtable_without_namespaces", without_namespaces),
    ("bindtable_without_sock_diag", without_sock_diag),
    ("bindtable_leaves_nothing", leaves_nothing),
];

/// The one that takes minutes.
const LONG: &str = "bindtable_random_cells_long";

pub fn trials() -> Vec<Trial> {
    TRIALS.map(|(name, check)| harness::trial(name, check).with_ignored_flag(name == LONG)).into()
}

/// The function that decides is one of the cell's protocol.
fn functions() {
    for (cell, function) in [
        ("udp/127.0.0.1/closed/127.0.0.1", "udp_lib_get_port, net/ipv4/udp.c"),
        ("udp/0.0.0.0+device-lo/bound/0.0.0.0+device-other", "udp_lib_lport_inuse, net/ipv4/udp.c"),
        ("udp/127.0.0.1/bound/127.0.0.1", "udp_lib_lport_inuse, net/ipv4/udp.c"),
        ("tcp/127.0.0.1/bound/127.0.0.1", "inet_bind_conflict, net/ipv4/inet_connection_sock.c"),
    ] {
        let told = bindtable(&["--lang", "en", "explain", cell]);
        assert!(told.contains(&format!("rule: {function}: ")), "{told}");
    }
}

/// Runs `bindtable`, which must succeed and print nothing on standard error. Returns its standard output.
/// With one user, bindtable does not try the cells of two users, and its status is 3.
pub fn bindtable(arguments: &[&str]) -> String {
    printed(Command::new(program()).args(arguments))
}

fn printed(command: &mut Command) -> String {
    let (status, text) = tried(command);
    if status == 3 && has_two_users() {
        need(Need::Ipv6);
    }
    assert!(status == 0 || (status == 3 && !has_two_users()), "{command:?}: status {status}");
    text
}

/// The status, and what it prints, where it has no trouble to tell.
fn tried(command: &mut Command) -> (i32, String) {
    let output = run(command);
    assert_eq!(output.stderr, "", "{command:?}");
    (output.status.code().expect("it was not ended"), output.stdout)
}

/// The whole table, run once for each language and format.
fn table(language: &str, format: &str) -> &'static str {
    need(Need::Ipv6); // of its cells half
    static MADE: [[OnceLock<String>; 3]; 2] = [const { [const { OnceLock::new() }; 3] }; 2];
    let place = |all: &[&str], one| all.iter().position(|it| *it == one).expect("it is known");
    let made = &MADE[place(&["en", "zh"], language)][place(&["text", "markdown", "json"], format)];
    // In a network of its own: the trial that asks first may have changed its own.
    made.get_or_init(|| {
        thread::scope(|scope| {
            let arguments = ["--lang", language, "--format", format];
            let run = scope.spawn(move || in_namespace(|| bindtable(&arguments)));
            run.join().expect("it has succeeded")
        })
    })
}

/// The whole table, as JSON.
pub fn whole() -> Value {
    whole_in("en")
}

/// The same, with the texts in that language.
pub fn whole_in(language: &str) -> Value {
    parsed(table(language, "json"))
}

/// What others have written of a cell: a line of `tests/expected.tsv` has several.
struct Statement {
    source: String,
    cell: String,
    verdict: String,
}

impl Statement {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for line in read("tests/expected.tsv").lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [source, proto, state, sockets, verdicts] = fields[..] else { panic!("{line}") };
            let mut sockets = sockets.split(' ');
            let mut there = vec![sockets.next().expect("there is a first socket")];
            for (new, verdict) in sockets.zip(verdicts.split(' ')) {
                let (a, b) = (there.join(","), new.replace("+closed", ""));
                all.push(Self {
                    source: source.to_owned(),
                    cell: format!("{proto}/{a}/{state}/{b}"),
                    verdict: verdict.replace(':', " "),
                });
                if verdict == "ok" {
                    there.push(new);
                }
            }
        }
        all
    }

    /// Whether it is of another system.
    fn is_of_bsd(&self) -> bool {
        self.source.ends_with("of BSD")
    }
}

/// The whole table, and in addition the cells of which others have written, and what they have.
pub fn with_statements(language: &str) -> &'static Value {
    static MADE: [OnceLock<Value>; 2] = [const { OnceLock::new() }; 2];
    MADE[usize::from(language == "zh")].get_or_init(|| {
        let (mut run, statements) = (whole_in(language), Statement::all());
        let mut explain = vec!["explain", "--format", "json", "--lang", language];
        explain.extend(statements.iter().map(|statement| &*statement.cell));
        explain.extend(fields(&run, "verdict").into_iter().map(|(cell, _)| cell));
        let asked = thread::scope(|scope| {
            let asked = scope.spawn(|| in_namespace(|| bindtable(&explain)));
            asked.join().expect("it has succeeded")
        });
        run["cells"] = parsed(&asked)["cells"].take();
        let saved = |Statement { source, cell, verdict }| {
            serde_json::json!({ "source": source, "cell": cell, "verdict": verdict })
        };
        run["expectations"] = statements.into_iter().map(saved).collect();
        run
    })
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

/// The documents have what is measured; of one user, what one user may try.
fn documents() {
    for (language, document, titles) in DOCUMENTS {
        is_recorded(table(language, "markdown"), document, titles);
        if has_two_users() {
            is_current(document, "bsd", &written_by_others(language, true));
            is_current(document, "linux", &written_by_others(language, false));
        }
    }
}

/// How many statements of each source are true here, and those that are not.
fn written_by_others(language: &str, is_of_bsd: bool) -> String {
    let verdicts: BTreeMap<_, _> =
        fields(with_statements(language), "verdict").into_iter().collect();
    let mut sources: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    for statement in Statement::all().into_iter().filter(|it| it.is_of_bsd() == is_of_bsd) {
        let Statement { source, cell, verdict } = statement;
        let measured = verdicts[&*cell].expect("it is tried");
        let (count, differences) = sources.entry(source).or_default();
        *count += 1;
        if measured != verdict {
            differences.push(match language {
                "en" => format!("- `{cell}`: {verdict}, here {measured}\n"),
                _ => format!("- `{cell}`：{verdict}，这里是 {measured}\n"),
            });
        }
    }
    let of_source = |(source, (count, differences)): (String, (usize, Vec<String>))| {
        let agree = count - differences.len();
        let (here, too) = if is_of_bsd {
            (" of this kernel too", "对这个内核也")
        } else {
            (" here", "在这里")
        };
        let head = match language {
            "en" => format!("- {source}: {agree} of {count} statements are true{here}\n"),
            _ => {
                let source = match source.split_once(", of ") {
                    Some((source, of)) => format!("{source}（关于 {of}）"),
                    None => source,
                };
                format!("- {source}：{count} 条说法中，有 {agree} 条{too}成立\n")
            }
        };
        head + &differences.concat()
    };
    sources.into_iter().map(of_source).collect()
}

fn is_recorded(markdown: &str, place: &str, [rules, table]: [&str; 2]) {
    let (_kernel, sections) = markdown.split_once("\n\n").expect("it has a head");
    let section = |title: &str| {
        let (_, section) = sections.split_once(&format!("## {title}\n\n")).expect("it is there");
        section.split("\n## ").next().unwrap_or_default().to_owned()
    };
    is_current(place, "rules", &section(rules));
    let table = section(table);
    if has_two_users() {
        return is_current(place, "table", &table);
    }
    eprintln!(
        "{place}: bsd, linux and the cells of two users are not compared: they need two users: run as root"
    );
    let document = read(place);
    let [_, document, _] = block(&document, "table").expect("the block is there, and ends");
    assert_eq!(document.lines().count(), table.lines().count(), "{place}: lines of the table");
    let of_one_user = document.lines().zip(table.lines()).map(|(document, here)| {
        let cells = document.split(" | ").zip(here.split(" | "));
        let untried = ["–", "– |"];
        let cells = cells.map(|(cell, here)| if untried.contains(&here) { here } else { cell });
        cells.collect::<Vec<_>>().join(" | ") + "\n"
    });
    compare(place, &of_one_user.collect::<String>(), &table);
}

/// Imports go one way: main and cli; why; table and port, which never meet; kernel and sockets; named and
/// language. why and table never meet, either.
fn rooms() {
    let height = |room: &str| match room {
        "main" | "cli" => 4,
        "why" => 3,
        "table" | "port" => 2,
        "kernel" | "sockets" => 1,
        _ => 0, // language, named, printable
    };
    for path in sources() {
        let place = path.strip_prefix("src/bindtable/").expect("it is there");
        let room = place.split(['/', '.']).next().expect("it has a name");
        let source = read(&path);
        assert!(source.lines().count() <= 700 || place.ends_with("words.rs"), "{place} is long");
        // The model has no sentence, and the language is nothing to it.
        let is_mute = ["kernel", "named"].contains(&room);
        assert!(!is_mute || !["say!", "words!", "language"].iter().any(|it| source.contains(it)));
        // What is above the room has no other way to it than crate.
        let is_top = place == format!("{room}.rs") || place == format!("{room}/mod.rs");
        assert!(!source.contains("super::super::"), "{place}");
        assert!(!is_top || !source.contains("super::"), "{place}");
        for path in source.split("crate::").skip(1) {
            let other = path.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
            let is_below = height(other) < height(room) || (height(room), other) == (4, "cli");
            let is_same_floor = height(room) < 2 && height(other) == height(room);
            let are_strangers = (room, other) == ("why", "table");
            let is_macro = ["", "say", "words"].contains(&other);
            assert!(
                other == room || !are_strangers && (is_below || is_same_floor || is_macro),
                "{place} imports crate::{other}"
            );
        }
    }
}

/// A wrong option gets one line, and status 2.
fn options() {
    for (arguments, word) in [
        (&["--bogus"][..], "--bogus"),
        (&["bogus"], "bogus"),
        (&["--proto"], "a value is required"),
        (&["--proto", "sctp"], "tcp, udp"),
        (&["--state=asleep"], "bound, between"),
        (&["--format", "html"], "text, markdown, json"),
        (&["explain", "tcp/::1/bound/::1", "--format", "markdown"], "text, json"),
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
        (&["explain", "tcp/192.0.2.1/bound/::1"], "192.0.2.1 is not an address here"),
        (&["explain", "tcp/127.0.0.1+v6only/bound/::1"], "+v6only is for IPv6"),
        (&["explain", "tcp/127.0.0.1+device-lo/closed/::1"], "a device of a closed socket"),
        (&["explain", "tcp/::1+reuseaddr+late-reuseaddr/bound/::1"], "has +reuseaddr and +late"),
        (&["explain", "tcp/::1+closed/bound/::1"], "+closed is for a third socket"),
        (&["explain", "tcp/::1+program/bound/::1"], "needs +reuseport"),
        (&["explain", "tcp/::1+connects/listening/::1"], "never 'listening'"),
        (&["explain", "tcp/0.0.0.0+connects/connected/::1"], "nothing connects from 0.0.0.0"),
        (&["explain", "tcp/::1/exhausted/::1"], "exhausted-reuse-0 and exhausted-reuse-1"),
        (&["explain", "tcp/::1+ipv4-client/time-wait/::1"], "+ipv4-client is for A at ::"),
        (&["explain", "tcp/::1/bound/::1+elsewhere"], "+elsewhere is for a socket that connects"),
        (&["--jobs", "0"], "invalid value '0'"),
        (&["diff", "/dev/null/none"], "/dev/null/none"),
        (&["diff", "/dev/null"], "no saved run"),
        (&["diff", "/dev/zero"], "has more than 16 MiB, so it is no saved run"),
        (&["diff", ""], "a value is required"),
        (&["diff", "/dev/null/x\ny"], "/dev/null/x y"),
        (&["--question", "x\ny"], "'x y' is none of restart"),
    ] {
        assert!(refusal(arguments).contains(word), "{arguments:?}");
    }
    for task in ["--help", "port 3459", "port 3459 --format json"] {
        for (to, error) in [("/dev/full", "No space left"), ("&-", "Bad file descriptor")] {
            let line = format!("\"$0\" {task} >{to}");
            let lost = run(Command::new("sh").args(["-c", &line]).arg(program()));
            assert_eq!(lost.status.code(), Some(2), "{line}: {}", lost.stderr);
            assert!(lost.stderr.contains(error), "{line}: {}", lost.stderr);
        }
    }
    let silent = run(Command::new("sh").args(["-c", "\"$0\" bogus 2>/dev/full"]).arg(program()));
    assert_eq!(silent.status.code(), Some(2));
    let help = bindtable(&["--help"]);
    for word in ["--proto", "--state", "--question", "--format", "diff", "explain"] {
        assert!(help.contains(&format!("  {word} ")), "{word}");
    }
}

/// What it says of such arguments, on one line; and the same in Chinese.
pub fn refusal(arguments: &[&str]) -> String {
    let [english, chinese] = ["en", "zh"].map(|language| {
        let output = run(Command::new(program()).args(["--lang", language]).args(arguments));
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), ""), "{arguments:?}");
        assert!(output.stderr.starts_with("bindtable: "), "{}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        output.stderr
    });
    is_chinese(&chinese);
    english
}

/// The locale decides, the first variable of POSIX's that is not empty; `--lang` decides before it.
fn language() {
    const CHINESE: &str = "zh_CN.UTF-8";
    let said = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = Command::new(program());
        command.env_remove("LC_ALL").env_remove("LC_MESSAGES").env_remove("LANG");
        let output = run(command.envs(variables.iter().copied()).args(arguments));
        (output.status.code(), output.stdout + &output.stderr)
    };
    for (variables, arguments, is_translated) in [
        (&[][..], &[][..], false),
        (&[("LANG", CHINESE)], &[], true),
        (&[("LANG", "zh_TW.utf8")], &[], true),
        (&[("LC_MESSAGES", CHINESE), ("LANG", "de_DE.UTF-8")], &[], true),
        (&[("LC_ALL", ""), ("LC_MESSAGES", ""), ("LANG", CHINESE)], &[], true),
        (&[("LC_ALL", CHINESE), ("LC_MESSAGES", "en_US.UTF-8")], &[], true),
        (&[("LC_ALL", "C"), ("LC_MESSAGES", CHINESE), ("LANG", CHINESE)], &[], false),
        (&[("LANG", "zh_CN.GB18030")], &[], false), // not the encoding of the words
        (&[("LANG", "zha_CN.UTF-8")], &[], false),
        (&[("LANG", CHINESE)], &["--lang", "en"], false),
        (&[], &["--lang", "zh"], true),
        (&[], &["--lang=zh"], true),
        (&[], &["--lang", "en", "--lang=zh"], true),
    ] {
        // Before a subcommand, and after it.
        for arguments in
            [[arguments, &["port", "70000"]].concat(), [&["port", "70000"], arguments].concat()]
        {
            let (status, text) = said(variables, &arguments);
            assert_eq!(status, Some(2));
            assert_eq!(text.contains("太大"), is_translated, "{variables:?} {arguments:?}");
            assert_eq!(text.contains("is too large"), !is_translated, "{text}");
        }
    }
    for arguments in
        [&["--lang", "xx"][..], &["--lang="], &["--lang"], &["explain", "--lang", "ZH"]]
    {
        for (locale, start) in [("C", "bindtable: --lang takes"), (CHINESE, "bindtable: --lang 只")]
        {
            let (status, text) = said(&[("LANG", locale)], arguments);
            assert_eq!(status, Some(2), "{arguments:?}");
            assert!(text.starts_with(start) && text.contains("en, zh"), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
    // After --, it is no option.
    let (_, text) = said(&[], &["port", "--", "--lang"]);
    assert!(text.contains("'--lang' is neither PORT nor ADDRESS:PORT"), "{text}");
}

/// The tables in Chinese: their columns are aligned, and for a program the names are the same.
fn chinese() {
    let text = table("zh", "text");
    is_chinese(text);
    is_chinese(table("zh", "markdown"));
    let (mut rows, mut heads) = (0, Vec::new());
    for line in text.lines().filter(|line| line.contains("  ") && !line.starts_with(' ')) {
        // Where the columns begin.
        let starts: Vec<usize> = line
            .char_indices()
            .filter(|(at, c)| *c != ' ' && line[..*at].ends_with("  "))
            .map(|(at, _)| line[..at].width())
            .collect();
        if line.contains(['✓', '✗']) {
            assert!(starts.iter().all(|start| heads.contains(start)), "{heads:?}: {line}");
            rows += 1;
        } else {
            heads = starts;
        }
    }
    assert!(rows > 250, "{rows}");

    for command in
        [&["--help"][..], &["help"], &["help", "port"], &["explain", "-h"], &["diff", "-h"]]
    {
        let help = bindtable(&[&["--lang", "zh"], command].concat());
        is_chinese(&help);
        assert!(!help.contains("[default") && !help.contains("Usage"), "{help}");
    }
    let explained = bindtable(&["explain", "--lang", "zh", "tcp/::1/time-wait/::1+reuseaddr"]);
    is_chinese(&explained);
    assert!(explained.contains("\n规则：inet_bind_conflict, "), "{explained}");

    // What is left, if what readers read is taken out.
    fn bare(value: &Value) -> Value {
        const FOR_READERS: [&str; 8] =
            ["title", "note", "corner", "columns", "text", "condition", "history", "not_tried"];
        match value {
            Value::Array(list) => list.iter().map(bare).collect(),
            Value::Object(fields) => {
                // A row's name is its label.
                let is_text = |name: &str| {
                    FOR_READERS.contains(&name) || (name == "name" && fields.len() == 2)
                };
                let fields = fields.iter().map(|(name, value)| {
                    (name.clone(), if is_text(name) { Value::Null } else { bare(value) })
                });
                fields.collect()
            }
            other => other.clone(),
        }
    }
    let (english, chinese) = (whole(), whole_in("zh"));
    assert_ne!(english, chinese);
    assert!(bare(&english) == bare(&chinese));
}

/// Both formats of a sentence say the same values. That each is there, the compiler sees.
fn sentences() {
    /// The first literal, and what follows it.
    fn literal(text: &str) -> (&str, &str) {
        let (_, text) = text.split_once('"').expect("a literal begins");
        let is_end = |at: &usize| !text[..*at].ends_with('\\');
        let mut ends = text.match_indices('"').map(|(at, _)| at);
        text.split_at(ends.find(is_end).expect("the literal ends"))
    }
    fn values(format: &str) -> BTreeSet<&str> {
        format.split('{').skip(1).filter_map(|rest| rest.split(['}', ':']).next()).collect()
    }
    let mut count = 0;
    for path in sources() {
        let source = read(&path);
        for call in source.split("say!(").skip(1) {
            let (english, rest) = literal(call);
            let (chinese, _) = literal(&rest[1..]);
            assert_eq!(values(english), values(chinese), "{path}: {english}, {chinese}");
            count += 1;
        }
    }
    assert!(count > 150, "{count}");
}

/// The sources of bindtable, in every folder below its own.
pub fn sources() -> Vec<String> {
    let mut folders = vec!["src/bindtable".to_owned()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(project(&folder)).expect("it is a folder") {
            let entry = entry.expect("it is a folder");
            let place = format!("{folder}/{}", entry.file_name().to_str().expect("it is ASCII"));
            match entry.file_type().expect("it is a folder").is_dir() {
                true => folders.push(place),
                false if place.ends_with(".rs") => sources.push(place),
                false => {}
            }
        }
    }
    sources
}

/// What is said in Chinese has no English sentence in it, only names and codes.
pub fn is_chinese(text: &str) {
    /// What the kernel and other programs say; and commands.
    const THEIRS: [&str; 7] = [
        "Address already in use",
        "Cannot assign requested address",
        "EOF while parsing a value at line 1 column 0",
        "Not a directory",
        "Permission denied",
        "port is already allocated",
        "ip -brief address",
    ];
    /// A sentence has one of these.
    const ENGLISH: [&str; 27] = [
        "a", "an", "and", "another", "are", "at", "before", "by", "for", "has", "have", "in", "is",
        "it", "its", "no", "not", "of", "on", "or", "same", "the", "to", "user", "which", "who",
        "with",
    ];
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let ends_as_english = |line: &&str| {
        let is_english = line.ends_with(['.', ';', '?']) && !line.ends_with("...");
        is_english && line.contains(is_chinese)
    };
    assert_eq!(text.lines().find(ends_as_english), None);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = THEIRS.iter().fold(words, |words, theirs| words.replace(theirs, ""));
    let mut words = words.split(|c: char| !c.is_ascii_alphanumeric() && !"-_/.".contains(c));
    // A process is shown with its path, which may be ours: /srv/a path with spaces/treuseaddr.
    let path = harness::project("").display().to_string();
    let path: Vec<&str> = path.split(['/', ' ']).collect();
    let is_english = |word: &str| word != "A" && ENGLISH.contains(&&*word.to_lowercase());
    let english = words.find(|word| is_english(word) && !path.contains(word));
    assert_eq!(english, None, "{text}");
    assert!(text.contains(is_chinese), "{text}");
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
    let text = table("en", "text");
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
            "bound" | "between" | "shut-down" | "closed" => &[],
            "fin-wait-1" => &["FIN_WAIT1"],
            "listening" => &["LISTEN"],
            "connection" => &["ESTABLISHED", "LISTEN"],
            "connected" => &["ESTABLISHED"],
            "half-closed" | "fin-wait-2" => &["FIN_WAIT2"],
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
    let cells = list(&run["cells"]);
    assert!(cells.len() > 1000);
    let mut receivers = 0;
    for cell in cells.iter().filter(|cell| cell["verdict"].is_string()) {
        assert!(!is_unpredicted(cell), "{cell:#}");
        receivers += cell["deliveries"].as_object().map_or(0, |deliveries| deliveries.len());
    }
    assert!(receivers > 1000, "{receivers}");
}

/// Of each condition that the tables do not need, the smallest cell: its verdict, or who receives.
fn smallest_cells() {
    for (cell, expected) in [
        ("tcp/127.0.0.1+connects/connected/127.0.0.2+bind-connects", "ok"),
        ("udp/127.0.0.1/bound/::1+device-other", "bind EADDRNOTAVAIL"),
        ("udp/127.0.0.1/bound/fd00::2+device-other", "ok"),
        ("udp/127.0.0.1/bound/::ffff:127.0.0.2+device-other", "ok"),
        ("udp/127.0.0.1/bound/ff01::1", "bind EINVAL"),
        ("udp/127.0.0.1/bound/ff02::1", "bind EINVAL"),
        ("udp/127.0.0.1/bound/ff02::1+device-lo", "ok"),
        ("udp/fd00::2,::1+reuseport/bound/::+reuseport", "bind EADDRINUSE"),
        ("udp/127.0.0.2,127.0.0.1+reuseport/exhausted/0.0.0.0+reuseport", "bind EADDRINUSE"),
        ("tcp/::1+connects/connected/0.0.0.0", "bind EADDRINUSE"),
        ("udp/::1+connects/connected/0.0.0.0", "bind EADDRINUSE"),
        ("tcp/::/connected/127.0.0.6", "ok"),
        ("udp/127.0.0.1+reuseport/bound/127.0.0.1+cleared-reuseport+connects", "ok"),
        ("tcp/127.0.0.1/closed/127.255.255.255+bind-connects", "connect ENETUNREACH"),
        ("udp/127.0.0.1/closed/127.255.255.255+bind-connects", "connect EACCES"),
        ("udp/0.0.0.0+device-other/connected/127.0.0.1", "bind EADDRINUSE"),
        (
            "udp/127.0.0.1+reuseaddr/connected/127.0.0.1+reuseaddr+reuseport",
            "127.0.0.1 from A's peer: A",
        ),
        (
            "udp/127.0.0.1+reuseaddr/connected/127.0.0.1+reuseaddr+bind-connects",
            "127.0.0.1 from A's peer: B",
        ),
        (
            "udp/127.0.0.1+reuseaddr+reuseport/bound/127.0.0.1+reuseaddr+late-reuseport",
            "127.0.0.1: B",
        ),
        (
            "udp/127.0.0.1+reuseaddr+reuseport/bound/127.0.0.1+reuseaddr+reuseport+program",
            "127.0.0.1: spread",
        ),
        ("udp/127.0.0.1+reuseport+program/connected/127.0.0.1+reuseport", "127.0.0.1: B"),
        ("tcp/::1+v6only+reuseport/listening/::1+reuseport", "::1: spread"),
        ("udp/127.0.0.1/bound/239.9.9.9", "239.9.9.9: nobody"),
        ("udp/127.0.0.1/bound/224.0.0.1", "224.0.0.1: B"),
    ] {
        need(Need::Ipv6);
        let run = parsed(&bindtable(&["explain", "--format", "json", cell]));
        let found = &run["cells"][0];
        assert!(!is_unpredicted(found), "{found:#}");
        match expected.split_once(": ") {
            Some((to, who)) => assert_eq!(found["deliveries"][to], who, "{cell}"),
            None => {
                let verdict = found["verdict"].as_str().expect("it is tried");
                assert_eq!(verdict, expected, "{cell}");
            }
        }
    }
    // What cannot be made is refused, with the reason.
    let refused = refusal(&["explain", "tcp/127.0.0.2+connects/connected/127.0.0.1"]);
    assert!(refused.contains("127.0.0.2+connects: without bind, connect comes from"), "{refused}");
    let status = run(Command::new(program()).args(["explain", "udp/ff02::1/bound/::1"]));
    assert_eq!(status.status.code(), Some(3));
    assert!(status.stdout.contains("not tried: ff02::1 should be there"), "{}", status.stdout);
    // A cell that fails leaves nothing to the next, in whichever thread that comes.
    let fails = (1..100).map(|n| format!("tcp/127.0.0.1+device-other/fin-wait-1/127.0.0.{n}"));
    let last = "udp/0.0.0.0+device-other+reuseaddr/connected/127.0.0.1+late-reuseaddr";
    let cells: Vec<String> = fails.chain([last.to_owned()]).collect();
    let all = run(Command::new(program()).args(["explain", "--format", "json"]).args(&cells));
    let all = parsed(&all.stdout);
    assert_eq!(list(&all["cells"]).len(), 100);
    assert_eq!(all["cells"][99]["verdict"], "bind EADDRINUSE");
    assert!(all["cells"][0]["not_tried"].is_string());
    // Too few descriptors have their name.
    let mut prlimit = Command::new("prlimit");
    prlimit.arg("--nofile=4").arg(program()).args(["explain", "tcp/::1/bound/::1"]);
    let output = run(&mut prlimit);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.contains("Too many open files"), "{}", output.stderr);
}

/// Random cells of the whole grammar: what the model says of each is what the kernel does, whatever
/// cells are tried beside it.
fn random_cells(count: usize) {
    need(Need::Ipv6);
    need(Need::SecondUser);
    let seed = match std::env::var("TREUSEADDR_SEED") {
        Ok(seed) => seed.parse().expect("TREUSEADDR_SEED is a number"),
        // The sample is the same in each run; the long trial's cells are new ones.
        Err(_) if count <= 2000 => 1,
        Err(_) => fastrand::u64(..),
    };
    println!("{count} random cells, TREUSEADDR_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut cells = BTreeSet::new();
    while cells.len() < count {
        cells.extend(random_cell(&mut random));
    }
    let mut cells: Vec<String> = cells.into_iter().collect();
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    let mut tried = 0;
    // Twice, each time beside others.
    for _ in 0..2 {
        random.shuffle(&mut cells);
        for some in cells.chunks(500) {
            let output =
                run(Command::new(program()).args(["explain", "--format", "json"]).args(some));
            assert!([0, 3].map(Some).contains(&output.status.code()), "{}", output.stderr);
            for cell in list(&parsed(&output.stdout)["cells"]) {
                let name = cell["cell"].as_str().expect("it is a text");
                let context = format!("TREUSEADDR_SEED={seed}: {cell:#}");
                match cell["not_tried"].as_str() {
                    None => assert!(!is_unpredicted(cell), "{context}"),
                    Some(reason) => assert!(!reason.contains("waited"), "{context}"),
                }
                tried += usize::from(cell["verdict"].is_string());
                if let Some(before) = seen.insert(name.to_owned(), cell.clone()) {
                    assert_eq!(&before, cell, "TREUSEADDR_SEED={seed}");
                }
            }
        }
    }
    assert_eq!(seen.len(), count);
    assert!(tried > count, "of {count} cells, each twice, {tried} were tried");
}

/// A cell, or nothing if there can be none such.
fn random_cell(random: &mut Rng) -> Option<String> {
    const STATES: [&str; 17] = [
        "bound",
        "closed",
        "connected",
        "exhausted",
        "between",
        "listening",
        "shut-down",
        "connection",
        "half-closed",
        "fin-wait-1",
        "fin-wait-2",
        "close-wait",
        "last-ack",
        "time-wait",
        "exhausted-reuse-0",
        "exhausted-reuse-1",
        "exhausted-reuse-1-between",
    ];
    let is_udp = random.bool();
    let state = *random.choice(if is_udp { &STATES[..4] } else { &STATES[..] })?;
    let options = random.u8(1..5);
    let a = random_socket(random, options, is_udp, true);
    let mut there = vec![a.clone()];
    while random.u8(..4) == 0 && there.len() < 4 {
        let third = random_socket(random, options, is_udp, false);
        there.push(third + random.choice(["", "", "+closed"])?);
    }
    let b = random_socket(random, options, is_udp, true);
    let elsewhere =
        if b.contains("connects") { random.choice(["", "", "+elsewhere"])? } else { "" };
    let of_client = ["connected", "half-closed", "fin-wait-2", "close-wait", "time-wait", "closed"];
    let may_be = (is_udp || state != "exhausted")
        && (!a.contains("connects") || of_client.contains(&state))
        && (state != "closed" || !a.contains("device"))
        && !(b.contains("connects") && (state.contains("exhausted") || state == "between"));
    may_be.then(|| {
        let proto = if is_udp { "udp" } else { "tcp" };
        format!("{proto}/{}/{state}/{b}{elsewhere}", there.join(","))
    })
}

/// A socket that there can be; each option is set in `options` of 5.
fn random_socket(random: &mut Rng, options: u8, is_udp: bool, connects: bool) -> String {
    const ADDRESSES: [&str; 14] = [
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:0.0.0.0",
        "fd00::2",
        "127.0.0.1",
        "127.0.0.2",
        "127.0.0.6",
        "127.255.255.255",
        "::ffff:127.0.0.2",
        "::1",
        "::",
    ];
    const GROUPS: [&str; 8] = [
        "239.1.2.3",
        "239.9.9.9",
        "224.0.0.1",
        "ff0e::123",
        "ff0e::9",
        "ff05::2",
        "ff02::1",
        "ff01::1",
    ];
    let is_group = is_udp && random.u8(..8) == 0;
    let ip = *random.choice(if is_group { &GROUPS[..] } else { &ADDRESSES[..] }).expect("some");
    let mut name = ip.to_owned();
    let mut add = |word: &str, is_so: bool| {
        if is_so {
            name += word;
        }
    };
    let is_ipv4 = ip.contains('.');
    add("+v6only", !is_ipv4 && random.u8(..5) == 0);
    let way = if connects && !is_group { random.u8(..8) } else { 7 };
    let device = if way > 1 { random.u8(..10) } else { 9 };
    add("+device-lo", device == 0);
    add("+device-other", device == 1);
    for option in ["reuseaddr", "reuseport"] {
        match (random.u8(..5) < options, random.u8(..10)) {
            (_, 0) => add(&format!("+late-{option}"), true),
            (_, 1) => add(&format!("+cleared-{option}"), true),
            (is_set, _) => add(&format!("+{option}"), is_set),
        }
    }
    let has_group = name.contains("+reuseport");
    let program = if has_group { random.u8(..8) } else { 7 };
    let mut add = |word: &str, is_so: bool| {
        if is_so {
            name += word;
        }
    };
    add("+program", program == 0);
    add("+late-program", program == 1);
    add("+other-user", random.u8(..8) == 0);
    let is_source = ["127.0.0.1", "::1", "fd00::2", "::ffff:127.0.0.1"].contains(&ip);
    add("+connects", way == 0 && is_source);
    add("+bind-connects", way == 1);
    name
}

/// Whether the model predicts another verdict of a cell, or another receiver.
pub fn is_unpredicted(cell: &Value) -> bool {
    cell["verdict"] != cell["predicted"] || cell["deliveries"] != cell["predicted_deliveries"]
}

/// What others have written of Linux is true here. What they have written of BSD need not be:
/// the document names each difference.
fn written() {
    let run = with_statements("en");
    let verdicts: BTreeMap<_, _> = fields(run, "verdict").into_iter().collect();
    let mut tried: BTreeMap<String, usize> = BTreeMap::new();
    for statement in Statement::all() {
        let Statement { ref source, ref cell, ref verdict } = statement;
        let Some(measured) = verdicts[&**cell] else {
            assert!(cell.contains("+other-user") && !has_two_users(), "{cell}");
            continue;
        };
        *tried.entry(source.clone()).or_default() += 1;
        assert!(measured == verdict || statement.is_of_bsd(), "{source}: {cell}: {measured}");
    }
    let sources: Vec<&str> = tried.keys().map(String::as_str).collect();
    let expected = [
        "ip(7)",
        "selftest bind_timewait",
        "selftest bind_wildcard",
        "selftest reuseaddr_conflict",
        "selftest reuseaddr_ports_exhausted",
        "socket(7)",
        "stackoverflow.com/q/14388706, of BSD",
        "stackoverflow.com/q/14388706, of Linux",
    ];
    assert_eq!(sources, expected);
    let predicted = list(&run["cells"]).iter().filter(|cell| cell["verdict"].is_string());
    for cell in predicted {
        assert!(!is_unpredicted(cell), "{cell:#}");
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
    let narrow = ["--question", "restart"]; // it needs neither two users nor IPv6
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
    for (field, value) in [("/bindtable", 3.into()), ("/cells/0/verdict", 5.into())] {
        let mut other = saved.clone();
        *other.pointer_mut(field).expect("it is there") = value;
        write(&other);
        assert!(refusal(&["diff", path]).contains(" is no saved run ("), "{field}");
    }
    write(&saved);
    let same = bindtable(&[&["diff", path][..], &narrow].concat());
    assert!(same.ends_with(&counts(52, 0, 0, 0)), "{same}");

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
    assert!(text.contains(&counts(51, 1, 0, 0)), "{text}");
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

    // What a saved run says is no command to the terminal.
    let hostile = "x\x1b[31m\u{9b}1m\ny";
    let mut other = saved.clone();
    other["kernel"] = hostile.into();
    let cells = other["cells"].as_array_mut().expect("they are a list");
    let changed = cells.iter_mut().find(|other| other["cell"] == cell).expect("it is there");
    changed["verdict"] = hostile.into();
    write(&other);
    for format in ["text", "markdown", "json"] {
        let (_, text) = compare(&["--format", format]);
        assert!(text.contains("x [31m 1m y"), "{text:?}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }

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
    assert!(text.ends_with(&counts(49, 0, 2, 3)), "{text}");
}

/// Each format has every question, and the tables are whole.
fn formats() {
    let (text, markdown, run) = (table("en", "text"), table("en", "markdown"), whole());
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

/// The cells that are printed are those that are asked for, by what stands in their names.
fn filters() {
    let run = whole();
    let all: Vec<&str> = fields(&run, "verdict").into_iter().map(|(cell, _)| cell).collect();
    for (arguments, wants) in [
        (["--proto", "udp"], &(|cell: &str| cell.starts_with("udp/")) as &dyn Fn(&str) -> bool),
        (["--state", "time-wait"], &|cell| cell.contains("/time-wait/")),
    ] {
        let run = json(&arguments);
        let some: Vec<&str> = fields(&run, "verdict").into_iter().map(|(cell, _)| cell).collect();
        let wanted: Vec<&str> = all.iter().copied().filter(|cell| wants(cell)).collect();
        assert!(!wanted.is_empty() && wanted.len() < all.len(), "{arguments:?}");
        assert_eq!(some, wanted, "{arguments:?}");
    }
}

/// The name of each cell is read as that cell; and `--help` has each word of them.
fn names() {
    let run = whole();
    let cells: Vec<&str> = fields(&run, "verdict").into_iter().map(|(cell, _)| cell).collect();
    let read = parsed(&bindtable(&[&["explain", "--format", "json"][..], &cells].concat()));
    let again: Vec<&str> = fields(&read, "verdict").into_iter().map(|(cell, _)| cell).collect();
    assert_eq!(again, cells);
    let help = bindtable(&["--help"]);
    let is_known = |word: &str| help.lines().any(|line| line.trim_start().starts_with(word));
    for cell in cells {
        let state = cell.split('/').nth(2).expect("it is a cell");
        assert!(is_known(state), "{state}");
        for modifier in
            cell.split(['/', ',', '+']).filter(|part| part.starts_with(char::is_alphabetic))
        {
            let is_other = ["tcp", "udp", state].contains(&modifier) || modifier.contains(':');
            assert!(is_other || is_known(&format!("+{modifier} ")), "{modifier}");
        }
    }
}

/// What beside the address decides who receives: each measurement by hand has its cell.
fn receivers() {
    let run = json(&["--question", "receivers"]);
    for (cell, to, who) in [
        // 40 datagrams, or clients: none of them to one of the two happens once in 2^39 runs.
        ("udp/127.0.0.1+reuseport/bound/127.0.0.1+reuseport", "127.0.0.1", "spread"),
        ("tcp/127.0.0.1+reuseport/listening/127.0.0.1+reuseport", "127.0.0.1", "spread"),
        ("udp/127.0.0.1+reuseaddr/bound/127.0.0.1+reuseaddr", "127.0.0.1", "B"),
        // A connected socket gets all from its peer, even from a wildcard bind.
        ("udp/0.0.0.0+reuseaddr/connected/127.0.0.1+reuseaddr", "127.0.0.1 from A's peer", "A"),
        ("udp/0.0.0.0+reuseaddr/connected/127.0.0.1+reuseaddr", "127.0.0.1", "B"),
        // A socket that is bound to a device wins.
        ("udp/127.0.0.1+device-lo+reuseaddr/bound/127.0.0.1+reuseaddr", "127.0.0.1", "A"),
        // A socket at 0.0.0.0 wins over one at ::.
        ("udp/0.0.0.0+reuseaddr/bound/::+reuseaddr", "127.0.0.1", "A"),
        ("udp/::+reuseaddr/bound/0.0.0.0+reuseaddr", "127.0.0.1", "B"),
        ("tcp/127.0.0.1/listening/::1", "::1", "B"),
    ] {
        let found = list(&run["cells"]).iter().find(|found| found["cell"] == cell);
        assert_eq!(found.expect("it is there")["deliveries"][to], who, "{cell}");
    }
}

/// One thread gets the same results as several.
fn jobs() {
    let three = |jobs| bindtable(&["--question", "three", "--jobs", jobs]);
    assert_eq!(three("1"), three("7"));
    // Where there may be no more threads, the first one finds it, too.
    let folder = SharedFolder::new();
    let copy = folder.copy(&program());
    let mut prlimit = Command::new("prlimit");
    prlimit.arg("--nproc=1").arg(&copy).args(["--question", "restart", "--jobs", "7"]);
    assert_eq!(printed(&mut unprivileged(&prlimit)), bindtable(&["--question", "restart"]));
}

/// What was not tried, by its reason: each of those cells, and how many others were tried.
fn not_tried(run: &Value) -> (BTreeMap<&str, Vec<&str>>, usize) {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (cell, reason) in fields(run, "not_tried") {
        if let Some(reason) = reason {
            reasons.entry(reason).or_default().push(cell);
        }
    }
    let tried = fields(run, "verdict").iter().filter(|(_, verdict)| verdict.is_some()).count();
    (reasons, tried)
}

/// What was tried is as in the whole table, and the status is that something was not.
fn as_in_the_whole(command: &mut Command) -> Value {
    let (status, text) = tried(command);
    assert_eq!(status, 3, "{command:?}");
    let (run, whole) = (parsed(&text), whole());
    let known: BTreeMap<_, _> = fields(&whole, "verdict").into_iter().collect();
    for (cell, verdict) in fields(&run, "verdict") {
        assert!(verdict.is_none() || known[cell].is_none() || verdict == known[cell], "{cell}");
    }
    run
}

/// A user without privileges has a namespace of the own user, and does all but two users' cells.
fn ordinary_user() {
    let folder = SharedFolder::new();
    let copy = folder.copy(&program());
    let run = as_in_the_whole(unprivileged(&Command::new(&copy)).args(["--format", "json"]));
    let (reasons, tried) = not_tried(&run);
    assert!(tried > 900);
    let [(reason, cells)] = &reasons.into_iter().collect::<Vec<_>>()[..] else { panic!("one") };
    assert!(reason.starts_with("two users are needed: "), "{reason}");
    assert!(cells.iter().all(|cell| cell.contains("+other-user")));
    let (_, text) = self::tried(unprivileged(&Command::new(&copy)).args(["--proto", "tcp"]));
    assert!(text.contains("\nNot tried here\n\n") && text.contains(" cells: two users"), "{text}");
}

/// strace, which makes what opens `path` fail with `errno`.
fn failing(path: &str, errno: &str, program: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qqq", "-o", "/dev/null", "-P", path]);
    strace.args([&format!("--inject=openat:error={errno}"), "--"]).arg(program);
    strace
}

/// A user namespace that can be made and not mapped: the network is still the machine's.
fn user_not_mapped() {
    let folder = SharedFolder::new();
    let copy = folder.copy(&program());
    let path = "/proc/self/uid_map";
    let mut strace = failing(path, "EPERM", &copy);
    let output = run(&mut unprivileged(strace.args(["--format", "json", "--question", "restart"])));
    let run = parsed(&output.stdout);
    assert_eq!(output.status.code(), Some(3));
    let (reasons, tried) = not_tried(&run);
    assert_eq!(tried, 44);
    let [(reason, cells)] = &reasons.into_iter().collect::<Vec<_>>()[..] else { panic!("one") };
    assert!(reason.starts_with("a network namespace is needed: /proc/self/uid_map: "), "{reason}");
    let needs_it = |cell: &str| cell.contains("/last-ack/") || cell.contains("/fin-wait-1/");
    assert!(cells.len() == 8 && cells.iter().all(|cell| needs_it(cell)));
}

/// The cells of IPv4 alone are tried.
fn ipv6_off() {
    let whole = whole();
    set_sysctl("net.ipv6.conf.all.disable_ipv6", 1);
    let run = as_in_the_whole(Command::new(program()).args(["--format", "json"]));
    let (mut reasons, tried) = not_tried(&run);
    let cells = reasons
        .remove("IPv6 is switched off: net.ipv6.conf.all.disable_ipv6 is 1")
        .expect("it is the reason");
    let with_ipv6 = fields(&whole, "verdict").into_iter().filter(|(cell, _)| cell.contains(':'));
    let with_ipv6: Vec<&str> = with_ipv6.map(|(cell, _)| cell).collect();
    assert_eq!(cells, with_ipv6);
    assert!(tried > 300, "{tried}");
    assert!(reasons.keys().all(|reason| reason.starts_with("two users") && !has_two_users()));
}

/// A sysctl that this kernel lacks costs the cells that need it, and no other.
fn sysctl_missing() {
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    let mut strace = failing(path, "ENOENT", &program());
    let run = as_in_the_whole(strace.args(["--format", "json", "--proto", "tcp"]));
    let (reasons, tried) = not_tried(&run);
    assert!(tried > 800, "{tried}"); // one user alone tries fewer
    let cells = reasons.iter().find(|(reason, _)| reason.starts_with(path)).expect("it is so").1;
    let needs_it = |cell: &str| cell.contains("/exhausted") || cell.contains("+connects");
    assert!(cells.iter().all(|cell| needs_it(cell)), "{cells:?}");
    let whole = whole();
    let all = fields(&whole, "verdict")
        .into_iter()
        .filter(|(cell, verdict)| cell.starts_with("tcp/") && needs_it(cell) && verdict.is_some());
    assert_eq!(cells.len(), all.count());
}

/// Without /proc no sysctl can be set; the states of TCP come from sock_diag.
fn proc_missing() {
    let script = "mount -t tmpfs none /proc && exec \"$0\" --format json";
    let mut unshare = Command::new("unshare");
    let run = as_in_the_whole(unshare.args(["-m", "sh", "-c", script]).arg(program()));
    let (reasons, tried) = not_tried(&run);
    assert!(tried > 900, "{tried}");
    assert!(reasons.keys().any(|reason| reason.starts_with("/proc/sys/")));
    for (reason, cells) in reasons {
        let expected: &[&str] = match reason {
            _ if reason.starts_with("two users") => &["+other-user"],
            _ if reason.starts_with("/proc/sys/") => &["/exhausted", "+connects"],
            reason => panic!("{reason}: {cells:?}"),
        };
        for cell in cells {
            assert!(expected.iter().any(|word| cell.contains(word)), "{cell}: {reason}");
        }
    }
}

/// On the loopback itself, as a user who may make no namespace: one whose number has no meaning.
/// A port that another protocol or the other family holds is left alone.
fn without_namespaces() {
    need(Need::Ipv6);
    let folder = SharedFolder::new();
    let copy = folder.copy(&program());
    let alone = || {
        let mut unshare = Command::new("unshare");
        unshare.arg("-U").arg(&copy);
        unshare
    };
    let held: Vec<_> = (2000..2200)
        .step_by(2)
        .map(|port| {
            let tcp = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
            let udp = UdpSocket::bind((Ipv6Addr::LOCALHOST, port + 1));
            (tcp.expect("the namespace is ours"), udp.expect("the namespace is ours"))
        })
        .collect();
    let run = as_in_the_whole(alone().args(["--format", "json"]));
    drop(held);
    let (reasons, tried) = not_tried(&run);
    assert!(tried > 900, "{tried}");
    for (reason, cells) in reasons {
        let needs: &[&str] = match reason {
            _ if reason.starts_with("two users are needed") => &["+other-user"],
            _ if reason.starts_with("a network namespace is needed") => {
                &["/last-ack/", "/fin-wait-1/", "/exhausted", "fd00::2", "+connects", "+device-"]
            }
            reason => panic!("{reason}: {cells:?}"),
        };
        for cell in cells {
            assert!(needs.iter().any(|word| cell.contains(word)), "{cell}: {reason}");
        }
    }
    let cell = "tcp/127.0.0.1/last-ack/127.0.0.1";
    let (status, text) = self::tried(alone().args(["explain", cell]));
    assert_eq!(status, 3);
    assert!(text.contains("not tried: a network namespace is needed: "), "{text}");
    assert!(text.contains("By that rule it would be: bind EADDRINUSE"), "{text}");
}

/// Without sock_diag the states come from /proc/net/tcp, and without that there are none. On the
/// loopback itself, where nothing else is asked by netlink.
fn without_sock_diag() {
    let folder = SharedFolder::new();
    let copy = folder.copy(&program());
    let tried = |start: &str| {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qqq", "-o", "/dev/null", "-e", "inject=sendto:error=EPERM"]);
        let script = format!("{start} exec unshare -U \"$0\" \"$@\"");
        strace.args(["unshare", "-m", "sh", "-c", &script]);
        strace.arg(&copy).args(["--question", "restart", "--format", "json"]);
        let run = as_in_the_whole(&mut strace);
        let (reasons, tried) = not_tried(&run);
        let reasons: Vec<String> = reasons.into_keys().map(str::to_owned).collect();
        (tried, reasons)
    };
    let (count, reasons) = tried("");
    assert_eq!((count, reasons.len()), (44, 1), "{reasons:?}");
    let (count, reasons) = tried("mount -t tmpfs none /proc;");
    assert_eq!(count, 0);
    let is_it = |reason: &String| reason.starts_with("/proc/thread-self/net/tcp: ");
    assert!(reasons.iter().any(is_it), "{reasons:?}");
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
