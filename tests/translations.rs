//! The Chinese documents keep step with the English ones, section by section.
//!
//! Below each Chinese heading stands a comment with the hash of the English section that it was
//! written from. When that section changes, a test fails and names both places. Once the Chinese is
//! revised, `TREUSEADDR_TRANSLATED=1 cargo test translations` writes the new hashes.
//!
//! What the tests generate in an English document, they generate in the Chinese one, too:
//! `TREUSEADDR_UPDATE=1 cargo test translations`. `tests/zh-CN.tsv` has the words of its tables.
//!
//! `tests/zh-words.tsv` has the words that a Chinese engineer would not write, each with the one that
//! stands in its place.

use crate::bindtable::sources;
use crate::documents::{REWRITING, anchor, is_current};
use crate::harness::{self, block, project, read};
use libtest_mimic::Trial;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::fs;
use std::sync::LazyLock;

const README: (&str, &str) = ("README.md", "README.zh-CN.md");

/// Blocks that other tests record in each language.
const ELSEWHERE: [&str; 6] = ["demo", "in-use", "rules", "bsd", "linux", "table"];

pub fn trials() -> Vec<Trial> {
    vec![
        harness::trial("translations_blocks", blocks),
        harness::trial("translations_glossary", glossary),
        harness::trial("translations_layout", layout),
        harness::trial("translations_sections", sections),
        harness::trial("translations_typography", typography),
    ]
}

/// Each English document that has a Chinese one, and that.
fn pairs() -> Vec<(String, String)> {
    let mut pairs = vec![(README.0.to_owned(), README.1.to_owned())];
    for entry in fs::read_dir(project("docs")).expect("it is a folder") {
        let name = entry.expect("it is a folder").file_name().into_string().expect("it is ASCII");
        if name.ends_with(".md") {
            pairs.push((format!("docs/{name}"), format!("docs/zh-CN/{name}")));
        }
    }
    pairs.retain(|(_, chinese)| project(chinese).is_file());
    pairs.sort();
    pairs
}

/// A heading and what follows up to the next one. A document begins with a section of level 0.
#[derive(Default)]
struct Section {
    level: usize,
    title: String,
    /// The number of its first line, from 1.
    line: usize,
    text: String,
}

fn split(text: &str) -> Vec<Section> {
    let mut sections = vec![Section { line: 1, ..Section::default() }];
    let mut is_code = false;
    for (at, line) in text.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        match line[level..].strip_prefix(' ') {
            Some(title) if level > 0 && !is_code => sections.push(Section {
                level,
                title: title.to_owned(),
                line: at + 1,
                text: String::new(),
            }),
            _ => {
                let section = sections.last_mut().expect("there is one");
                section.text.push_str(line);
                section.text.push('\n');
            }
        }
    }
    sections
}

/// The text without what the tests generate, by the names of those blocks.
fn generated(text: &str) -> (String, Vec<String>) {
    let (mut rest, mut prose, mut names) = (text, String::new(), Vec::new());
    while let Some((before, after)) = rest.split_once("\n<!-- /") {
        let (name, after) = after.split_once(" -->").expect("the comment ends");
        let (before, _) = before.split_once(&format!("<!-- {name} -->")).expect("it has begun");
        prose.push_str(before);
        names.push(name.to_owned());
        rest = after;
    }
    (prose + rest, names)
}

/// FNV-1a of the words, so that lines may be wrapped anew.
fn hash(section: &Section) -> String {
    let (prose, _) = generated(&section.text);
    let words = section.title.split_whitespace().chain(prose.split_whitespace());
    let bytes = words.flat_map(|word| word.bytes().chain([b' ']));
    let hash = bytes
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

/// The code of a block, without what is said in words: the comments of commands, and whatever stands
/// beside the paths of a list of files. Those are in the reader's language.
fn code(language: &str, text: &str) -> String {
    let lines = text.lines().map(|line| match language {
        "sh" => line.split("  # ").next().unwrap_or_default().trim_end().to_owned(),
        _ => {
            let is_path = |word: &&str| word.contains(['.', '/']);
            line.split_whitespace().filter(is_path).collect::<Vec<_>>().join(" ")
        }
    });
    lines.map(|line| line + "\n").collect()
}

/// What both languages must have: code, links, and rows and items without their words; sorted, since
/// each language has its own order.
fn bones(section: &Section, map_link: impl Fn(&str) -> String) -> Vec<String> {
    let mut bones = Vec::new();
    let mut block = None;
    let (prose, names) = generated(&section.text);
    for event in Parser::new_ext(&prose, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => block = Some(kind),
            Event::End(TagEnd::CodeBlock) => block = None,
            Event::Text(text) => {
                if let Some(CodeBlockKind::Fenced(language)) = &block {
                    bones.push(code(language, &text));
                }
            }
            Event::Code(code) => bones.push(format!("`{code}`")),
            Event::Start(Tag::Link { dest_url, .. }) => bones.push(map_link(&dest_url)),
            Event::Start(Tag::TableRow) => bones.push("a row of a table".to_owned()),
            Event::Start(Tag::Item) => bones.push("an item of a list".to_owned()),
            _ => {}
        }
    }
    bones.extend(names.into_iter().map(|name| format!("the block {name}")));
    bones.sort();
    bones
}

/// Where the Chinese document leads in place of `link`: to a Chinese document, where there is one.
fn chinese_link(english: &str, link: &str) -> String {
    if link.contains("://") || link.starts_with('#') {
        return link.to_owned();
    }
    let (path, anchor) = link.split_at(link.find('#').unwrap_or(link.len()));
    let is_readme = english == README.0;
    let folder = if is_readme { "" } else { "docs/" };
    let path = match path {
        "README.md" | "README.zh-CN.md" => "README.md".to_owned(), // each names the other
        "../README.md" => "../../README.zh-CN.md".to_owned(),
        _ if path.ends_with("index.html") && project("docs/index.zh-CN.html").is_file() => {
            path.replace(".html", ".zh-CN.html")
        }
        _ => {
            let name = path.strip_prefix("docs/").unwrap_or(path);
            let has_chinese = project(&format!("docs/zh-CN/{name}")).is_file();
            match (is_readme, has_chinese && format!("{folder}{path}") == format!("docs/{name}")) {
                (true, true) => format!("docs/zh-CN/{name}"),
                (true, false) | (false, true) => path.to_owned(),
                (false, false) => format!("../{path}"),
            }
        }
    };
    let path = match (path.as_str(), is_readme) {
        (page, false) if page.ends_with("index.zh-CN.html") => format!("../{page}"),
        _ => path,
    };
    path + anchor
}

/// The line below a Chinese heading: an anchor, where the heading's own is another, and the hash.
fn marker(english: &Section, chinese: &Section) -> String {
    if english.level == 0 && english.text.trim().is_empty() {
        return String::new();
    }
    let (id, own) = (anchor(&english.title), anchor(&chinese.title));
    let id = if id == own { String::new() } else { format!("<a id=\"{id}\"></a>") };
    format!("{id}<!-- en {} -->", hash(english))
}

/// Each section has its counterpart, with the same code, links, rows and items, and was written from
/// the English as it is.
fn sections() {
    let is_translated = std::env::var_os("TREUSEADDR_TRANSLATED").is_some();
    let _one_at_a_time = REWRITING.lock();
    let mut trouble = Vec::new();
    for (english, chinese) in pairs() {
        let (old, new) = (split(&read(&english)), split(&read(&chinese)));
        let mut whole = String::new();
        for (at, theirs) in new.iter().enumerate() {
            let Some(ours) = old.get(at).filter(|ours| ours.level == theirs.level) else {
                trouble.push(format!("{chinese}:{}: no such section in {english}", theirs.line));
                break;
            };
            let marker = marker(ours, theirs);
            let places = format!(
                "{english}:{}: \"{}\" and {chinese}:{}: \"{}\"",
                ours.line, ours.title, theirs.line, theirs.title
            );
            let is_marker = |line: &&str| line.contains("<!-- en ");
            let found = theirs.text.lines().find(is_marker).unwrap_or_default();
            if found != marker && !is_translated {
                trouble.push(format!(
                    "{places}: the English has changed: revise the Chinese, and then run \
                     TREUSEADDR_TRANSLATED=1 cargo test translations"
                ));
            }
            let (english_bones, chinese_bones) = (
                bones(ours, |link| chinese_link(&english, link)),
                bones(theirs, |link| {
                    if link == README.0 { chinese_link(&english, link) } else { link.to_owned() }
                }),
            );
            let lacks = |those: &[String], these: &[String]| {
                let mut these = these.to_vec();
                let mut lacking = those.to_vec();
                lacking.retain(|bone| match these.iter().position(|other| other == bone) {
                    Some(at) => {
                        these.remove(at);
                        false
                    }
                    None => true,
                });
                lacking
            };
            let missing = lacks(&english_bones, &chinese_bones);
            let added = lacks(&chinese_bones, &english_bones);
            if !missing.is_empty() || !added.is_empty() {
                trouble.push(format!(
                    "{places}: only in English: {missing:?}; only in Chinese: {added:?}"
                ));
            }
            if theirs.level > 0 {
                whole.push_str(&format!("{} {}\n", "#".repeat(theirs.level), theirs.title));
            }
            if !marker.is_empty() {
                whole.push_str(&format!("{marker}\n"));
            }
            let kept = theirs.text.lines().filter(|line| !is_marker(line));
            whole.extend(kept.flat_map(|line| [line, "\n"]));
        }
        if old.len() != new.len() {
            trouble.push(format!("{english}: {} sections; {chinese}: {}", old.len(), new.len()));
        } else if is_translated {
            fs::write(project(&chinese), whole).expect("it is ours");
        }
    }
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
}

/// What is generated in an English document stands in the Chinese one, with the words of its tables
/// in Chinese.
fn blocks() {
    for (english, chinese) in pairs() {
        let text = read(&english);
        let is_ours = |name: &String| !ELSEWHERE.contains(&&**name);
        for name in generated(&text).1.into_iter().filter(is_ours) {
            let [_, block, _] = block(&text, &name).expect("it is there");
            is_current(&chinese, &name, &translated(&name, block));
        }
    }
}

/// Blocks whose code has lines in words: the phrases with a = in front.
const WITH_WORDS: [&str; 3] = ["drawing", "picture", "run"];

/// Code as it is, and the rest in Chinese.
fn translated(name: &str, block: &str) -> String {
    // A block that is named by a line of a program has words beside its code, too.
    let has_words = WITH_WORDS.contains(&name) || name.parse::<u32>().is_ok();
    let mut is_code = false;
    let lines = block.lines().map(|line| {
        is_code ^= line.starts_with("```");
        let words = line.trim_start();
        match is_code {
            true if !has_words => line.to_owned(),
            true => line.replace(words, in_chinese(&format!("={words}")).trim_start_matches('=')),
            false => in_chinese(line),
        }
    });
    lines.map(|line| line + "\n").collect()
}

/// A text of the tests with the phrases of `tests/zh-CN.tsv` replaced, the longest
/// first.
fn in_chinese(text: &str) -> String {
    static WORDS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
        let words = read("tests/zh-CN.tsv");
        let words = words.lines().filter_map(|line| line.split_once('\t'));
        let mut words: Vec<_> =
            words.map(|(english, chinese)| (english.to_owned(), chinese.to_owned())).collect();
        words.sort_by_key(|(english, _)| std::cmp::Reverse(english.len()));
        words
    });
    WORDS.iter().fold(text.to_owned(), |text, (english, chinese)| text.replace(english, chinese))
}

/// The article's title, as it is printed and as it is searched for.
const TITLE: &str = "网络编程：SO_REUSEADDR的使用";

/// What a user types, what a textbook calls a parameter that goes in and comes out, and the title.
const AS_IT_IS: [&str; 3] = ["地址:端口", "值-结果", TITLE];

/// What else is written in Chinese: the words of the page and of the demo. Those of bindtable stand in
/// its sources.
const WORDS: [&str; 2] = ["docs/page/words.zh-CN.toml", "docs/demo/words.zh.sh"];

/// Chinese punctuation, a space between Chinese and Latin text or code, no full-width letters.
fn typography() {
    // A bar between words needs no spaces around it: in words.zh.sh it separates columns.
    autocorrect::config::load(r#"{"rules": {"space-punctuation": 0}}"#).expect("it is a rule");
    let documents = pairs().into_iter().map(|(_, chinese)| chinese);
    let files: Vec<String> = documents.chain(WORDS.map(str::to_owned)).chain(sources()).collect();
    let trouble: Vec<String> = files.iter().flat_map(|file| untidy(file, &read(file))).collect();
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
    for file in ["words.md", "words.toml", "words.sh", "words.rs"] {
        assert_eq!(untidy(file, "x = \"内核检查 `bind` 的结果，然后返回。\""), [""; 0]);
        for wrong in
            ["内核检查bind的结果", "内核检查`bind`的结果", "检查结果,然后返回", "Ａ 的结果"]
        {
            assert!(!untidy(file, &format!("x = \"{wrong}\"")).is_empty(), "{file}: {wrong}");
        }
    }
}

/// What autocorrect would write in another way. It looks past code, and so at no space beside that:
/// here a word stands in its place, as for what is to stay [`AS_IT_IS`]. In Rust, a format without a
/// Chinese character is none of its business: `{file}：{error}`.
fn untidy(file: &str, text: &str) -> Vec<String> {
    let mut is_code = false;
    let lines = text.lines().map(|line| {
        is_code ^= line.trim_start().starts_with("```");
        match is_code {
            true => line.to_owned(),
            false => {
                let line =
                    AS_IT_IS.iter().fold(line.to_owned(), |line, it| line.replace(it, "code"));
                let parts = line.split('`').enumerate();
                parts.map(|(at, part)| if at % 2 == 1 { "code" } else { part }).collect()
            }
        }
    });
    let lines: Vec<String> = lines.collect();
    let kind = if file.ends_with(".rs") { "rs" } else { "md" }; // the other kinds overlook some words
    let found = autocorrect::lint_for(&lines.join("\n"), kind);
    assert!(!found.has_error(), "{file}: {}", found.error);
    let is_chinese = |text: &str| text.contains(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    let found = found.lines.into_iter().filter(|line| kind == "md" || is_chinese(&line.old));
    found.map(|line| format!("{file}:{}: {} -> {}", line.line, line.old, line.new)).collect()
}

/// The words that a reader from China searches for: a document has each.
const SEARCHED: [&str; 13] = [
    "主动关闭",
    "四次挥手",
    "三次握手",
    "2MSL",
    "半关闭",
    "全连接队列",
    "惊群",
    "自连接",
    "地址复用",
    "地址已在使用",
    "10048",
    "10013",
    TITLE,
];

/// An old word, what stands in its place, and the phrases in which it is right.
struct OldWord {
    old: String,
    new: String,
    allowed: Vec<String>,
}

/// The old words of `tests/zh-words.tsv`.
fn old_words() -> Vec<OldWord> {
    let table = read("tests/zh-words.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let words = rows.map(|row| {
        let mut fields = row.split('\t').map(str::to_owned);
        let (Some(old), Some(new)) = (fields.next(), fields.next()) else {
            panic!("{row:?} has no word in place of the old one");
        };
        OldWord { old, new, allowed: fields.collect() }
    });
    words.collect()
}

/// The old words that are in a text, a line for each place.
fn outdated(file: &str, text: &str, words: &[OldWord]) -> Vec<String> {
    let mut trouble = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for OldWord { old, new, allowed } in words {
            let rest = allowed.iter().fold(line.to_owned(), |rest, right| rest.replace(right, ""));
            if rest.contains(old) {
                trouble.push(format!("{file}:{}: {old}: write {new}: {line}", at + 1));
            }
        }
    }
    trouble
}

/// No document, neither the page nor the demo nor what installs its tools, and no sentence of bindtable
/// has an old word; and the documents have each word that is searched for.
fn glossary() {
    let words = old_words();
    let documents: Vec<String> = pairs().into_iter().map(|(_, chinese)| chinese).collect();
    let others =
        WORDS.map(str::to_owned).into_iter().chain(["tests/scripts/install.sh".to_owned()]);
    let mut trouble = Vec::new();
    for file in documents.iter().cloned().chain(others).chain(sources()) {
        trouble.extend(outdated(&file, &read(&file), &words));
    }
    for word in SEARCHED {
        if !documents.iter().any(|file| read(file).contains(word)) {
            trouble.push(format!("no document has {word}"));
        }
    }
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));

    for OldWord { old, allowed, .. } in &words {
        assert!(!outdated("a", &format!("内核{old}。"), &words).is_empty(), "{old}");
        for right in allowed {
            assert!(right.contains(old), "{right}: {old} is not in it");
            assert_eq!(outdated("a", right, &words), [""; 0]);
        }
    }
}

/// What looks wrong in Chinese, though Markdown allows it: a line that ends within a paragraph, since
/// that makes a space; italics; a full stop in bold, where a colon belongs; and a half-width colon
/// between full-width brackets.
fn layout() {
    let mut trouble = Vec::new();
    for (_, file) in pairs() {
        trouble.extend(ill_set(&read(&file)).iter().map(|fault| format!("{file}:{fault}")));
    }
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
    assert_eq!(ill_set("**规则**：内核比较（`a`：b）。\n\n- 一\n- 二 `a: b`\n"), [""; 0]);
    for wrong in ["内核\n比较", "*内核*比较", "**规则。** 内核", "内核（`a`: b）"]
    {
        assert_eq!(ill_set(wrong).len(), 1, "{wrong}");
    }
}

/// Such faults of a document, a line for each: where, and what.
fn ill_set(markdown: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut is_code, mut is_bold, mut is_bracketed) = (false, false, false);
    for (event, range) in Parser::new_ext(markdown, Options::ENABLE_TABLES).into_offset_iter() {
        let mut fault = |what| {
            let line = markdown[..range.start].matches('\n').count() + 1;
            faults.push(format!("{line}: {what}: {}", &markdown[range.clone()]));
        };
        match event {
            Event::Start(Tag::CodeBlock(_)) => is_code = true,
            Event::End(TagEnd::CodeBlock) => is_code = false,
            Event::Start(Tag::Strong) => is_bold = true,
            Event::End(TagEnd::Strong) => is_bold = false,
            Event::Start(Tag::Emphasis) => fault("italics"),
            Event::SoftBreak => fault("a line that ends within a paragraph"),
            Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell) => {
                is_bracketed = false;
            }
            Event::Text(text) if !is_code => {
                if is_bold && text.ends_with('。') {
                    fault("a full stop in bold");
                }
                for character in text.chars() {
                    is_bracketed = match character {
                        '（' => true,
                        '）' => false,
                        _ => is_bracketed,
                    };
                    if is_bracketed && character == ':' {
                        fault("a half-width colon between full-width brackets");
                    }
                }
            }
            _ => {}
        }
    }
    faults
}
