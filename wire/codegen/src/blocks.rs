//! Generates the struct of a block: its fields, its null value, and how messages of older versions are read.

use crate::error::CodegenError;
use crate::names::{pascal, snake, upper};
use crate::options::CodegenOptions;
use crate::rust::{IN_MEMORY, constant_value, described, doc, null, rust_type, storage};
use std::collections::BTreeSet;
use std::fmt::Write;
use stele_layout::{BlockLayout, Data, Field, Kind, Schema};

/// The Rust of one schema as it is generated.
pub(crate) struct Emitter<'s, 'o> {
    pub(crate) schema: &'s Schema,
    pub(crate) options: CodegenOptions<'o>,
    /// Every Rust type generated so far.
    pub(crate) names: BTreeSet<String>,
}

impl Emitter<'_, '_> {
    /// Takes the name of a new Rust type.
    pub(crate) fn claim(&mut self, name: String) -> Result<String, CodegenError> {
        if !self.names.insert(name.clone()) {
            return Err(CodegenError::SameName(name));
        }
        Ok(name)
    }

    /// Writes the struct `name` and returns its null values, one a line.
    pub(crate) fn fields(
        &self,
        out: &mut String,
        name: &str,
        about: &str,
        fields: &[Field],
        length: u16,
    ) -> Result<String, CodegenError> {
        let (mut body, mut nulls, mut constants) = (String::new(), String::new(), String::new());
        let (mut end, mut names) = (0, BTreeSet::new());
        let pad = |body: &mut String, nulls: &mut String, from: u16, to: u16| {
            if from < to {
                let bytes = to - from;
                write!(body, "    /// Zero.\n    pub padding_{from}: [u8; {bytes}],\n").expect(IN_MEMORY);
                writeln!(nulls, "        padding_{from}: [0; {bytes}],").expect(IN_MEMORY);
            }
        };
        for field in fields {
            if !names.insert(snake(&field.name)) {
                return Err(CodegenError::Member(name.to_owned()));
            }
            let about = described(&field.description, &field.name);
            if let Kind::Constant(constant) = &field.kind {
                doc(&mut constants, "///", "    ", &about);
                writeln!(constants, "    pub const {}: {};", upper(&field.name), constant_value(constant))
                    .expect(IN_MEMORY);
                continue;
            }
            pad(&mut body, &mut nulls, end, field.offset);
            end = field.end();
            doc(&mut body, "///", "    ", &about);
            writeln!(body, "    pub {}: {},", snake(&field.name), rust_type(&field.kind)).expect(IN_MEMORY);
            writeln!(nulls, "        {}: {},", snake(&field.name), null(field)).expect(IN_MEMORY);
        }
        pad(&mut body, &mut nulls, end, length);
        out.push('\n');
        doc(out, "///", "", about);
        let eq = if has_float(fields) { "" } else { " Eq," };
        let derives = format!(
            "#[derive(Clone, Copy, PartialEq,{eq} Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]\n"
        );
        write!(out, "#[repr(C)]\n{derives}").expect(IN_MEMORY);
        match body.is_empty() {
            true => writeln!(out, "pub struct {name} {{}}").expect(IN_MEMORY),
            false => write!(out, "pub struct {name} {{\n{body}}}\n").expect(IN_MEMORY),
        }
        if !constants.is_empty() {
            write!(out, "\nimpl {name} {{\n{constants}}}\n").expect(IN_MEMORY);
        }
        Ok(nulls)
    }

    /// Writes the items of `impl Block` besides the null value: those for newer fields, groups and data.
    pub(crate) fn block_items(
        &self,
        out: &mut String,
        name: &str,
        block: &BlockLayout,
    ) -> Result<(), CodegenError> {
        let newer: Vec<&Field> =
            block.fields.iter().filter(|field| field.since > 0 && field.kind.size() > 0).collect();
        if let Some(newest) = newer.iter().map(|field| field.since).max() {
            writeln!(out, "    const NEWEST: u16 = {newest};").expect(IN_MEMORY);
            out.push_str("    fn forget_newer(&mut self, version: u16) {\n");
            for field in newer {
                let (since, field) = (field.since, snake(&field.name));
                writeln!(out, "        if version < {since} {{ self.{field} = Self::NULL.{field}; }}")
                    .expect(IN_MEMORY);
            }
            out.push_str("    }\n");
        }
        let groups = block.groups.iter().filter(|group| group.since == 0);
        let data = block.data.iter().filter(|data| data.since == 0);
        let least = groups.map(|group| group.dimensions_length).sum::<u16>()
            + data.map(|data| data.offset).sum::<u16>();
        if !block.groups.is_empty() || !block.data.is_empty() {
            writeln!(out, "    const TAIL_MIN: usize = {least};").expect(IN_MEMORY);
            out.push_str("    fn skip_tail(tail: &mut Tail<'_>) {\n");
            for step in steps(name, block, block.groups.len() + block.data.len())? {
                writeln!(out, "        {}", step).expect(IN_MEMORY);
            }
            out.push_str("    }\n");
        }
        Ok(())
    }
}

/// The statements that skip the first `count` groups and data after the block `name`.
pub(crate) fn steps(name: &str, block: &BlockLayout, count: usize) -> Result<Vec<String>, CodegenError> {
    let groups = block
        .groups
        .iter()
        .map(|group| Ok(format!("tail.skip_group::<{name}{}>({});", pascal(&group.name), group.since)));
    let data =
        block.data.iter().map(|data| Ok(format!("tail.data::<{}>({});", length_type(data)?, data.since)));
    groups.chain(data).take(count).collect()
}

/// The type of the number that is the length of `data`.
pub(crate) fn length_type(data: &Data) -> Result<&'static str, CodegenError> {
    if data.length.offset != 0 || data.offset != data.length.primitive.size() || data.offset > 4 {
        return Err(CodegenError::Data(data.name.to_string()));
    }
    Ok(storage(data.length.primitive))
}

fn has_float(fields: &[Field]) -> bool {
    fields.iter().any(|field| match &field.kind {
        Kind::Number { primitive, .. } | Kind::Array { primitive, .. } => primitive.is_float(),
        Kind::Composite(composite) => has_float(&composite.members),
        Kind::Enum(_) | Kind::Set(_) | Kind::Constant(_) => false,
    })
}
