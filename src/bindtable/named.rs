//! Values that have a name each: on the command line, and in what is printed and saved.

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// A kind of values with a name each.
pub trait Named: Copy + Send + Sync + 'static {
    /// Each, in the order in which they are listed.
    const ALL: &'static [Self];

    /// As it is written on the command line and in the name of a cell.
    fn name(self) -> &'static str;

    /// The value of that name.
    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.name() == name)
    }
}

/// An enum that is [`Named`]. Its own `ALL` and `name` need no import.
macro_rules! named {
    ($(#[$about:meta])* $kind:ident { $($(#[$note:meta])* $value:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(serde::Serialize, serde::Deserialize)]
        pub enum $kind { $($(#[$note])* #[serde(rename = $name)] $value,)+ }

        impl $kind {
            pub const ALL: &[Self] = &[$(Self::$value,)+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)+ }
            }
        }

        impl $crate::named::Named for $kind {
            const ALL: &'static [Self] = Self::ALL;

            fn name(self) -> &'static str {
                self.name()
            }
        }
    };
}

pub(crate) use named;

/// A value by its name, for the command line.
pub fn one_of<T: Named>() -> impl TypedValueParser<Value = T> {
    let names = T::ALL.iter().map(|value| value.name());
    PossibleValuesParser::new(names).map(|name| T::of_name(&name).expect("clap knows the names"))
}

named! {
    /// How an answer is laid out: for a reader, or for a program.
    Format { Text = "text", Json = "json", }
}
