//! Values that have a name each: on the command line, and in what is printed and saved.

/// Values with a name each, in the order in which they are listed.
macro_rules! named {
    ($(#[$about:meta])* $kind:ident { $($(#[$note:meta])* $value:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $kind { $($(#[$note])* $value,)+ }

        impl $kind {
            /// Each, in the order in which they are listed.
            pub const ALL: &[Self] = &[$(Self::$value,)+];

            /// As it is written on the command line and in the name of a cell.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)+ }
            }
        }

        impl clap::ValueEnum for $kind {
            fn value_variants<'a>() -> &'a [Self] {
                Self::ALL
            }

            fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
                Some(self.name().into())
            }
        }

        impl std::str::FromStr for $kind {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|value| value.name() == name).ok_or_else(|| {
                    let names: Vec<&str> = Self::ALL.iter().map(|value| value.name()).collect();
                    $crate::say!(
                        "'{name}' is none of {names}",
                        "没有“{name}”，可选：{names}",
                        names = names.join(", ")
                    )
                })
            }
        }
    };
}

pub(crate) use named;
