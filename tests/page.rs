//! `docs/index.html`: the sources side by side with their trace, what is said of each call, and the
//! experiments step by step. `TREUSEADDR_UPDATE=1 cargo test page` makes it anew.

mod experiment;
mod highlight;

use crate::annotations::{first, parts, served};
use crate::bindtable::whole;
use crate::documents::is_whole;
use crate::harness::{self, Packet, Program, Switches, in_namespace, read};
use experiment::{Step, netstat_options, record};
use highlight::escape;
use libtest_mimic::Trial;
use serde_json::Value;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};
use std::collections::HashMap;
use std::fmt::Write;

const PAGE: &str = "docs/index.html";

pub fn trials() -> Vec<Trial> {
    vec![
        harness::trial("page_is_current", || is_whole(PAGE, &page())),
        harness::trial("page_is_small", is_small),
        harness::trial("page_is_alone", is_alone),
        harness::trial("page_has_every_line", has_every_line),
    ]
}

/// The class of what is shown with these switches alone.
fn class(switches: Switches) -> &'static str {
    match (switches.reuseaddr, switches.close_listener) {
        (false, false) => "w-",
        (true, false) => "w-r",
        (false, true) => "w-c",
        (true, true) => "w-rc",
    }
}

fn page() -> String {
    let template = |name: &str| read(&format!("tests/page/{name}"));
    let readme = read("README.md");
    let between = |start: &str, end: &str| {
        let (_, rest) = readme.split_once(start).expect("the README has it");
        rest.split_once(end).expect("the README has it").0.to_owned()
    };
    let title = between("# ", "\n");
    let lede = between("(README.zh-CN.md)\n\n", "\n<!-- picture -->");
    let surprises = between("<!-- /outcomes -->\n\n", "\n[`docs/so_reuseaddr.md`]");
    let outcomes = between("<!-- outcomes -->\n", "<!-- /outcomes -->");
    let each = |html: fn(Program) -> String| Program::ALL.map(html).concat();
    let page = template("page.html")
        .replace("{title}", &escape(&title))
        .replace("{style}", &template("page.css"))
        .replace("{script}", &template("page.js"))
        .replace("{lede}", &markdown("README.md", &readme_links(&lede, &readme)))
        .replace("{surprises}", &markdown("README.md", &surprises))
        .replace("{programs}", &each(choice))
        .replace("{shown}", &each(shown))
        .replace("{listings}", &each(listing))
        .replace("{runs}", &each(runs))
        .replace("{outcomes}", &markdown("README.md", &outcomes))
        .replace("{grid}", &grid())
        .replace("{calls}", &each(articles));
    page.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A part of the README with the definitions of the references in it.
fn readme_links(part: &str, readme: &str) -> String {
    let definitions = readme.lines().filter(|line| line.starts_with('[') && line.contains("]: "));
    format!("{part}\n\n{}", definitions.collect::<Vec<_>>().join("\n"))
}

/// The button that shows a program.
fn choice(program: Program) -> String {
    let name = program.name();
    let checked = if program == Program::ALL[0] { " checked" } else { "" };
    format!(
        "<label><input type=\"radio\" name=\"program\" id=\"show-{name}\"{checked}>{name}</label>\n"
    )
}

/// The rule by which that button shows it; without script a link into it does so, too.
fn shown(program: Program) -> String {
    let name = program.name();
    let hidden = format!("body:not(:has(#show-{name}:checked))");
    format!(
        "html.js {hidden} .of-{name}, html:not(.js) {hidden}:not(:has(.of-{name} :target)) .of-{name} \
         {{ display: none !important }}\n"
    )
}

/// The table: line, C, Rust, trace.
fn listing(program: Program) -> String {
    let name = program.name();
    let source = |extension| {
        let text = read(&format!("src/{name}.{extension}"));
        let html = highlight::lines(&text, extension);
        text.lines().map(str::to_owned).zip(html).collect::<Vec<_>>()
    };
    let traces = Switches::ALL.map(|switches| (switches, served(program, switches)));
    let explained = explained(program);
    let story = match program {
        Program::Ureuseaddr => "hello to the group",
        _ => "hello, and the client closes",
    };
    let mut html = format!(
        "<table class=\"listing of-{name}\" aria-label=\"{name}, line by line\">\n<thead><tr>\
         <th scope=\"col\">line</th>\
         <th scope=\"col\" class=\"c\">C <a href=\"../src/{name}.c\">src/{name}.c</a></th>\
         <th scope=\"col\" class=\"r\">Rust <a href=\"../src/{name}.rs\">src/{name}.rs</a></th>\
         <th scope=\"col\" class=\"t\">trace <span>{story}</span></th>\
         </tr></thead>\n<tbody>\n"
    );
    let mut switch = None;
    for (number, ((c, c_html), (_, rust_html))) in (1..).zip(source("c").iter().zip(source("rs"))) {
        switch = c.strip_prefix("#ifdef ").or(switch);
        let mut classes = Vec::new();
        if let Some(switch) = switch {
            classes.push(format!("if-{}", switch.to_lowercase().replace('_', "-")));
        }
        if c == "#endif" {
            switch = None;
        }
        let articles: Vec<&str> =
            explained.iter().filter(|of| of.0 == number).map(|of| &*of.1).collect();
        let details = match &articles[..] {
            [] => String::new(),
            articles => {
                classes.push("call".to_owned());
                format!(" data-articles=\"{}\"", articles.join(" "))
            }
        };
        let id = format!("{name}-{number}");
        let link = match c.is_empty() {
            true => number.to_string(),
            false => format!("<a href=\"#{id}\">{number}</a>"),
        };
        let class = match classes.is_empty() {
            true => String::new(),
            false => format!(" class=\"{}\"", classes.join(" ")),
        };
        writeln!(
            html,
            "<tr id=\"{id}\"{class}{details}><th scope=\"row\">{link}</th><td class=\"c\">{}</td>\
             <td class=\"r\">{}</td><td class=\"t\">{}</td></tr>",
            code(c_html),
            code(&rust_html),
            trace(number, &traces)
        )
        .expect("a String takes it");
    }
    html + "</tbody>\n</table>\n"
}

/// The lines that are explained, and where: the first lines of the second program are the first's.
fn explained(program: Program) -> Vec<(usize, String)> {
    let mut explained = Vec::new();
    for other in Program::ALL {
        let is_shared = |number| other == Program::Treuseaddr && number < first(program);
        let is_said = |number| other == program || is_shared(number);
        for (number, call, _) in parts(other).into_iter().filter(|part| is_said(part.0)) {
            explained.push((number, format!("{}-{number}-{call}", other.name())));
        }
    }
    explained
}

/// A line of code.
fn code(html: &str) -> String {
    let indent = html.len() - html.trim_start().len();
    match html.trim_start() {
        "" => String::new(),
        html => format!("<code style=\"--in:{indent}\">{html}</code>"),
    }
}

/// A trace for each set of switches: the calls of the process and of its child, with their lines.
type Traces = [(Switches, [Vec<(usize, String)>; 2]); 4];

/// The trace of one line, in a class of its own where it depends on the switches.
fn trace(number: usize, traces: &Traces) -> String {
    let mut cells: Vec<(String, Vec<&str>)> = Vec::new();
    for (switches, processes) in traces {
        let mut cell = String::new();
        for (calls, child) in processes.iter().zip(["", " child"]) {
            for (order, (_, call)) in calls.iter().enumerate().filter(|(_, call)| call.0 == number)
            {
                let (call, result) = call.rsplit_once(" = ").expect("a call has a result");
                let (name, arguments) = call.trim_end().split_once('(').expect("it is a call");
                write!(
                    cell,
                    "<code class=\"call{child}\"><b>{}</b><i class=f>{name}</i>({}&nbsp;=&nbsp;{}</code>",
                    order + 1,
                    escape(arguments),
                    escape(result)
                )
                .expect("a String takes it");
            }
        }
        match cells.iter_mut().find(|(other, _)| *other == cell) {
            Some((_, classes)) => classes.push(class(*switches)),
            None => cells.push((cell, vec![class(*switches)])),
        }
    }
    match &cells[..] {
        [(cell, _)] => cell.clone(),
        cells => cells
            .iter()
            .filter(|(cell, _)| !cell.is_empty())
            .map(|(cell, classes)| format!("<span class=\"w {}\">{cell}</span>", classes.join(" ")))
            .collect(),
    }
}

/// The experiment with each set of switches, step by step.
fn runs(program: Program) -> String {
    let name = program.name();
    let mut html = String::new();
    for switches in Switches::ALL {
        let mut classes = vec![class(switches)];
        if program != Program::Treuseaddr2 {
            // The others have no second switch.
            if switches.close_listener {
                continue;
            }
            classes.push(class(Switches { close_listener: true, ..switches }));
        }
        let [without, with] =
            [false, true].map(|again| in_namespace(|| record(program, switches, again)));
        let ends = [("", &with[0]), ("again-without", &without[1]), ("again-with", &with[1])];
        writeln!(html, "<ol class=\"run of-{name} w {}\">", classes.join(" "))
            .expect("a String takes it");
        for (class, steps) in ends {
            let before = if class.is_empty() { 0 } else { with[0].len() };
            for (number, step) in (before + 1..).zip(steps) {
                html.push_str(&show(program, number, step, class));
            }
        }
        html.push_str("</ol>\n");
    }
    html
}

fn show(program: Program, number: usize, step: &Step, class: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let what = escape(step.what);
    let mut html = format!("<li{class}><p class=\"what\"><b>{number}.</b> {what}</p>\n");
    let mut pane = |name: &str, what: &str, content: String| {
        if content.is_empty() {
            return;
        }
        writeln!(html, "<div class=\"pane {what}\"><h3>{name}</h3>{content}</div>")
            .expect("a String takes it");
    };
    let lines = |tag: &str, text: &str| -> String {
        text.lines().map(|line| format!("<{tag}>{}</{tag}>", escape(line))).collect()
    };
    let terminal = |typed: &str, printed: &str| match (typed, printed) {
        ("", "") => String::new(),
        _ => format!("<pre>{}{}</pre>", lines("kbd", typed), lines("samp", printed)),
    };
    let [server, client] = match program {
        Program::Ureuseaddr => ["the first receiver’s terminal", "the sender"],
        _ => ["the server’s terminal", "the client"],
    };
    let second = terminal(&step.typed_second, &step.printed_second);
    pane(server, "server", terminal(&step.typed, &step.printed));
    pane("the second receiver’s terminal", "second", second);
    pane(client, "client", terminal(step.sent, step.received));
    pane("packets", "packets", packets(program, &step.packets));
    let rows: String = step.netstat.lines().map(row).collect();
    let netstat = format!("netstat {} | grep 3459 | sort", netstat_options(program));
    pane(&netstat, "netstat", format!("<pre>{rows}</pre>"));
    html + "</li>\n"
}

/// A row of netstat, its state marked.
fn row(row: &str) -> String {
    match row.rsplit_once(' ') {
        Some((fields, state)) if state.starts_with(char::is_alphabetic) => {
            format!("<samp>{} <b class=\"{state}\">{state}</b></samp>", escape(fields))
        }
        _ => format!("<samp>{}</samp>", escape(row)), // UDP has no states
    }
}

fn packets(program: Program, packets: &[Packet]) -> String {
    let [server, client] = match program {
        Program::Ureuseaddr => ["receivers", "sender"],
        _ => ["server", "client"],
    };
    if packets.is_empty() {
        return String::new();
    }
    let arrows = packets.iter().map(|packet| {
        let (class, from) = match packet.is_server {
            true => ("to-client", server),
            false => ("to-server", client),
        };
        format!(
            "<li class=\"{class}\"><span class=\"sr\">from the {from}: </span>{}</li>",
            escape(&packet.text)
        )
    });
    format!(
        "<p class=\"ends\" aria-hidden=\"true\"><span>{server}</span><span>{client}</span></p><ul>{}</ul>",
        arrows.collect::<String>()
    )
}

/// The tables of `bindtable`, with a rule for each cell. What may not be tried here, by who has no
/// other user, is as `docs/bind-table.md` has it.
fn grid() -> String {
    let run = whole();
    let list = |value: &Value| value.as_array().expect("it is a list").clone();
    let text = |value: &Value| escape(value.as_str().expect("it is a text"));
    // The cells of the document, row by row, without those that name the row and the columns.
    let document = read("docs/bind-table.md");
    let (_, table) = document.split_once("<!-- table -->").expect("the block is there");
    let rows = table.split("\n|---").skip(1).flat_map(|table| {
        table.lines().skip(1).map_while(|row| row.strip_prefix("| ")?.strip_suffix(" |"))
    });
    let mut written = rows.flat_map(|row| row.split(" | ").skip(1));
    let cells = list(&run["cells"]);
    let rule_of: HashMap<&str, [&str; 2]> = cells
        .iter()
        .map(|cell| {
            let [name, rule @ ..] = ["cell", "condition", "function"]
                .map(|field| cell[field].as_str().expect("it is a text"));
            (name, rule)
        })
        .collect();
    let mut rules = Vec::new();
    let mut grid = String::new();
    for table in list(&run["questions"]) {
        let open = if table["name"] == "restart" { " open" } else { "" };
        let [name, title, note, corner] =
            ["name", "title", "note", "corner"].map(|field| text(&table[field]));
        grid += &format!(
            "<details id=\"bindtable-{name}\"{open}><summary>{title}</summary>\n<p>{note}</p>\n\
             <div><table>\n<thead><tr><th scope=\"col\">{corner}</th>"
        );
        for column in list(&table["columns"]) {
            grid += &format!("<th scope=\"col\">{}</th>", text(&column));
        }
        grid += "</tr></thead>\n<tbody>\n";
        for row in list(&table["rows"]) {
            grid += &format!("<tr><th scope=\"row\">{}</th>", text(&row["name"]));
            for cell in list(&row["cells"]) {
                let written = written.next().expect("the document has every cell");
                let Some(name) = cell["cell"].as_str() else {
                    grid += "<td></td>";
                    continue;
                };
                let rule = rule_of[name];
                let known = rules.iter().position(|other| *other == rule);
                let number = known.unwrap_or_else(|| {
                    rules.push(rule);
                    rules.len() - 1
                });
                let measured = text(&cell["text"]);
                let shown = if measured == "–" { escape(written) } else { measured };
                let class = if shown.starts_with('✗') { "no" } else { "ok" };
                grid += &format!("<td class={class} data-rule={}>{shown}</td>", number + 1);
            }
            grid += "</tr>\n";
        }
        grid += "</tbody></table></div>\n</details>\n";
    }
    assert_eq!(written.next(), None, "docs/bind-table.md has other cells");
    grid += "<h3>The rules by number</h3>\n<ol>\n";
    for [condition, function] in rules {
        let (condition, function) = (escape(condition), escape(function));
        grid += &format!("<li>{condition} (<code>{function}</code>)</li>\n");
    }
    grid + "</ol>\n"
}

/// What is said of each call.
fn articles(program: Program) -> String {
    let name = program.name();
    let file = format!("docs/{name}.md");
    let document = read(&file);
    let (title, rest) = document.split_once("\n\n").expect("a title stands first");
    let title = title.trim_start_matches("# ");
    let introduction = rest.split("\n## ").next().unwrap_or_default();
    let mut html = format!(
        "<section class=\"of-{name}\" id=\"{name}\">\n<h2>{}</h2>\n{}",
        escape(title),
        markdown(&file, introduction)
    );
    for (number, call, text) in parts(program) {
        write!(
            html,
            "<article id=\"{name}-{number}-{call}\" data-line=\"{name}-{number}\">\n\
             <h3><a href=\"#{name}-{number}\">{number}</a> {call}</h3>\n{}</article>\n",
            markdown(&file, &text)
        )
        .expect("a String takes it");
    }
    html + "</section>\n"
}

/// Markdown as HTML; its links lead to where the page has what they lead to.
fn markdown(file: &str, text: &str) -> String {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES);
    let mut is_code = false;
    let events = parser.filter_map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) if html.starts_with("<!--") => None,
        Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => None,
        Event::Start(Tag::CodeBlock(_)) => {
            is_code = true;
            Some(Event::Html("<pre><code>".into()))
        }
        Event::End(TagEnd::CodeBlock) => {
            is_code = false;
            Some(Event::Html("</code></pre>\n".into()))
        }
        // A line is wrapped where it is too long, and goes on below its own beginning.
        Event::Text(text) if is_code => {
            let lines = text.lines().map(|line| format!("<span>{}</span>", escape(line)));
            Some(Event::Html(lines.collect::<String>().into()))
        }
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = CowStr::from(link(file, &dest_url));
            Some(Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        event => Some(event),
    });
    let mut html = String::new();
    html::push_html(&mut html, events);
    // A table may be wider than a telephone, and is then scrolled by itself.
    html.replace("<table>", "<div class=\"wide\"><table>").replace("</table>", "</table></div>")
}

/// Where a link of a document leads on the page: `treuseaddr.md#11-socket` is an article of it.
fn link(file: &str, target: &str) -> String {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let own = file.trim_start_matches("docs/");
    let path = if path.is_empty() { own } else { path };
    let program = Program::ALL.into_iter().find(|program| path == format!("{}.md", program.name()));
    match (program, anchor) {
        (None, "what-you-will-find") => "#outcomes".to_owned(),
        (Some(program), "") => format!("#{}", program.name()),
        (Some(program), anchor) => format!("#{}-{anchor}", program.name()),
        (None, _) if target.contains("://") || target.starts_with("../") => target.to_owned(),
        (None, _) => match file.contains('/') {
            true => target.to_owned(),
            false => match target.strip_prefix("docs/") {
                Some(target) => target.to_owned(),
                None => format!("../{target}"),
            },
        },
    }
}

fn is_small() {
    let size = read(PAGE).len();
    assert!(size < 300_000, "{PAGE} has {size} bytes");
}

/// Nothing is fetched: no element of the page has an address to load from.
fn is_alone() {
    let page = read(PAGE);
    for loading in
        [" src=\"", "<link", "<iframe", "<object", "@import", "url(", "fetch(", "import("]
    {
        assert!(!page.contains(loading), "{PAGE} has {loading}");
    }
}

/// Every line of the sources has its row, every call its article, and each link its target.
fn has_every_line() {
    let page = read(PAGE);
    let has = |id: &str| page.contains(&format!("id=\"{id}\""));
    for program in Program::ALL {
        let name = program.name();
        let count = read(&format!("src/{name}.c")).lines().count();
        assert_eq!(page.matches(&format!("<tr id=\"{name}-")).count(), count, "rows of {name}");
        for (number, article) in explained(program) {
            assert!(has(&format!("{name}-{number}")), "{PAGE}: {name}, line {number}");
            assert!(has(&article), "{PAGE}: {article}");
        }
    }
    for target in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(has(target), "{PAGE} links to #{target}");
    }
}
