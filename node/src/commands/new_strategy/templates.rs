//! The files of the example crate, which are the templates of a new one.

/// A file of the example crate.
pub(super) struct Template {
    pub(super) path: &'static str,
    pub(super) text: &'static str,
}

/// Includes the files of the example at these paths.
macro_rules! templates {
    ($($path:literal),* $(,)?) => {
        &[$(Template { path: $path, text: include_str!(concat!("../../../../examples/own-strategy/", $path)) }),*]
    };
}

pub(super) const TEMPLATES: &[Template] = templates![
    "Cargo.toml",
    "Cargo.lock",
    ".gitignore",
    "README.md",
    "src/main.rs",
    "src/strategy.rs",
    "tests/program.rs",
];

/// The names of the example crate and of its strategy; in a new crate both are the same.
pub(super) const EXAMPLE_NAMES: [&str; 2] = ["own-strategy", "imbalance"];
