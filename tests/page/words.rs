//! The words of the page: one file for each language.

use crate::bindtable::with_statements;
use crate::harness::read;
use serde_json::Value;
use toml::Table;

pub struct Language {
    /// As `lang` has it.
    pub code: &'static str,
    pub page: &'static str,
    /// Where the documents in this language are.
    pub documents: &'static str,
}

/// The languages that the page is made in.
pub const LANGUAGES: [Language; 2] = [
    Language { code: "en", page: "docs/index.html", documents: "docs" },
    Language { code: "zh-CN", page: "docs/index.zh-CN.html", documents: "docs/zh-CN" },
];

impl Language {
    /// A run of bindtable, which speaks this language.
    pub fn table(&self) -> &'static Value {
        with_statements(&self.code[..2])
    }

    pub fn words(&self) -> Words {
        let file = format!("docs/page/words.{}.toml", self.code);
        Words(read(&file).parse().unwrap_or_else(|error| panic!("{file}: {error}")))
    }
}

pub struct Words(Table);

impl Words {
    pub fn all(&self) -> &Table {
        &self.0
    }

    /// Whether the answers have a name for a state of the bind table.
    pub fn has_state(&self, state: &str) -> bool {
        self.0["answer"]["state"].get(state).is_some()
    }

    /// Those that the script puts on the page.
    pub fn for_script(&self) -> Table {
        let mut table = self.0.clone();
        for (part, names) in ONLY_IN_TEMPLATES {
            if names.is_empty() {
                table.remove(part);
            }
            for name in names {
                table[part].as_table_mut().expect("it is a part").remove(*name);
            }
        }
        table
    }
}

/// What the templates alone show: whole parts, and names of parts.
const ONLY_IN_TEMPLATES: [(&str, &[&str]); 10] = [
    ("page", &[]),
    ("why", &[]),
    ("listing", &[]),
    ("ask", &[]),
    ("in_use", &[]),
    ("footer", &[]),
    ("picture", &[]),
    (
        "first",
        &["noscript", "systems", "label", "program", "square", "old", "new", "option", "player"],
    ),
    ("run", &["title"]),
    ("note", &["hint", "label"]),
];
