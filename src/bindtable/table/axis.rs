//! What fills the places of a cell's template, along the rows and the columns of a table.

use super::cell::State;
use crate::{say, words};

/// A row or a column: its label, and what stands in the places of the template, as in `{a}`.
#[derive(Clone)]
pub struct Choice {
    pub label: String,
    pub fills: Vec<(&'static str, String)>,
}

/// The rows of a table, or its columns.
#[derive(Clone)]
pub struct Axis(pub Vec<Choice>);

impl Axis {
    /// Each label, and what it has in the `place`.
    pub fn new(place: &'static str, choices: &[(&str, &str)]) -> Self {
        let choice = |&(label, text): &(&str, &str)| Choice {
            label: label.to_owned(),
            fills: vec![(place, text.to_owned())],
        };
        Self(choices.iter().map(choice).collect())
    }

    pub fn product(&self, other: &Self, join: impl Fn(&str, &str) -> String) -> Self {
        let both = |one: &Choice, other: &Choice| Choice {
            label: join(&one.label, &other.label),
            fills: [&*one.fills, &*other.fills].concat(),
        };
        let all = self.0.iter().flat_map(|one| other.0.iter().map(move |other| both(one, other)));
        Self(all.collect())
    }

    /// Each of these with each of the others, as in "LISTEN; A: none".
    pub fn by(&self, other: &Self) -> Self {
        self.product(other, |one, other| [one, other].join(words!("; ", "；")))
    }

    /// Each of these, and what is said of it, as in "same user: none".
    pub fn has(&self, other: &Self) -> Self {
        self.product(other, |one, other| say!("{one}: {other}", "{one}：{other}"))
    }

    /// Some of them, by their numbers.
    pub fn some(&self, range: impl std::slice::SliceIndex<[Choice], Output = [Choice]>) -> Self {
        Self(self.0[range].to_vec())
    }

    /// These, and then the others.
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

/// A label that fills no place.
pub fn label(label: &str) -> Axis {
    Axis(vec![Choice { label: label.to_owned(), fills: Vec::new() }])
}

/// A's states, in `{state}`.
pub fn states(states: &[State]) -> Axis {
    let choices = states.iter().map(|state| (state.label(), state.name()));
    Axis::new("{state}", &choices.collect::<Vec<_>>())
}

/// Which of A and B have the option, in `{a}` and `{b}`.
pub fn sides(option: &str) -> Axis {
    let side = |label: &str, a: &str, b: &str| Choice {
        label: label.to_owned(),
        fills: vec![("{a}", a.to_owned()), ("{b}", b.to_owned())],
    };
    Axis(vec![
        side(words!("neither", "都没有"), "", ""),
        side(words!("A", "只有 A"), option, ""),
        side(words!("B", "只有 B"), "", option),
        side(words!("both", "都有"), option, option),
    ])
}

/// What a socket may have.
pub fn options(place: &'static str) -> Axis {
    Axis::new(
        place,
        &[
            (words!("none", "不带选项"), ""),
            ("SO_REUSEADDR", "+reuseaddr"),
            ("SO_REUSEPORT", "+reuseport"),
            (words!("both options", "两个选项"), "+reuseaddr+reuseport"),
        ],
    )
}

/// What both sockets have, in `{both}`.
pub fn shared() -> Axis {
    Axis::new(
        "{both}",
        &[
            (words!("neither has an option", "双方都不带选项"), ""),
            (words!("both SO_REUSEADDR", "双方都有 SO_REUSEADDR"), "+reuseaddr"),
            (words!("both SO_REUSEPORT", "双方都有 SO_REUSEPORT"), "+reuseport"),
        ],
    )
}

/// Whose B is, in `{user}`.
pub fn users() -> Axis {
    Axis::new(
        "{user}",
        &[
            (words!("same user", "同一用户"), ""),
            (words!("another user", "另一个用户"), "+other-user"),
        ],
    )
}

/// Addresses, under their own names.
pub fn addresses(place: &'static str, addresses: &[&str]) -> Axis {
    let choices: Vec<_> = addresses.iter().map(|ip| (*ip, *ip)).collect();
    Axis::new(place, &choices)
}
