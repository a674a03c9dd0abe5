//! How Rust is generated.

/// How Rust is generated from a schema.
#[derive(Clone, Copy, Debug)]
pub struct CodegenOptions<'a> {
    /// The path of the crate that has `codec` and its macros: `crate` inside `stele-wire`, `stele_wire`
    /// elsewhere.
    pub runtime: &'a str,
    /// The file of the messages from each template id on: the first id and the file's name, by ascending id,
    /// from 0 on. Where this is empty, all messages go into `messages.rs`.
    pub families: &'a [(u16, &'a str)],
}

impl CodegenOptions<'static> {
    /// The options for the project's own messages, inside `stele-wire`.
    pub const OWN: Self = Self {
        runtime: "crate",
        families: &[
            (0, "market_data"),
            (200, "reference"),
            (300, "orders"),
            (400, "reports"),
            (500, "control"),
        ],
    };
    /// The options for the messages of other schemas, in any crate that uses `stele-wire`.
    pub const FOREIGN: Self = Self { runtime: "stele_wire", families: &[] };
}
