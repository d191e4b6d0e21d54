//! What comes from outside: the names and command lines of other processes, their units and
//! containers, interfaces, files. Whoever chooses such a name may put into it what a terminal obeys
//! (console_codes(4)), or a shell.

use serde::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// A text from outside. It is printed, and saved, without what a terminal obeys; a command that is
/// advised has it [quoted](Self::quoted).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outside(String);

impl Outside {
    /// As it came: to be compared and taken apart, and not to be printed.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// One word for a shell. None, if a terminal cannot show it as it is, or if a program would take
    /// it for an option: then no command can have it.
    pub fn quoted(&self) -> Option<Cow<'_, str>> {
        let is_word = !self.0.starts_with('-') && self.0.chars().all(is_printable);
        shlex::try_quote(&self.0).ok().filter(|_| is_word)
    }
}

impl From<String> for Outside {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Outside {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&printable(&self.0))
    }
}

impl Serialize for Outside {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that a terminal may be given, on one line.
pub fn printable(text: &str) -> String {
    with_spaces(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn with_spaces(text: &str) -> String {
    text.chars().map(|c| if is_printable(c) { c } else { ' ' }).collect()
}

/// Makes each text of a JSON document printable; the spaces in a command stay.
pub fn make_printable(value: &mut Value) {
    match value {
        Value::String(text) => *text = with_spaces(text),
        Value::Array(items) => items.iter_mut().for_each(make_printable),
        Value::Object(entries) => {
            let old = std::mem::take(entries);
            entries.extend(old.into_iter().map(|(name, mut value)| {
                make_printable(&mut value);
                (printable(&name), value)
            }));
        }
        _ => {}
    }
}

/// Whether a terminal shows the character, in its place: no control character, no end of a line or a
/// paragraph, and none that turns the direction of the text around (Unicode's Bidi_Control).
fn is_printable(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns && !matches!(c, '\u{2028}' | '\u{2029}')
}
