//! The language in which a reader is spoken to: English, or Chinese.
//!
//! Each sentence stands in the code in both languages, side by side: [`words`](crate::words) takes
//! two texts, and [`say`](crate::say) two formats, so no sentence can lack its Chinese. What the
//! kernel says, and the names of options, states and errors, are the same in both.

use crate::named::{Named, named};
use std::ffi::OsString;
use std::sync::OnceLock;

named! {
    /// A language of the reader's.
    Language { En = "en", Zh = "zh", }
}

/// The language, and whether `--lang` has named it.
static CHOSEN: OnceLock<(Language, bool)> = OnceLock::new();

impl Language {
    /// The one that is spoken; English, before [`choose_by`](Self::choose_by).
    pub fn current() -> Self {
        CHOSEN.get().map_or(Self::En, |(language, _)| *language)
    }

    /// The option of `--lang`, if it was given: for a command that goes on in the same language.
    pub fn option() -> Option<[&'static str; 2]> {
        CHOSEN.get().filter(|(_, is_named)| *is_named).map(|(it, _)| ["--lang", it.name()])
    }

    /// The locale's language, if it is one of ours and the encoding is UTF-8. The first of these
    /// variables that is not empty decides (POSIX, XBD 8.2).
    pub fn of_locale() -> Self {
        let mut locale = ["LC_ALL", "LC_MESSAGES", "LANG"].map(std::env::var_os).into_iter();
        let locale = locale.find_map(|value| value.filter(|value| !value.is_empty()));
        let locale = locale.unwrap_or_default().to_string_lossy().into_owned();
        let (name, encoding) = locale.split_once('.').unwrap_or((&locale, ""));
        let name = name.split('_').next().unwrap_or_default();
        let is_utf8 = encoding.to_ascii_lowercase().starts_with("utf");
        Self::of_name(name).filter(|_| is_utf8).unwrap_or(Self::En)
    }

    /// Chooses the language of a program's arguments, `--lang LANG` wherever it stands among them, or
    /// else the locale's. The other arguments are left. It fails if LANG is none of ours.
    pub fn choose_by(
        mut arguments: impl Iterator<Item = OsString>,
    ) -> Result<Vec<OsString>, String> {
        let (mut rest, mut asked) = (Vec::new(), None);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--lang") => asked = Some(arguments.next().unwrap_or_default()),
                Some(text) if text.starts_with("--lang=") => asked = Some(text[7..].into()),
                is_end => {
                    let is_end = is_end == Some("--");
                    rest.push(argument);
                    if is_end {
                        rest.extend(arguments.by_ref());
                    }
                }
            }
        }
        let known = |name: OsString| Self::of_name(name.to_str()?);
        let is_named = asked.is_some();
        let language = asked.map_or_else(|| Some(Self::of_locale()), known);
        let _ = CHOSEN.set((language.unwrap_or_else(Self::of_locale), is_named));
        language.map(|_| rest).ok_or_else(|| {
            let names = Self::ALL.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
            crate::say!("--lang takes one of: {names}", "--lang 只能是下列之一：{names}")
        })
    }
}

/// One of two texts: the English and the Chinese.
#[macro_export]
macro_rules! words {
    ($english:expr, $chinese:expr $(,)?) => {
        match $crate::language::Language::current() {
            $crate::language::Language::En => $english,
            $crate::language::Language::Zh => $chinese,
        }
    };
}

/// As format!, with the format in English and in Chinese. What both share may follow.
#[macro_export]
macro_rules! say {
    ($english:literal, $chinese:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::words!(
            format!($english $(, $name = $value)*),
            format!($chinese $(, $name = $value)*)
        )
    };
}
