//! The files of the example that a new crate is made of.

/// A file of the example, by its path in the crate.
pub(super) struct Template {
    pub(super) path: &'static str,
    pub(super) text: &'static str,
}

/// The files of the example at these paths.
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

/// The example's name and that of its strategy: a new crate has one name for both.
pub(super) const EXAMPLE_NAMES: [&str; 2] = ["own-strategy", "imbalance"];
