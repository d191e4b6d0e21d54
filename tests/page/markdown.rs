//! Markdown as HTML, its links made to lead to where the page has what they lead to.

use super::highlight::escape;
use crate::harness::Program;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Where the files outside `docs/` are to be read, wherever the page itself is.
const SOURCES: &str = concat!("https://docs.rs/crate/", env!("CARGO_PKG_NAME"), "/latest/source/");

/// `file` is the document that the text comes from.
pub fn markdown(file: &str, text: &str) -> String {
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
            let lines = text.lines().map(|line| format!("<span>{}</span>", escape(&squeeze(line))));
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

/// A call of a trace without the spaces that bring the results into one column.
fn squeeze(line: &str) -> String {
    match line.split_once("  = ") {
        Some((call, result)) => format!("{} = {result}", call.trim_end()),
        None => line.to_owned(),
    }
}

/// `treuseaddr.md#11-socket` is a note of the page, `../src/treuseaddr.c` its listing; what else is
/// outside the page's folder is read at the host of the sources.
pub fn link(file: &str, target: &str) -> String {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let own = file.rsplit('/').next().unwrap_or(file);
    let path = if path.is_empty() { own } else { path };
    if path == "in-use.md" {
        return "#in-use".to_owned();
    }
    for program in Program::ALL {
        let name = program.name();
        if path == format!("{name}.md") {
            return if anchor.is_empty() {
                format!("#{name}")
            } else {
                format!("#{name}-{anchor}")
            };
        }
        if path.ends_with(&format!("src/{name}.c")) || path.ends_with(&format!("src/{name}.rs")) {
            return format!("#listing-{name}");
        }
    }
    // The page stands beside the English documents; the Chinese ones have a folder there.
    let folder = file.strip_prefix("docs/").and_then(|file| file.rsplit_once('/'));
    let up = if folder.is_some() { "../../" } else { "../" };
    match (target.strip_prefix(up), folder) {
        (Some(readme), _) if readme.ends_with(".md#what-you-will-find") => "#first".to_owned(),
        (Some(outside), _) => format!("{SOURCES}{}", outside.trim_start_matches("../")),
        // A browser shows a Markdown file as it is typed, so the host of the sources shows it.
        (None, _) if path.ends_with(".md") && !target.contains("://") => {
            let folder = file.rsplit_once('/').map_or("docs", |(folder, _)| folder);
            format!("{SOURCES}{folder}/{target}").replace("docs/zh-CN/../", "docs/")
        }
        (None, _) => target.to_owned(),
    }
}
