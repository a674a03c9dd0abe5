//! Generates the tables that hold a [`Schema`] at run time: one line for each field.

use crate::names::upper;
use crate::rust::{IN_MEMORY, banner};
use std::collections::BTreeMap;
use std::fmt::Write;
use stele_layout::{
    BlockLayout, ByteOrder, Data, Enum, Field, GroupLayout, Kind, MessageLayout, Schema, Set, Slot,
};

/// The files of the tables, below `layout/`.
pub(crate) fn generate(
    schema: &Schema,
    files: &BTreeMap<&str, Vec<&MessageLayout>>,
    runtime: &str,
) -> Vec<(String, String)> {
    let tables = Tables { schema, runtime };
    let mut sources = vec![
        ("layout/mod.rs".to_owned(), tables.root(files)),
        ("layout/types.rs".to_owned(), tables.types()),
    ];
    for (name, messages) in files {
        let mut out = banner(schema);
        tables.imports(&mut out, "use super::types::*;\n");
        for message in messages {
            tables.message(&mut out, message);
        }
        sources.push((format!("layout/{name}.rs"), out));
    }
    sources
}

struct Tables<'s> {
    schema: &'s Schema,
    runtime: &'s str,
}

impl Tables<'_> {
    /// Writes the imports of every table, after `first`.
    fn imports(&self, out: &mut String, first: &str) {
        let layout = format!("{}::layout", self.runtime);
        write!(
            out,
            "{first}use {layout}::Primitive::*;\nuse {layout}::*;\nuse std::borrow::Cow::Borrowed;\n"
        )
        .expect(IN_MEMORY);
    }

    fn root(&self, files: &BTreeMap<&str, Vec<&MessageLayout>>) -> String {
        let schema = self.schema;
        let mut out = banner(schema);
        out.push_str("//! The schema as tables, without its descriptions.\n\n");
        files.keys().for_each(|name| writeln!(out, "mod {name};").expect(IN_MEMORY));
        self.imports(&mut out, "mod types;\n\n");
        out.push('\n');
        let order = if schema.byte_order == ByteOrder::Little { "Little" } else { "Big" };
        let header = schema.header;
        write!(
            out,
            "/// The schema: every message with its fields, groups and data.\npub static SCHEMA: Schema = Schema {{\n    \
             package: Borrowed({:?}),\n    id: {},\n    version: {},\n    description: Borrowed(\"\"),\n    \
             byte_order: ByteOrder::{order},\n    header: Header {{ length: {}, block_length: {}, template_id: {}, schema_id: {}, version: {} }},\n    \
             enums: Borrowed(&types::ENUMS),\n    sets: Borrowed(&types::SETS),\n    composites: Borrowed(&types::COMPOSITES),\n    messages: Borrowed(&MESSAGES),\n}};\n\n",
            &*schema.package, schema.id, schema.version, header.length, slot(header.block_length),
            slot(header.template_id), slot(header.schema_id), slot(header.version)
        )
        .expect(IN_MEMORY);
        writeln!(out, "static MESSAGES: [MessageLayout; {}] = [", schema.messages.len()).expect(IN_MEMORY);
        for message in schema.messages.iter() {
            let file = files.iter().find(|(_, messages)| messages.iter().any(|other| other.id == message.id));
            let (file, name) = (file.map_or("", |(name, _)| name), upper(&message.name));
            writeln!(out, "    {file}::{name},").expect(IN_MEMORY);
        }
        out.push_str("];\n");
        out
    }

    fn types(&self) -> String {
        let schema = self.schema;
        let mut out = banner(schema);
        self.imports(&mut out, "");
        writeln!(out, "\npub(super) static ENUMS: [Enum; {}] = [", schema.enums.len()).expect(IN_MEMORY);
        schema.enums.iter().for_each(|layout| enumeration(&mut out, layout));
        writeln!(out, "];\n\npub(super) static SETS: [Set; {}] = [", schema.sets.len()).expect(IN_MEMORY);
        schema.sets.iter().for_each(|layout| set(&mut out, layout));
        writeln!(out, "];\n\npub(super) static COMPOSITES: [Composite; {}] = [", schema.composites.len())
            .expect(IN_MEMORY);
        for layout in schema.composites.iter() {
            writeln!(out, "    Composite {{ name: Borrowed({:?}), length: {}, description: Borrowed(\"\"), members: Borrowed(&[", &*layout.name, layout.length).expect(IN_MEMORY);
            layout.members.iter().for_each(|member| self.field(&mut out, "        ", member));
            out.push_str("    ]) },\n");
        }
        out.push_str("];\n");
        out
    }

    fn message(&self, out: &mut String, message: &MessageLayout) {
        writeln!(
            out,
            "\npub(super) const {}: MessageLayout = MessageLayout {{\n    name: Borrowed({:?}), id: {}, since: {}, deprecated: {}, semantic: Borrowed({:?}), description: Borrowed(\"\"),",
            upper(&message.name), &*message.name, message.id, message.since, message.deprecated, &*message.semantic
        )
        .expect(IN_MEMORY);
        self.block(out, "    ", &message.block);
        out.push_str("};\n");
    }

    fn block(&self, out: &mut String, indent: &str, block: &BlockLayout) {
        let inner = format!("{indent}    ");
        writeln!(out, "{indent}block: BlockLayout {{ length: {}, fields: Borrowed(&[", block.length)
            .expect(IN_MEMORY);
        block.fields.iter().for_each(|field| self.field(out, &inner, field));
        writeln!(out, "{indent}]), groups: Borrowed(&[").expect(IN_MEMORY);
        block.groups.iter().for_each(|group| self.group(out, &inner, group));
        writeln!(out, "{indent}]), data: Borrowed(&[").expect(IN_MEMORY);
        block.data.iter().for_each(|data| variable(out, &inner, data));
        writeln!(out, "{indent}]) }},").expect(IN_MEMORY);
    }

    fn group(&self, out: &mut String, indent: &str, group: &GroupLayout) {
        writeln!(
            out,
            "{indent}GroupLayout {{ name: Borrowed({:?}), id: {}, since: {}, description: Borrowed(\"\"), dimensions: Borrowed({:?}), dimensions_length: {}, block_length: {}, count: {},",
            &*group.name, group.id, group.since, &*group.dimensions, group.dimensions_length,
            slot(group.block_length), slot(group.count)
        )
        .expect(IN_MEMORY);
        self.block(out, &format!("{indent}    "), &group.block);
        writeln!(out, "{indent}}},").expect(IN_MEMORY);
    }

    fn field(&self, out: &mut String, indent: &str, field: &Field) {
        writeln!(
            out,
            "{indent}Field::compiled({:?}, {}, {}, {}, {}, Presence::{:?}, {:?}, {}),",
            &*field.name,
            field.id,
            field.offset,
            field.since,
            field.deprecated,
            field.presence,
            &*field.semantic,
            self.kind(&field.kind)
        )
        .expect(IN_MEMORY);
    }

    fn kind(&self, kind: &Kind) -> String {
        let schema = self.schema;
        match kind {
            Kind::Number { primitive, null } => {
                format!("Kind::Number {{ primitive: {primitive:?}, null: {null} }}")
            }
            Kind::Array { primitive, length } => {
                format!("Kind::Array {{ primitive: {primitive:?}, length: {length} }}")
            }
            Kind::Enum(layout) => {
                let index = schema.enums.iter().position(|other| other == &**layout).unwrap_or(0);
                format!("Kind::Enum(Borrowed(&ENUMS[{index}]))")
            }
            Kind::Set(layout) => {
                let index = schema.sets.iter().position(|other| other == &**layout).unwrap_or(0);
                format!("Kind::Set(Borrowed(&SETS[{index}]))")
            }
            Kind::Composite(layout) => {
                let index = schema.composites.iter().position(|other| other == &**layout).unwrap_or(0);
                format!("Kind::Composite(Borrowed(&COMPOSITES[{index}]))")
            }
            Kind::Constant(constant) => format!(
                "Kind::Constant(Constant {{ primitive: {:?}, text: Borrowed({:?}), value: {}, enumeration: Borrowed({:?}) }})",
                constant.primitive, &*constant.text, constant.value, &*constant.enumeration
            ),
        }
    }
}

fn slot(slot: Slot) -> String {
    format!("Slot {{ offset: {}, primitive: {:?} }}", slot.offset, slot.primitive)
}

fn variable(out: &mut String, indent: &str, data: &Data) {
    writeln!(
        out,
        "{indent}Data {{ name: Borrowed({:?}), id: {}, since: {}, description: Borrowed(\"\"), length: {}, offset: {}, is_text: {} }},",
        &*data.name, data.id, data.since, slot(data.length), data.offset, data.is_text
    )
    .expect(IN_MEMORY);
}

fn enumeration(out: &mut String, layout: &Enum) {
    writeln!(
        out,
        "    Enum {{ name: Borrowed({:?}), primitive: {:?}, null: {}, description: Borrowed(\"\"), values: Borrowed(&[",
        &*layout.name, layout.primitive, layout.null
    )
    .expect(IN_MEMORY);
    for valid in layout.values.iter() {
        writeln!(out, "        ValidValue::compiled({:?}, {}, {}),", &*valid.name, valid.value, valid.since)
            .expect(IN_MEMORY);
    }
    out.push_str("    ]) },\n");
}

fn set(out: &mut String, layout: &Set) {
    writeln!(
        out,
        "    Set {{ name: Borrowed({:?}), primitive: {:?}, description: Borrowed(\"\"), choices: Borrowed(&[",
        &*layout.name, layout.primitive
    )
    .expect(IN_MEMORY);
    for choice in layout.choices.iter() {
        writeln!(out, "        Choice::compiled({:?}, {}, {}),", &*choice.name, choice.bit, choice.since)
            .expect(IN_MEMORY);
    }
    out.push_str("    ]) },\n");
}
