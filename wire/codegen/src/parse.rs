//! Parses a schema text into a [`Schema`]: includes, the message header, messages.

use crate::error::{SchemaError, SchemaFault};
use crate::types::{Element, Types, check_name};
use roxmltree::Document;
use std::collections::BTreeSet;
use stele_layout::{
    BlockLayout, ByteOrder, Data, Field, GroupLayout, Header, Kind, MessageLayout, Primitive, Schema, Slot,
};

/// The largest number of files of a schema, the schema's own text included.
const FILES_MAX: usize = 32;
/// The largest depth of nested groups.
const GROUP_DEPTH_MAX: usize = 8;

/// Parses the schema `text`. `include` returns the text of an included file (`xi:include`) by its `href`, or
/// `None` where the file cannot be read.
///
/// # Errors
/// [`SchemaError`] for the first fault found. No text makes it panic.
pub fn parse(text: &str, mut include: impl FnMut(&str) -> Option<String>) -> Result<Schema, SchemaError> {
    let mut files: Vec<(Option<String>, String)> = vec![(None, text.to_owned())];
    let mut next = 0;
    while next < files.len() {
        for (href, line) in includes(&files[next])? {
            let in_file = files[next].0.clone();
            let fail = |fault| SchemaError { file: in_file, line, fault };
            if files.len() == FILES_MAX {
                return Err(fail(SchemaFault::IncludeCircle(FILES_MAX)));
            }
            match include(&href) {
                Some(text) => files.push((Some(href), text)),
                None => return Err(fail(SchemaFault::Include(href))),
            }
        }
        next += 1;
    }
    let documents = files
        .iter()
        .map(|(file, text)| Ok((file.as_deref(), document(file.as_deref(), text)?)))
        .collect::<Result<Vec<_>, SchemaError>>()?;
    let roots: Vec<Element<'_>> = documents
        .iter()
        .map(|(file, document)| Element { node: document.root_element(), file: *file })
        .collect();
    schema(&roots)
}

fn document<'t>(file: Option<&str>, text: &'t str) -> Result<Document<'t>, SchemaError> {
    Document::parse(text).map_err(|error| SchemaError {
        file: file.map(str::to_owned),
        line: error.pos().row,
        fault: SchemaFault::Xml(error.to_string()),
    })
}

fn includes((file, text): &(Option<String>, String)) -> Result<Vec<(String, u32)>, SchemaError> {
    let document = document(file.as_deref(), text)?;
    let root = document.root_element();
    root.descendants()
        .filter(|node| node.is_element() && node.tag_name().name() == "include")
        .map(|node| {
            let element = Element { node, file: file.as_deref() };
            Ok((element.required("href")?.to_owned(), element.line()))
        })
        .collect()
}

fn schema(roots: &[Element<'_>]) -> Result<Schema, SchemaError> {
    let root = roots[0];
    if root.tag() != "messageSchema" {
        return Err(root.fault(SchemaFault::NotASchema(root.tag().to_owned())));
    }
    let byte_order = match root.attribute("byteOrder") {
        None | Some("littleEndian") => ByteOrder::Little,
        Some("bigEndian") => ByteOrder::Big,
        Some(found) => return Err(root.impossible("byteOrder", found, "littleEndian or bigEndian")),
    };
    let version = root.number("version")?.unwrap_or(0);
    let types = Types::collect(roots, version)?;
    let header = header(&types, root)?;
    let reader = Reader { types: &types, version };
    let mut messages = Vec::new();
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for element in roots.iter().flat_map(|root| root.all("message")) {
        let message = reader.message(element)?;
        if !ids.insert(message.id) {
            return Err(element.duplicate("messages of id", &message.id.to_string()));
        }
        if !names.insert(message.name.clone()) {
            return Err(element.duplicate("messages", &message.name));
        }
        messages.push(message);
    }
    messages.sort_by_key(|message| message.id);
    let (enums, sets, composites) = types.all()?;
    Ok(Schema {
        package: root.text_of("package"),
        id: root.number("id")?.ok_or_else(|| root.missing("id"))?,
        version,
        description: root.text_of("description"),
        byte_order,
        header,
        enums: enums.into(),
        sets: sets.into(),
        composites: composites.into(),
        messages: messages.into(),
    })
}

fn header(types: &Types<'_>, root: Element<'_>) -> Result<Header, SchemaError> {
    let name = root.attribute("headerType").unwrap_or("messageHeader");
    let (composite, element) = types.composite(name, root)?;
    let slot = |member: &'static str| slot(&composite.members, member, element);
    Ok(Header {
        length: composite.length,
        block_length: slot("blockLength")?,
        template_id: slot("templateId")?,
        schema_id: slot("schemaId")?,
        version: slot("version")?,
    })
}

/// The offset and type of the unsigned number called `name` among `members`.
fn slot(members: &[Field], name: &'static str, at: Element<'_>) -> Result<Slot, SchemaError> {
    let member = members.iter().find(|member| member.name == name).ok_or_else(|| {
        at.fault(SchemaFault::UnknownType(format!("{}.{name}", at.attribute("name").unwrap_or(""))))
    })?;
    match member.kind {
        Kind::Number { primitive, .. } if !primitive.is_signed() && !primitive.is_float() => {
            Ok(Slot { offset: member.offset, primitive })
        }
        _ => Err(at.fault(SchemaFault::WrongType {
            name: name.to_owned(),
            found: "something else",
            needed: "an unsigned number",
        })),
    }
}

struct Reader<'t, 'a> {
    types: &'t Types<'a>,
    version: u16,
}

impl<'a> Reader<'_, 'a> {
    fn message(&self, element: Element<'a>) -> Result<MessageLayout, SchemaError> {
        Ok(MessageLayout {
            name: check_name(element)?.to_owned().into(),
            id: element.number("id")?.ok_or_else(|| element.missing("id"))?,
            since: element.since(self.version)?,
            deprecated: element.number("deprecated")?.unwrap_or(0),
            semantic: element.text_of("semanticType"),
            description: element.text_of("description"),
            block: self.block(element, 0)?,
        })
    }

    fn block(&self, element: Element<'a>, depth: usize) -> Result<BlockLayout, SchemaError> {
        if depth > GROUP_DEPTH_MAX {
            return Err(element.fault(SchemaFault::TooDeep(GROUP_DEPTH_MAX)));
        }
        let (mut fields, mut groups, mut data) = (Vec::new(), Vec::new(), Vec::new());
        let (mut names, mut end) = (BTreeSet::new(), 0u16);
        for child in element.children() {
            let name = check_name(child)?;
            if !names.insert(name) {
                return Err(child.duplicate("members", name));
            }
            let misplaced = |before| Err(child.fault(SchemaFault::Order { name: name.to_owned(), before }));
            match child.tag() {
                "field" if !data.is_empty() => return misplaced("data"),
                "field" if !groups.is_empty() => return misplaced("a group"),
                "field" => {
                    let field = self.types.field(child, end)?;
                    end = crate::types::end_of(&field, child)?;
                    fields.push(field);
                }
                "group" if !data.is_empty() => return misplaced("data"),
                "group" => groups.push(self.group(child, depth)?),
                "data" => data.push(self.data(child)?),
                other => return Err(child.impossible("element", other, "field, group or data")),
            }
        }
        let length = element.number("blockLength")?.unwrap_or(end);
        if length < end {
            let name = element.attribute("name").unwrap_or_default().to_owned();
            return Err(element.fault(SchemaFault::BlockLength { name, found: length, needed: end }));
        }
        Ok(BlockLayout { length, fields: fields.into(), groups: groups.into(), data: data.into() })
    }

    fn group(&self, element: Element<'a>, depth: usize) -> Result<GroupLayout, SchemaError> {
        let dimensions = element.attribute("dimensionType").unwrap_or("groupSizeEncoding");
        let (composite, declared) = self.types.composite(dimensions, element)?;
        let count = slot(&composite.members, "numInGroup", declared)?;
        let max = declared
            .children()
            .find(|member| member.attribute("name") == Some("numInGroup"))
            .and_then(|member| member.attribute("maxValue")?.parse::<i128>().ok());
        if max.unwrap_or(count.primitive.range().1) > Primitive::Int32.range().1 {
            return Err(declared.fault(SchemaFault::GroupCount(dimensions.to_owned())));
        }
        Ok(GroupLayout {
            name: check_name(element)?.to_owned().into(),
            id: element.number("id")?.unwrap_or(0),
            since: element.since(self.version)?,
            description: element.text_of("description"),
            dimensions: dimensions.to_owned().into(),
            dimensions_length: composite.length,
            block_length: slot(&composite.members, "blockLength", declared)?,
            count,
            block: self.block(element, depth + 1)?,
        })
    }

    fn data(&self, element: Element<'a>) -> Result<Data, SchemaError> {
        let (composite, declared) = self.types.composite(element.required("type")?, element)?;
        let bytes = declared
            .children()
            .find(|member| member.attribute("name") == Some("varData"))
            .ok_or_else(|| declared.missing("varData"))?;
        let offset = composite.members.iter().find(|member| member.name == "varData");
        Ok(Data {
            name: check_name(element)?.to_owned().into(),
            id: element.number("id")?.unwrap_or(0),
            since: element.since(self.version)?,
            description: element.text_of("description"),
            length: slot(&composite.members, "length", declared)?,
            offset: offset.map_or(composite.length, |member| member.offset),
            is_text: bytes.attribute("characterEncoding").is_some_and(|encoding| !encoding.is_empty())
                || bytes.attribute("primitiveType") == Some("char"),
        })
    }
}
