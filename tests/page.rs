//! The page, in each language: the first screen with its stage, the listing with its notes, and the
//! question to the kernel. `TREUSEADDR_UPDATE=1 cargo test page` makes it anew.
//!
//! Its sources are in `docs/page/`: each part's template (`.html`), its look (`.css`) and what it does
//! (`.js`, modules that `bundle` makes one). All words are in `words.*.toml`. What the parts show is
//! recorded and measured here, in `tests/page/`.

mod ask;
mod bundle;
mod experiment;
mod highlight;
mod listing;
mod markdown;
mod picture;
mod pool;
mod words;

use crate::documents::is_whole;
use crate::harness::{self, Program, read, spawn};
use bundle::bundle;
use experiment::{Choice, End, Runs};
use libtest_mimic::Trial;
use listing::{Listing, explained};
use markdown::{link, markdown};
use pool::Pool;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use words::Language;
pub use words::LANGUAGES;

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for language in &LANGUAGES {
        let mut add = |name: &str, check: fn(&Language)| {
            let name = format!("page_{}_{name}", language.code);
            trials.push(harness::trial(name, move || check(language)));
        };
        add("is_current", is_current);
        add("is_small", is_small);
        add("is_alone", is_alone);
        add("has_every_line", has_every_line);
        add("picture", picture::is_current);
    }
    trials
}

/// The page is what the tests make of today's sources, documents and runs.
fn is_current(language: &Language) {
    harness::need(harness::Need::SecondUser); // among its cells are those of two users
    is_whole(language.page, &page(language));
}

const TEMPLATES: [&str; 6] =
    ["page.html", "first.html", "run.html", "listing.html", "ask.html", "notes.html"];
const STYLES: [&str; 6] =
    ["base.css", "first.css", "listing.css", "ask.css", "narrow.css", "print.css"];

fn page(language: &Language) -> String {
    let words = language.words();
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("it is the usual syntax"));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let documents = language.documents;
    environment.add_filter("markdown", move |text: &str| {
        Value::from_safe_string(markdown(&format!("{documents}/index.html"), text))
    });
    // A line of words: Markdown without the paragraph around it.
    environment.add_filter("line", move |text: &str| {
        let html = markdown(&format!("{documents}/index.html"), text);
        let html = html.trim().trim_start_matches("<p>").trim_end_matches("</p>");
        Value::from_safe_string(html.to_owned())
    });
    // Quoted words do not break.
    environment.add_filter("quoted", |text: &str| {
        let html = text.replace('“', "<span class=\"quoted\">“").replace('”', "”</span>");
        Value::from_safe_string(html)
    });
    let part = |name: &str| read(&format!("docs/page/{name}"));
    for name in TEMPLATES {
        environment.add_template_owned(name, part(name)).expect("it is a template");
    }

    let recorded = recorded();
    let binds = |runs: &[Runs]| -> Vec<_> {
        runs.iter().map(|runs| runs.after.each_ref().map(|steps| Runs::binds(steps))).collect()
    };
    let choices: Vec<Value> = Choice::ALL
        .into_iter()
        .map(|choice| context! { name => choice.name, binds => binds(&recorded[choice.name]) })
        .collect();
    let listings: Vec<Listing> =
        Program::ALL.into_iter().map(|program| Listing::of(program, language)).collect();
    let table = language.table();
    let mut pool = Pool::default();
    let runs: BTreeMap<&str, Json> =
        recorded.iter().map(|(name, runs)| (&**name, pool.add(runs))).collect();
    let asked = ask::data(table, &language.code[..2]);
    for state in ask::states(&asked) {
        assert!(words.has_state(state), "no words for the state {state}");
    }
    let data = json!({
        "programs": Choice::ALL.map(|choice| choice.name),
        "runs": runs,
        "steps": pool,
        "order": listing::order(),
        "ask": asked,
        "document": link(&format!("{documents}/index.html"), "bind-table.md"),
        "words": words.for_script(),
    });
    // The one run for readers without JavaScript: the surprise.
    let story = &recorded["treuseaddr"][0];
    let steps: Vec<_> = story.before.iter().chain(&story.after[1]).collect();
    let context = context! {
        w => Value::from(Serde(words.all())),
        lang => language.code,
        picture => language.page.trim_start_matches("docs/").replace(".html", ".png"),
        style => Value::from_safe_string(style(&STYLES.map(part).concat())),
        script => Value::from_safe_string(bundle("main.js")),
        data => Value::from_safe_string(data.to_string().replace("</", "<\\/")),
        icon => Value::from_safe_string(icon()),
        choices,
        listings => Value::from(Serde(listings)),
        steps => Value::from(Serde(steps)),
        presets => Value::from(Serde(ask::PRESETS)),
        in_use => Value::from_safe_string(in_use(language)),
        drawing => Value::from_safe_string(picture::inline(language)),
        tables => Value::from(Serde(ask::tables(table))),
    };
    let template = environment.get_template("page.html").expect("it was added");
    let page = template.render(context).unwrap_or_else(|error| panic!("{error:#}"));
    page.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The style without its comments, and without the spaces that CSS does not need.
fn style(css: &str) -> String {
    let mut style = String::new();
    for (at, part) in css.split("/*").enumerate() {
        style.push_str(if at == 0 { part } else { part.split_once("*/").expect("it ends").1 });
    }
    style = style.replace(": ", ":");
    for sign in ["{", "}", ";", ",", ">"] {
        for space in ["\n", "  ", " "] {
            style = style
                .replace(&format!("{space}{sign}"), sign)
                .replace(&format!("{sign}{space}"), sign);
        }
    }
    style.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// What the document on what to do now says of Linux by hand. The stage shows its example.
fn in_use(language: &Language) -> String {
    let file = format!("{}/in-use.md", language.documents);
    let document = read(&file);
    let (_, text) = document.split_once("\n## ").expect("an example stands first");
    let (text, _) = text.rsplit_once("\n\n## ").expect("other systems stand last");
    markdown(&file, &format!("## {text}")).replace("<h2>", "<h3>").replace("</h2>", "</h3>")
}

/// All runs, by the program and how its old server ends: `treuseaddr`, `treuseaddr/waited`. They are
/// recorded once for both languages. The longest waits for a TIME_WAIT, and the others need no more time.
fn recorded() -> &'static BTreeMap<String, Vec<Runs>> {
    static RECORDED: OnceLock<BTreeMap<String, Vec<Runs>>> = OnceLock::new();
    let record = |(choice, end): (Choice, End)| {
        let name = [choice.name, end.name()].join("/");
        (name.trim_end_matches('/').to_owned(), experiment::record(choice, end))
    };
    let ends = |choice: Choice| {
        let is_first = choice.program == Program::Treuseaddr;
        End::ALL
            .into_iter()
            .take(if is_first { End::ALL.len() } else { 1 })
            .map(move |end| (choice, end))
    };
    RECORDED.get_or_init(|| {
        let (waiting, others): (Vec<_>, Vec<_>) =
            Choice::ALL.into_iter().flat_map(ends).partition(|(_, end)| *end == End::Waited);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| waiting.into_iter().map(record).collect::<Vec<_>>());
            let others = scope.spawn(|| others.into_iter().map(record).collect::<Vec<_>>());
            let [waiting, others] = [waiting, others].map(|it| it.join().expect("it has recorded"));
            waiting.into_iter().chain(others).collect()
        })
    })
}

/// The flag, as an address that holds the picture itself.
fn icon() -> String {
    let picture = read("docs/page/icon.svg");
    let picture = picture.trim().replace('"', "'").replace('#', "%23");
    format!("data:image/svg+xml,{}", picture.replace('<', "%3C").replace('>', "%3E"))
}

fn is_small(language: &Language) {
    let page = read(language.page);
    assert!(page.len() <= 400_000, "{} has {} bytes", language.page, page.len());
    let mut gzip = Command::new("gzip");
    let gzip = gzip.arg("-9").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut gzip = spawn(gzip).expect("gzip is on every Debian");
    let mut input = gzip.stdin.take().expect("it is a pipe");
    let writer = std::thread::spawn(move || input.write_all(page.as_bytes()));
    let zipped = gzip.wait_with_output().expect("it has started").stdout.len();
    writer.join().expect("it does not panic").expect("gzip reads");
    assert!((1..=70_000).contains(&zipped), "{} has {zipped} bytes gzipped", language.page);
}

/// Nothing is fetched: no element of the page has an address to load from, but for the icon, whose
/// address holds it. The links outside its folder name a host.
fn is_alone(language: &Language) {
    let page = read(language.page);
    for loading in
        [" src=", "<iframe", "<object", "@import", "url(", "fetch(", "import(", "href=\"../"]
    {
        assert!(!page.contains(loading), "{} has {loading}", language.page);
    }
    for link in page.split("<link").skip(1) {
        assert!(link.starts_with(" rel=\"icon\" href=\"data:"), "<link{}", &link[..60]);
    }
}

/// Every line of the sources has its place in both columns, every call its note, each link its target.
fn has_every_line(language: &Language) {
    let (name_of_page, page) = (language.page, read(language.page));
    let has = |id: &str| page.contains(&format!("id=\"{id}\""));
    for program in Program::ALL {
        let name = program.name();
        let listing = page.split(&format!("id=\"listing-{name}\"")).nth(1);
        let listing =
            listing.and_then(|rest| rest.split("</section>").next()).expect("it is there");
        let count = read(&format!("src/{name}.c")).lines().count();
        assert_eq!(listing.matches("<span class=\"ln").count(), 2 * count, "lines of {name}");
        for (number, article) in explained(program) {
            assert!(has(&format!("{name}-{number}")), "{name_of_page}: {name}, line {number}");
            assert!(has(&article), "{name_of_page}: {article}");
        }
    }
    for target in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(has(target) || target.contains('='), "{name_of_page} links to #{target}");
    }
}
