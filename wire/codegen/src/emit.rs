//! Generates Rust from a [`Schema`]: structs, enumerations and sets as a person would write them.

use crate::blocks::Emitter;
use crate::error::CodegenError;
use crate::names::{pascal, snake, upper};
use crate::options::CodegenOptions;
use crate::rust::{IN_MEMORY, banner, described, doc, native, storage};
use crate::tables;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use stele_layout::{BlockLayout, ByteOrder, Composite, Enum, Field, Kind, MessageLayout, Schema, Set};

/// Generates the Rust source files of `schema`, as pairs of a path and the source, by ascending path:
/// `mod.rs`, `types.rs`, a file for each family of messages, and in `layout/` the same schema as tables.
///
/// # Errors
/// [`CodegenError`] for a schema from which no correct Rust can be generated.
pub fn generate(schema: &Schema, options: CodegenOptions<'_>) -> Result<Vec<(String, String)>, CodegenError> {
    let mut emitter = Emitter { schema, options, names: BTreeSet::new() };
    let mut files = BTreeMap::<&str, Vec<&MessageLayout>>::new();
    for message in schema.messages.iter() {
        let family = options.families.iter().rev().find(|(first, _)| *first <= message.id);
        files.entry(family.map_or("messages", |(_, name)| name)).or_default().push(message);
    }
    let mut sources = vec![("types.rs".to_owned(), emitter.types()?)];
    for (name, messages) in &files {
        sources.push((format!("{name}.rs"), emitter.family(messages)?));
    }
    sources.push(("mod.rs".to_owned(), emitter.root(&files)));
    sources.extend(tables::generate(schema, &files, options.runtime));
    sources.sort();
    Ok(sources)
}

/// The name of the macro over all messages. It contains the schema's package, because the exported macros of
/// a crate share one namespace.
fn for_each_message(package: &str) -> String {
    let package = snake(&package.replace(|char: char| !char.is_ascii_alphanumeric(), "_"));
    if package.is_empty() { "for_each_message".into() } else { format!("for_each_{package}_message") }
}

impl Emitter<'_, '_> {
    fn root(&self, files: &BTreeMap<&str, Vec<&MessageLayout>>) -> String {
        let mut out = banner(self.schema);
        let about = if self.schema.description.is_empty() {
            format!("The messages of the schema {}", self.schema.package)
        } else {
            self.schema.description.to_string()
        };
        doc(&mut out, "//!", "", &about);
        out.push('\n');
        let mut modules: Vec<&str> = files.keys().copied().chain(["types"]).collect();
        modules.sort_unstable();
        if !modules.contains(&"layout") {
            out.push_str("#[rustfmt::skip]\nmod layout;\n");
        }
        modules.iter().for_each(|name| writeln!(out, "pub mod {name};").expect(IN_MEMORY));
        out.push('\n');
        let mut exports: Vec<String> = modules.iter().map(|name| format!("pub use {name}::*;\n")).collect();
        exports.push("pub use layout::SCHEMA;\n".to_owned());
        exports.sort_unstable();
        out.extend(exports);
        let (id, version) = (self.schema.id, self.schema.version);
        write!(
            out,
            "\n/// The id of the schema, as in the header of every message.\npub const SCHEMA_ID: u16 = {id};\n\n\
             /// The version of the schema that this code writes.\n\
             pub const SCHEMA_VERSION: u16 = {version};\n\n"
        )
        .expect(IN_MEMORY);
        out.push_str(
            "/// Returns the schema's name of the message with template `id`.\npub const fn message_name(id: u16) -> \
             Option<&'static str> {\n    match id {\n",
        );
        for message in self.schema.messages.iter() {
            let name = pascal(&message.name);
            writeln!(out, "        {name}::TEMPLATE_ID => Some({name}::NAME),").expect(IN_MEMORY);
        }
        out.push_str(
            "        _ => None,\n    }\n}\n\n/// Returns the length in bytes of the root block \
             of the message with template `id`, as this version writes it.\npub const fn block_length(id: u16) -> Option<u16> {\n    match id {\n",
        );
        for message in self.schema.messages.iter() {
            let name = pascal(&message.name);
            writeln!(out, "        {name}::TEMPLATE_ID => Some({name}::BLOCK_LENGTH),").expect(IN_MEMORY);
        }
        out.push_str("        _ => None,\n    }\n}\n\n");
        write!(
            out,
            "/// Calls the macro `$each` once, with all messages: `$each! {{ First, Second, … }}`.\n\
             #[macro_export]\nmacro_rules! {} {{\n    ($each:ident) => {{\n        $each! {{\n",
            for_each_message(&self.schema.package)
        )
        .expect(IN_MEMORY);
        for message in self.schema.messages.iter() {
            writeln!(out, "            {},", pascal(&message.name)).expect(IN_MEMORY);
        }
        out.push_str("        }\n    };\n}\n");
        out
    }

    fn types(&mut self) -> Result<String, CodegenError> {
        let mut body = String::new();
        for layout in self.schema.enums.iter() {
            self.enumeration(&mut body, layout)?;
        }
        for layout in self.schema.sets.iter() {
            self.set(&mut body, layout)?;
        }
        let used = used_composites(self.schema);
        for layout in self.schema.composites.iter().filter(|layout| used.contains(&*layout.name)) {
            self.composite(&mut body, layout)?;
        }
        let about = "The types of the messages' fields: enumerations, sets and composites";
        Ok(self.file(about, &body, ""))
    }

    fn family(&mut self, messages: &[&MessageLayout]) -> Result<String, CodegenError> {
        let mut body = String::new();
        for message in messages {
            self.message(&mut body, message)?;
        }
        let names: Vec<&str> = messages.iter().map(|message| &*message.name).collect();
        let about =
            format!("The messages {} to {}", names.first().unwrap_or(&""), names.last().unwrap_or(&""));
        Ok(self.file(&about, &body, "super::types"))
    }

    /// Returns a whole file: its doc comment `about`, the imports that `body` needs, and `body`.
    fn file(&self, about: &str, body: &str, types: &str) -> String {
        let mut out = banner(self.schema);
        doc(&mut out, "//!", "", about);
        if body.is_empty() {
            return out;
        }
        out.push('\n');
        let runtime = self.options.runtime;
        let mut codec: Vec<&str> = ["Group", "Tail", "View", "WriteError", "Writer"]
            .into_iter()
            .filter(|name| uses(body, name))
            .collect();
        let mut imports = Vec::new();
        if !types.is_empty() && self.names.iter().any(|name| uses(body, name)) {
            imports.push(format!("use {types}::*;\n"));
        }
        if let [only] = codec[..] {
            imports.push(format!("use {runtime}::codec::{only};\n"));
        } else if !codec.is_empty() {
            codec.sort_unstable();
            imports.push(format!("use {runtime}::codec::{{{}}};\n", codec.join(", ")));
        }
        let order = if self.schema.byte_order == ByteOrder::Little { "little" } else { "big" };
        let numbers: Vec<&str> = ["F32", "F64", "I16", "I32", "I64", "U16", "U32", "U64"]
            .into_iter()
            .filter(|name| uses(body, name))
            .collect();
        match numbers[..] {
            [] => {}
            [only] => imports.push(format!("use zerocopy::{order}_endian::{only};\n")),
            _ => imports.push(format!("use zerocopy::{order}_endian::{{{}}};\n", numbers.join(", "))),
        }
        // The macros of enumerations and sets derive these, too.
        if ["#[derive(", "::enumeration! {", "::set! {"].iter().any(|derives| body.contains(derives)) {
            imports.push(
                "use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};\n".to_owned(),
            );
        }
        imports.iter().for_each(|import| out.push_str(import));
        out.push_str(body);
        out
    }

    fn enumeration(&mut self, out: &mut String, layout: &Enum) -> Result<(), CodegenError> {
        let name = self.claim(pascal(&layout.name))?;
        let storage = storage(layout.primitive);
        write!(out, "\n{}::enumeration! {{\n", self.options.runtime).expect(IN_MEMORY);
        doc(out, "///", "    ", described(&layout.description, &layout.name).as_str());
        writeln!(out, "    {name}({storage}), null {} {{", layout.null).expect(IN_MEMORY);
        let mut names = BTreeSet::from(["NULL".to_owned(), "VALUES".to_owned()]);
        for valid in layout.values.iter() {
            if !names.insert(upper(&valid.name)) {
                return Err(CodegenError::Member(name));
            }
            doc(out, "///", "        ", described(&valid.description, &valid.name).as_str());
            writeln!(out, "        {} = {}, \"{}\";", upper(&valid.name), valid.value, valid.name)
                .expect(IN_MEMORY);
        }
        out.push_str("    }\n}\n");
        Ok(())
    }

    fn set(&mut self, out: &mut String, layout: &Set) -> Result<(), CodegenError> {
        let name = self.claim(pascal(&layout.name))?;
        let storage = storage(layout.primitive);
        write!(out, "\n{}::set! {{\n", self.options.runtime).expect(IN_MEMORY);
        doc(out, "///", "    ", described(&layout.description, &layout.name).as_str());
        writeln!(out, "    {name}({storage}: {}) {{", native(layout.primitive)).expect(IN_MEMORY);
        let mut names = BTreeSet::from(["EMPTY".to_owned()]);
        for choice in layout.choices.iter() {
            if !names.insert(upper(&choice.name)) {
                return Err(CodegenError::Member(name));
            }
            doc(out, "///", "        ", described(&choice.description, &choice.name).as_str());
            writeln!(out, "        {} = {}, \"{}\";", upper(&choice.name), choice.bit, choice.name)
                .expect(IN_MEMORY);
        }
        out.push_str("    }\n}\n");
        Ok(())
    }

    fn composite(&mut self, out: &mut String, layout: &Composite) -> Result<(), CodegenError> {
        let name = self.claim(pascal(&layout.name))?;
        let about = described(&layout.description, &layout.name);
        let nulls = self.fields(out, &name, &about, &layout.members, layout.length)?;
        write!(out, "\n{}::composite! {{\n    {name}, {} {{\n", self.options.runtime, layout.length)
            .expect(IN_MEMORY);
        out.push_str(&nulls);
        out.push_str("    }\n}\n");
        let member =
            |name| layout.members.iter().find(|member| member.name == name).map(|member| &member.kind);
        if let (
            Some(Kind::Number { primitive: of_length, .. }),
            Some(Kind::Number { primitive: of_count, .. }),
        ) = (member("blockLength"), member("numInGroup"))
        {
            let (of_length, of_count) = (storage(*of_length), storage(*of_count));
            writeln!(out, "\n{}::dimensions!({name}, {of_length}, {of_count});", self.options.runtime)
                .expect(IN_MEMORY);
        }
        Ok(())
    }

    fn message(&mut self, out: &mut String, message: &MessageLayout) -> Result<(), CodegenError> {
        let name = self.claim(pascal(&message.name))?;
        let about = described(&message.description, &message.name);
        let (block, runtime) = (&message.block, self.options.runtime);
        let nulls = self.fields(out, &name, &about, &block.fields, block.length)?;
        write!(
            out,
            "\n{runtime}::message! {{\n    {name} = {}, \"{}\", {} {{\n{nulls}    }}\n",
            message.id, message.name, block.length
        )
        .expect(IN_MEMORY);
        self.block_items(out, &name, block)?;
        out.push_str("}\n");
        self.tail(out, &name, block, false)
    }
}

fn used_composites(schema: &Schema) -> BTreeSet<String> {
    fn in_fields(fields: &[Field], used: &mut BTreeSet<String>) {
        for field in fields {
            if let Kind::Composite(composite) = &field.kind {
                used.insert(composite.name.to_string());
                in_fields(&composite.members, used);
            }
        }
    }
    fn in_block(block: &BlockLayout, used: &mut BTreeSet<String>) {
        in_fields(&block.fields, used);
        for group in block.groups.iter() {
            used.insert(group.dimensions.to_string());
            in_block(&group.block, used);
        }
    }
    let mut used = BTreeSet::new();
    schema.messages.iter().for_each(|message| in_block(&message.block, &mut used));
    used
}

/// Whether `body` contains `name` as a whole word.
fn uses(body: &str, name: &str) -> bool {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    body.match_indices(name).any(|(start, _)| {
        !body[..start].ends_with(is_word)
            && !body[start + name.len()..].starts_with(|char| is_word(char) && char != ':')
    })
}
