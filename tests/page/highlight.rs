//! Colours for source text: syntect tells what a word is, the page's style what that looks like.

use pulldown_cmark_escape::escape_html_body_text;
use syntect::easy::ScopeRegionIterator;
use syntect::parsing::{ParseState, ScopeStack, SyntaxSet};

/// A scope's beginning, and the class of what it covers; the innermost that is listed counts.
const CLASSES: [(&str, &str); 16] = [
    ("comment", "c"),
    ("string", "s"),
    ("constant.character", "s"),
    ("constant.numeric", "n"),
    ("constant", "n"),
    ("variable.function", "f"),
    ("entity.name.function", "f"),
    ("entity.name.macro", "f"),
    ("support.function", "f"),
    ("support.macro", "f"),
    ("support.type", "t"),
    ("storage.type", "t"),
    ("entity.name.type", "t"),
    ("keyword.operator", ""),
    ("keyword", "k"),
    ("storage", "k"),
];

/// The lines of a source as HTML. `extension` is that of its language's files.
pub fn lines(source: &str, extension: &str) -> Vec<String> {
    let syntaxes = SyntaxSet::load_defaults_newlines();
    let syntax = syntaxes.find_syntax_by_extension(extension).expect("syntect knows it");
    let mut state = ParseState::new(syntax);
    let mut stack = ScopeStack::new();
    let mut lines = Vec::new();
    for line in source.split_inclusive('\n') {
        let operations = state.parse_line(line, &syntaxes).expect("its syntax is whole");
        let mut regions: Vec<(&str, String)> = Vec::new();
        for (text, operation) in ScopeRegionIterator::new(&operations, line) {
            stack.apply(operation).expect("its syntax is whole");
            let class = class(&stack);
            match regions.last_mut() {
                Some((last, region)) if *last == class || text.trim().is_empty() => {
                    region.push_str(text);
                }
                _ => regions.push((class, text.to_owned())),
            }
        }
        let html = regions.iter().map(|(class, text)| {
            let text = escape(text.trim_end_matches('\n'));
            match (*class, &*text) {
                (_, "") => String::new(),
                ("", _) => text,
                _ => format!("<i class={class}>{text}</i>"),
            }
        });
        lines.push(html.collect());
    }
    lines
}

fn class(stack: &ScopeStack) -> &'static str {
    let innermost_first = stack.scopes.iter().rev();
    let found = innermost_first.filter_map(|scope| {
        let scope = scope.build_string();
        CLASSES.iter().find(|(start, _)| scope.starts_with(start))
    });
    found.map(|(_, class)| *class).next().unwrap_or_default()
}

/// Text as HTML.
pub fn escape(text: &str) -> String {
    let mut html = String::new();
    escape_html_body_text(&mut html, text).expect("a String takes it");
    html
}
