//! The types of a schema: numbers, text, enumerations, sets and composites, by name.

use crate::error::{SchemaError, SchemaFault};
use roxmltree::Node;
use std::borrow::Cow;
use std::collections::BTreeMap;
use stele_layout::{
    Choice, Composite, Constant, Enum, Field, Kind, Presence, Primitive, Set, Text, ValidValue,
};

/// The largest depth of nested composites.
const DEPTH_MAX: usize = 8;

/// An element of a schema text and the file that has it.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) node: Node<'a, 'a>,
    pub(crate) file: Option<&'a str>,
}

impl<'a> Element<'a> {
    pub(crate) fn tag(self) -> &'a str {
        self.node.tag_name().name()
    }

    pub(crate) fn line(self) -> u32 {
        self.node.document().text_pos_at(self.node.range().start).row
    }

    pub(crate) fn attribute(self, name: &str) -> Option<&'a str> {
        self.node.attribute(name)
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Element<'a>> {
        self.node
            .children()
            .filter(|node| node.is_element() && node.tag_name().name() != "include")
            .map(move |node| Element { node, ..self })
    }

    pub(crate) fn all(self, tag: &'static str) -> impl Iterator<Item = Element<'a>> {
        self.children().filter(move |child| child.tag() == tag)
    }

    pub(crate) fn required(self, name: &'static str) -> Result<&'a str, SchemaError> {
        self.attribute(name).ok_or_else(|| self.missing(name))
    }

    pub(crate) fn text_of(self, name: &str) -> Text {
        let words = self.attribute(name).unwrap_or_default().split_whitespace();
        Cow::Owned(words.collect::<Vec<_>>().join(" "))
    }

    pub(crate) fn number(self, name: &'static str) -> Result<Option<u16>, SchemaError> {
        let Some(found) = self.attribute(name) else { return Ok(None) };
        found.trim().parse().map(Some).map_err(|_| self.impossible(name, found, "a whole number up to 65535"))
    }

    pub(crate) fn since(self, version: u16) -> Result<u16, SchemaError> {
        let since = self.number("sinceVersion")?.unwrap_or(0);
        if since > version {
            let name = self.attribute("name").unwrap_or_default().to_owned();
            return Err(self.fault(SchemaFault::Since { name, since, version }));
        }
        Ok(since)
    }

    fn presence(self) -> Result<Option<Presence>, SchemaError> {
        match self.attribute("presence") {
            None => Ok(None),
            Some("required") => Ok(Some(Presence::Required)),
            Some("optional") => Ok(Some(Presence::Optional)),
            Some("constant") => Ok(Some(Presence::Constant)),
            Some(found) => Err(self.impossible("presence", found, "required, optional or constant")),
        }
    }

    pub(crate) fn fault(self, fault: SchemaFault) -> SchemaError {
        SchemaError { file: self.file.map(str::to_owned), line: self.line(), fault }
    }

    pub(crate) fn missing(self, attribute: &'static str) -> SchemaError {
        self.fault(SchemaFault::Missing { element: self.tag().to_owned(), attribute })
    }

    pub(crate) fn duplicate(self, what: &'static str, name: &str) -> SchemaError {
        self.fault(SchemaFault::Duplicate { what, name: name.to_owned() })
    }

    pub(crate) fn impossible(self, attribute: &str, found: &str, expected: &str) -> SchemaError {
        self.fault(SchemaFault::Attribute {
            attribute: attribute.to_owned(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        })
    }
}

/// The name of the element, checked.
pub(crate) fn check_name(element: Element<'_>) -> Result<&str, SchemaError> {
    let name = element.required("name")?;
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    if name.is_empty() || name.starts_with(|char: char| char.is_ascii_digit()) || !name.chars().all(is_word) {
        return Err(element.fault(SchemaFault::Name(name.to_owned())));
    }
    Ok(name)
}

/// The offset of the first byte after `field`.
pub(crate) fn end_of(field: &Field, element: Element<'_>) -> Result<u16, SchemaError> {
    let end = u32::from(field.offset) + u32::from(field.kind.size());
    u16::try_from(end).map_err(|_| element.fault(SchemaFault::TooLong(field.name.to_string())))
}

/// Every type that a schema declares.
pub(crate) struct Types<'a> {
    declared: BTreeMap<&'a str, Element<'a>>,
    in_order: Vec<Element<'a>>,
    version: u16,
}

/// Every enumeration, set and composite.
pub(crate) type All = (Vec<Enum>, Vec<Set>, Vec<Composite>);

/// A type: its kind, whether its values may be null, what it means.
struct Resolved {
    kind: Kind,
    presence: Presence,
    semantic: Text,
    description: Text,
}

impl<'a> Types<'a> {
    pub(crate) fn collect(roots: &[Element<'a>], version: u16) -> Result<Self, SchemaError> {
        let (mut declared, mut in_order) = (BTreeMap::new(), Vec::new());
        let groups = roots.iter().flat_map(|root| {
            let is_types = root.tag() == "types";
            is_types.then_some(*root).into_iter().chain(root.all("types"))
        });
        for element in groups.flat_map(Element::children) {
            let name = check_name(element)?;
            if declared.insert(name, element).is_some() {
                return Err(element.duplicate("types", name));
            }
            in_order.push(element);
        }
        let types = Self { declared, in_order, version };
        for element in &types.in_order {
            types.resolve(*element, &mut Vec::new())?;
        }
        Ok(types)
    }

    /// Every enumeration, set and composite; inline ones follow the type that declares them.
    pub(crate) fn all(&self) -> Result<All, SchemaError> {
        let (mut enums, mut sets, mut composites) = (Vec::new(), Vec::new(), Vec::new());
        let descendants = self
            .in_order
            .iter()
            .flat_map(|element| element.node.descendants().map(|node| Element { node, file: element.file }));
        for element in descendants.filter(|element| element.node.is_element()) {
            match element.tag() {
                "enum" => enums.push(self.enumeration(element)?),
                "set" => sets.push(self.set(element)?),
                "composite" => composites.push(self.members(element, &mut Vec::new())?),
                _ => {}
            }
        }
        Ok((enums, sets, composites))
    }

    /// The composite called `name`, and the element that declares it.
    pub(crate) fn composite(
        &self,
        name: &str,
        at: Element<'a>,
    ) -> Result<(Composite, Element<'a>), SchemaError> {
        let element =
            *self.declared.get(name).ok_or_else(|| at.fault(SchemaFault::UnknownType(name.to_owned())))?;
        if element.tag() != "composite" {
            let (name, needed) = (name.to_owned(), "a composite");
            return Err(at.fault(SchemaFault::WrongType { name, found: "another type", needed }));
        }
        Ok((self.members(element, &mut Vec::new())?, element))
    }

    /// A message's or group's field, which begins at `end` unless it has an offset.
    pub(crate) fn field(&self, element: Element<'a>, end: u16) -> Result<Field, SchemaError> {
        let resolved = self.named(element.required("type")?, element, &mut Vec::new())?;
        let mut field = self.place(element, end, resolved)?;
        if element.presence()? == Some(Presence::Constant) && !matches!(field.kind, Kind::Constant(_)) {
            field.kind = Kind::Constant(self.value_ref(element)?);
        }
        if matches!(field.kind, Kind::Constant(_)) {
            (field.presence, field.offset) = (Presence::Constant, end);
        }
        Ok(field)
    }

    fn place(&self, element: Element<'a>, end: u16, resolved: Resolved) -> Result<Field, SchemaError> {
        let name = check_name(element)?;
        let offset = element.number("offset")?.unwrap_or(end);
        if offset < end && resolved.kind.size() > 0 {
            return Err(element.fault(SchemaFault::Overlap { name: name.to_owned(), offset, end }));
        }
        let semantic = match element.attribute("semanticType") {
            Some(_) => element.text_of("semanticType"),
            None => resolved.semantic,
        };
        Ok(Field {
            name: name.to_owned().into(),
            id: element.number("id")?.unwrap_or(0),
            offset,
            since: element.since(self.version)?,
            deprecated: element.number("deprecated")?.unwrap_or(0),
            presence: match (element.presence()?, resolved.presence) {
                (None | Some(Presence::Required), inner) => inner,
                (Some(outer), _) => outer,
            },
            semantic,
            description: match element.attribute("description") {
                Some(_) => element.text_of("description"),
                None => resolved.description,
            },
            kind: resolved.kind,
        })
    }

    fn named(&self, name: &str, at: Element<'a>, above: &mut Vec<&'a str>) -> Result<Resolved, SchemaError> {
        if let Some(element) = self.declared.get(name) {
            return self.resolve(*element, above);
        }
        let primitive =
            Primitive::from_name(name).ok_or_else(|| at.fault(SchemaFault::UnknownType(name.to_owned())))?;
        let kind = Kind::number(primitive);
        let (semantic, description) = Default::default();
        Ok(Resolved { kind, presence: Presence::Required, semantic, description })
    }

    fn resolve(&self, element: Element<'a>, above: &mut Vec<&'a str>) -> Result<Resolved, SchemaError> {
        let (kind, presence) = match element.tag() {
            "type" => self.simple(element)?,
            "enum" => (Kind::Enum(Cow::Owned(self.enumeration(element)?)), Presence::Required),
            "set" => (Kind::Set(Cow::Owned(self.set(element)?)), Presence::Required),
            "composite" => (Kind::Composite(Cow::Owned(self.members(element, above)?)), Presence::Required),
            "ref" => return self.named(element.required("type")?, element, above),
            other => {
                return Err(element.impossible("element", other, "type, enum, set, composite or ref"));
            }
        };
        let (semantic, description) = (element.text_of("semanticType"), element.text_of("description"));
        Ok(Resolved { kind, presence, semantic, description })
    }

    fn members(&self, element: Element<'a>, above: &mut Vec<&'a str>) -> Result<Composite, SchemaError> {
        let name = check_name(element)?;
        if above.contains(&name) {
            return Err(element.fault(SchemaFault::TypeCircle(name.to_owned())));
        }
        if above.len() == DEPTH_MAX {
            return Err(element.fault(SchemaFault::TooDeep(DEPTH_MAX)));
        }
        above.push(name);
        let (mut members, mut end) = (Vec::<Field>::new(), 0);
        for child in element.children() {
            let resolved = self.resolve(child, above)?;
            let mut member = self.place(child, end, resolved)?;
            if members.iter().any(|other| other.name == member.name) {
                return Err(child.duplicate("members", &member.name));
            }
            if matches!(member.kind, Kind::Constant(_)) {
                (member.presence, member.offset) = (Presence::Constant, end);
            }
            end = end_of(&member, child)?;
            members.push(member);
        }
        above.pop();
        Ok(Composite {
            name: name.to_owned().into(),
            length: end,
            members: members.into(),
            description: element.text_of("description"),
        })
    }

    fn simple(&self, element: Element<'a>) -> Result<(Kind, Presence), SchemaError> {
        let name = check_name(element)?;
        let found = element.required("primitiveType")?;
        let primitive = Primitive::from_name(found)
            .ok_or_else(|| element.impossible("primitiveType", found, "one of SBE's primitive types"))?;
        let presence = element.presence()?.unwrap_or(Presence::Required);
        if presence == Presence::Constant {
            return Ok((Kind::Constant(constant(element, name, primitive)?), presence));
        }
        let length = element.number("length")?.unwrap_or(1);
        if length == 0 && name != "varData" {
            return Err(element.impossible("length", "0", "1 or more"));
        }
        if length != 1 {
            if u32::from(primitive.size()) * u32::from(length) > u32::from(u16::MAX) {
                return Err(element.fault(SchemaFault::TooLong(name.to_owned())));
            }
            return Ok((Kind::Array { primitive, length }, presence));
        }
        let null = null_value(element, primitive)?;
        let presence = if null.is_some() { Presence::Optional } else { presence };
        Ok((Kind::Number { primitive, null: null.unwrap_or(primitive.null()) }, presence))
    }

    fn enumeration(&self, element: Element<'a>) -> Result<Enum, SchemaError> {
        let name = check_name(element)?;
        let (primitive, type_null) = self.encoding(element)?;
        if primitive.is_float() {
            return Err(element.impossible("encodingType", primitive.name(), "char or a whole number"));
        }
        let explicit_null = null_value(element, primitive)?;
        let mut values = Vec::<ValidValue>::new();
        for child in element.all("validValue") {
            let valid = ValidValue {
                name: check_name(child)?.to_owned().into(),
                value: number(child, name, child.node.text().unwrap_or_default(), primitive)?,
                since: child.since(self.version)?,
                description: child.text_of("description"),
            };
            if values.iter().any(|other| other.name == valid.name || other.value == valid.value) {
                return Err(child.duplicate("values", &valid.name));
            }
            if explicit_null == Some(valid.value) {
                let (name, value) = (name.to_owned(), valid.name.to_string());
                return Err(child.fault(SchemaFault::NullIsAValue { name, value }));
            }
            values.push(valid);
        }
        Ok(Enum {
            name: name.to_owned().into(),
            primitive,
            null: explicit_null.or(type_null).unwrap_or(primitive.null()),
            values: values.into(),
            description: element.text_of("description"),
        })
    }

    fn set(&self, element: Element<'a>) -> Result<Set, SchemaError> {
        let name = check_name(element)?;
        let (primitive, _) = self.encoding(element)?;
        if primitive.is_float() || primitive.is_signed() || primitive == Primitive::Char {
            return Err(element.impossible("encodingType", primitive.name(), "an unsigned number"));
        }
        let mut choices = Vec::<Choice>::new();
        for child in element.all("choice") {
            let text = child.node.text().unwrap_or_default().trim();
            let bit =
                text.parse().ok().filter(|bit| u16::from(*bit) < primitive.size() * 8).ok_or_else(|| {
                    let (name, value) = (name.to_owned(), text.to_owned());
                    child.fault(SchemaFault::DoesNotFit { name, value, primitive: primitive.name() })
                })?;
            let choice = Choice {
                name: check_name(child)?.to_owned().into(),
                bit,
                since: child.since(self.version)?,
                description: child.text_of("description"),
            };
            if choices.iter().any(|other| other.name == choice.name || other.bit == choice.bit) {
                return Err(child.duplicate("choices", &choice.name));
            }
            choices.push(choice);
        }
        Ok(Set {
            name: name.to_owned().into(),
            primitive,
            choices: choices.into(),
            description: element.text_of("description"),
        })
    }

    /// The primitive type of an enumeration's or set's `encodingType`, and the null value that the type has.
    fn encoding(&self, element: Element<'a>) -> Result<(Primitive, Option<i128>), SchemaError> {
        let name = element.required("encodingType")?;
        if !self.declared.contains_key(name)
            && let Some(primitive) = Primitive::from_name(name)
        {
            return Ok((primitive, None));
        }
        let declared = *self
            .declared
            .get(name)
            .ok_or_else(|| element.fault(SchemaFault::UnknownType(name.to_owned())))?;
        if declared.tag() != "type" {
            let (name, needed) = (name.to_owned(), "a number");
            return Err(element.fault(SchemaFault::WrongType { name, found: "another type", needed }));
        }
        match self.simple(declared)?.0 {
            Kind::Number { primitive, .. } => Ok((primitive, null_value(declared, primitive)?)),
            _ => {
                let (name, needed) = (name.to_owned(), "a number");
                Err(element.fault(SchemaFault::WrongType { name, found: "an array or constant", needed }))
            }
        }
    }

    fn value_ref(&self, element: Element<'a>) -> Result<Constant, SchemaError> {
        let name = element.attribute("name").unwrap_or_default();
        let Some(reference) = element.attribute("valueRef") else {
            return Err(element.fault(SchemaFault::NoConstant(name.to_owned())));
        };
        let fail = || element.fault(SchemaFault::ValueRef(reference.to_owned()));
        let (type_name, value_name) = reference.split_once('.').ok_or_else(fail)?;
        let declared = *self.declared.get(type_name).ok_or_else(fail)?;
        if declared.tag() != "enum" {
            return Err(fail());
        }
        let layout = self.enumeration(declared)?;
        let valid = layout.values.iter().find(|valid| valid.name == value_name).ok_or_else(fail)?;
        Ok(Constant {
            primitive: layout.primitive,
            text: valid.name.clone(),
            value: valid.value,
            enumeration: layout.name.clone(),
        })
    }
}

fn constant(element: Element<'_>, name: &str, primitive: Primitive) -> Result<Constant, SchemaError> {
    let text = element.node.text().unwrap_or_default().trim();
    if text.is_empty() {
        return Err(element.fault(SchemaFault::NoConstant(name.to_owned())));
    }
    let is_number = primitive != Primitive::Char && !primitive.is_float();
    Ok(Constant {
        primitive,
        text: text.to_owned().into(),
        value: if is_number { number(element, name, text, primitive)? } else { 0 },
        enumeration: Text::default(),
    })
}

fn null_value(element: Element<'_>, primitive: Primitive) -> Result<Option<i128>, SchemaError> {
    match element.attribute("nullValue") {
        Some(text) if !primitive.is_float() => {
            number(element, element.attribute("name").unwrap_or_default(), text, primitive).map(Some)
        }
        _ => Ok(None),
    }
}

/// Parses `text` as a value of `primitive`: digits, or for characters also the character itself.
fn number(element: Element<'_>, name: &str, text: &str, primitive: Primitive) -> Result<i128, SchemaError> {
    let trimmed = text.trim();
    let parsed = match (primitive, trimmed.as_bytes()) {
        (Primitive::Char, &[byte]) => Some(i128::from(byte)),
        _ => trimmed.parse().ok(),
    };
    let (min, max) = primitive.range();
    parsed.filter(|value| (min..=max).contains(value)).ok_or_else(|| {
        element.fault(SchemaFault::DoesNotFit {
            name: name.to_owned(),
            value: trimmed.to_owned(),
            primitive: primitive.name(),
        })
    })
}
