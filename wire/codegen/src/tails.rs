//! Generates what follows a block: the readers and writers of groups and data, and the entries of groups.

use crate::blocks::{Emitter, length_type, steps};
use crate::error::CodegenError;
use crate::names::{pascal, snake};
use crate::rust::{IN_MEMORY, WIDTH, described, doc};
use std::fmt::Write;
use stele_layout::{BlockLayout, GroupLayout, Slot};

impl Emitter<'_, '_> {
    /// Writes the entries of a group, and what follows each.
    fn entry(&mut self, out: &mut String, name: &str, group: &GroupLayout) -> Result<(), CodegenError> {
        let name = self.claim(name.to_owned())?;
        let is_narrow = |slot: Slot| slot.primitive.size() <= 4;
        if !is_narrow(group.block_length) || !is_narrow(group.count) {
            return Err(CodegenError::Dimensions(group.name.to_string()));
        }
        let about = described(&group.description, &group.name);
        let nulls = self.fields(out, &name, &about, &group.block.fields, group.block.length)?;
        let (runtime, dimensions) = (self.options.runtime, pascal(&group.dimensions));
        write!(
            out,
            "\n{runtime}::entry! {{\n    {name} in {dimensions}, {} {{\n{nulls}    }}\n",
            group.block.length
        )
        .expect(IN_MEMORY);
        self.block_items(out, &name, &group.block)?;
        out.push_str("}\n");
        self.tail(out, &name, &group.block, true)
    }

    /// Writes the readers and the writer of the groups and data after the block `name`.
    pub(crate) fn tail(
        &mut self,
        out: &mut String,
        name: &str,
        block: &BlockLayout,
        is_entry: bool,
    ) -> Result<(), CodegenError> {
        if block.groups.is_empty() && block.data.is_empty() {
            return Ok(());
        }
        let mut readers = Vec::new();
        for (index, group) in block.groups.iter().enumerate() {
            readers.push(Reader {
                name: snake(&group.name),
                about: described(&group.description, &group.name),
                returns: format!("Group<'a, {name}{}>", pascal(&group.name)),
                read: format!("group({})", group.since),
                steps: steps(name, block, index)?,
            });
        }
        for (index, data) in block.data.iter().enumerate() {
            readers.push(Reader {
                name: snake(&data.name),
                about: described(&data.description, &data.name),
                returns: "&'a [u8]".to_owned(),
                read: format!("data::<{}>({})", length_type(data)?, data.since),
                steps: steps(name, block, index + block.groups.len())?,
            });
        }
        self.readers(out, name, &readers);
        if block.groups.iter().all(|group| group.block.groups.is_empty() && group.block.data.is_empty()) {
            writer(out, name, block, is_entry)?;
        }
        for group in block.groups.iter() {
            self.entry(out, &format!("{name}{}", pascal(&group.name)), group)?;
        }
        Ok(())
    }

    /// Writes the readers of the groups and data after the block `name`. They are methods of its view;
    /// outside the view's crate a trait has to declare them.
    fn readers(&self, out: &mut String, name: &str, readers: &[Reader]) {
        let is_own = self.options.runtime == "crate";
        if is_own {
            write!(out, "\nimpl<'a> View<'a, {name}> {{\n").expect(IN_MEMORY);
        } else {
            write!(out, "\n/// Reads the groups and data after the block of a [`{name}`].\npub trait {name}Tail<'a> {{\n")
                .expect(IN_MEMORY);
            for reader in readers {
                doc(out, "///", "    ", &reader.about);
                writeln!(out, "    fn {}(&self) -> {};", reader.name, reader.returns).expect(IN_MEMORY);
            }
            write!(out, "}}\n\nimpl<'a> {name}Tail<'a> for View<'a, {name}> {{\n").expect(IN_MEMORY);
        }
        for (index, Reader { name, about, returns, read, steps }) in readers.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            if is_own {
                doc(out, "///", "    ", about);
            }
            let public = if is_own { "pub " } else { "" };
            writeln!(out, "    {public}fn {name}(&self) -> {returns} {{").expect(IN_MEMORY);
            if steps.is_empty() {
                writeln!(out, "        self.tail().{read}").expect(IN_MEMORY);
            } else {
                out.push_str("        let mut tail = self.tail();\n");
                steps.iter().for_each(|step| writeln!(out, "        {step}").expect(IN_MEMORY));
                writeln!(out, "        tail.{read}").expect(IN_MEMORY);
            }
            out.push_str("    }\n");
        }
        out.push_str("}\n");
    }
}

/// A method that reads one group or data.
struct Reader {
    name: String,
    about: String,
    returns: String,
    /// The call that reads it.
    read: String,
    /// The statements that skip what precedes it.
    steps: Vec<String>,
}

/// Writes the method that encodes the block with its groups and data: a whole message, or an entry of a group
/// that the caller has begun.
fn writer(out: &mut String, name: &str, block: &BlockLayout, is_entry: bool) -> Result<(), CodegenError> {
    let target = if is_entry { "writer: &mut Writer<'_>" } else { "buffer: &'b mut [u8]" };
    let mut parameters = vec!["&self".to_owned(), target.to_owned()];
    let begin = if is_entry { "" } else { "        let mut writer = Writer::new(buffer);\n" };
    let mut body = format!("{begin}        writer.block(self)?;\n");
    for group in block.groups.iter() {
        let (parameter, entry) = (snake(&group.name), format!("{name}{}", pascal(&group.name)));
        parameters.push(format!("{parameter}: impl IntoIterator<Item = {entry}>"));
        writeln!(body, "        writer.group({parameter})?;").expect(IN_MEMORY);
    }
    for data in block.data.iter() {
        let parameter = snake(&data.name);
        parameters.push(format!("{parameter}: &[u8]"));
        writeln!(body, "        writer.data::<{}>({parameter})?;", length_type(data)?).expect(IN_MEMORY);
    }
    let (about, head, returns, end) = if is_entry {
        let about = "Writes the entry with its groups and data, after `Writer::begin_group`";
        (about, "write", "Result<(), WriteError>", "Ok(())")
    } else {
        let about = "Writes the message with its groups and data, and returns the written bytes";
        (about, "encode<'b>", "Result<&'b [u8], WriteError>", "Ok(writer.finish())")
    };
    write!(out, "\nimpl {name} {{\n").expect(IN_MEMORY);
    doc(out, "///", "    ", about);
    out.push_str("    ///\n    /// # Errors\n    /// [`WriteError`] where the buffer is too small, or a count or length does not fit its type.\n");
    let line = format!("    pub fn {head}({}) -> {returns} {{\n", parameters.join(", "));
    if line.len() <= WIDTH + 1 {
        out.push_str(&line);
    } else {
        writeln!(out, "    pub fn {head}(").expect(IN_MEMORY);
        parameters.iter().for_each(|parameter| writeln!(out, "        {parameter},").expect(IN_MEMORY));
        writeln!(out, "    ) -> {returns} {{").expect(IN_MEMORY);
    }
    write!(out, "{body}        {end}\n    }}\n}}\n").expect(IN_MEMORY);
    Ok(())
}
