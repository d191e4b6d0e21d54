//! The picture: the flag that is missing, from LISTEN to TIME_WAIT, and the bind that fails. It heads
//! the README, stands on the page in print, and is what others show with a link to the page.

use super::words::Language;
use super::recorded;
use crate::documents::is_whole;
use crate::harness::{read, run};
use minijinja::{Environment, UndefinedBehavior, Value, context};
use minijinja::value::Serde;
use std::process::Command;

/// The light picture and the dark one: file and colours.
const THEMES: [&str; 2] = ["light", "dark"];

fn file(language: &Language, theme: &str) -> String {
    let page = language.page.trim_end_matches(".html");
    format!("{page}.{theme}.svg")
}

/// The picture of a theme; without a theme that of the page, whose colours it has.
fn draw(language: &Language, theme: &str) -> String {
    let words = language.words();
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template_owned("picture", read("docs/page/picture.svg")).expect("a template");
    let binds: Vec<_> = recorded()["treuseaddr"][..2]
        .iter()
        .map(|runs| runs.after.each_ref().map(|steps| super::Runs::binds(steps)))
        .collect();
    let context = context! { w => Value::from(Serde(words.all())), theme, binds };
    let template = environment.get_template("picture").expect("it was added");
    template.render(context).unwrap_or_else(|error| panic!("{error:#}"))
}

/// As a part of the page.
pub fn inline(language: &Language) -> String {
    draw(language, "page")
}

/// The pictures are drawn from today's words and runs, and the card was rendered from the light one.
pub fn is_current(language: &Language) {
    for theme in THEMES {
        is_whole(&file(language, theme), &draw(language, theme));
    }
    let light = file(language, "light");
    let sum = run(Command::new("sha256sum").arg(crate::harness::project(&light))).stdout;
    let sum = sum.split_whitespace().next().expect("sha256sum prints it");
    let card = language.page.replace(".html", ".png");
    let bytes = std::fs::read(crate::harness::project(&card)).expect("the card is there");
    let is_of = bytes.windows(sum.len()).any(|part| part == sum.as_bytes());
    assert!(
        is_of,
        "{card} was not rendered from today's {light}: \
         TREUSEADDR_UPDATE=1 tests/run.sh browser_{}_picture -- --ignored",
        language.code
    );
}
