//! The parts of generated Rust: the types of fields, their null values, constants, doc comments.

use crate::names::{pascal, upper};
use stele_layout::{Constant, Field, Kind, Primitive};

/// The longest line of generated code, as in `rustfmt.toml`.
pub(crate) const WIDTH: usize = 110;

/// The type of a number of `primitive` in a `repr(C)` struct.
pub(crate) fn storage(primitive: Primitive) -> &'static str {
    match primitive {
        Primitive::Char | Primitive::Uint8 => "u8",
        Primitive::Int8 => "i8",
        Primitive::Int16 => "I16",
        Primitive::Int32 => "I32",
        Primitive::Int64 => "I64",
        Primitive::Uint16 => "U16",
        Primitive::Uint32 => "U32",
        Primitive::Uint64 => "U64",
        Primitive::Float => "F32",
        Primitive::Double => "F64",
    }
}

pub(crate) fn native(primitive: Primitive) -> &'static str {
    match primitive {
        Primitive::Char | Primitive::Uint8 => "u8",
        Primitive::Int8 => "i8",
        Primitive::Int16 => "i16",
        Primitive::Int32 => "i32",
        Primitive::Int64 => "i64",
        Primitive::Uint16 => "u16",
        Primitive::Uint32 => "u32",
        Primitive::Uint64 => "u64",
        Primitive::Float => "f32",
        Primitive::Double => "f64",
    }
}

pub(crate) fn rust_type(kind: &Kind) -> String {
    match kind {
        Kind::Number { primitive, .. } => storage(*primitive).to_owned(),
        Kind::Array { primitive, length } => format!("[{}; {length}]", storage(*primitive)),
        Kind::Enum(layout) => pascal(&layout.name),
        Kind::Set(layout) => pascal(&layout.name),
        Kind::Composite(layout) => pascal(&layout.name),
        Kind::Constant(_) => "()".to_owned(),
    }
}

/// The null value of a field; bytes and text are zeros, sets are empty.
pub(crate) fn null(field: &Field) -> String {
    match &field.kind {
        Kind::Number { .. } if field.is_reserved() => "0".to_owned(),
        Kind::Number { primitive, null } => number(*primitive, *null),
        Kind::Array { primitive, length } if primitive.size() == 1 => format!("[0; {length}]"),
        Kind::Array { primitive, length } => format!("[{}; {length}]", number(*primitive, primitive.null())),
        Kind::Enum(_) | Kind::Composite(_) => format!("{}::NULL", rust_type(&field.kind)),
        Kind::Set(_) => format!("{}::EMPTY", rust_type(&field.kind)),
        Kind::Constant(_) => String::new(),
    }
}

fn number(primitive: Primitive, value: i128) -> String {
    let (storage, native) = (storage(primitive), native(primitive));
    let (min, max) = primitive.range();
    let value = match value {
        _ if primitive.is_float() => format!("{native}::NAN"),
        0 => "0".to_owned(),
        value if value == max => format!("{native}::MAX"),
        value if value == min => format!("{native}::MIN"),
        value => value.to_string(),
    };
    if storage == native { value } else { format!("{storage}::new({value})") }
}

/// Type and value of a constant: `u16 = 9000`.
pub(crate) fn constant_value(constant: &Constant) -> String {
    let (text, native) = (&constant.text, native(constant.primitive));
    if !constant.enumeration.is_empty() {
        let name = pascal(&constant.enumeration);
        return format!("{name} = {name}::{}", upper(text));
    }
    match constant.primitive {
        Primitive::Char if text.len() == 1 => format!("u8 = b{:?}", char::from(text.as_bytes()[0])),
        Primitive::Char => format!("&'static str = {:?}", &**text),
        primitive if primitive.is_float() => {
            format!("{native} = {:?}", text.parse::<f64>().unwrap_or(f64::NAN))
        }
        _ => format!("{native} = {}", constant.value),
    }
}

/// The description, or the schema's name where there is none.
pub(crate) fn described(description: &str, name: &str) -> String {
    if description.is_empty() { format!("`{name}`") } else { description.to_owned() }
}

/// Writes `text` as a doc comment of whole lines, with a capital at its beginning and a full stop at its end.
pub(crate) fn doc(out: &mut String, marker: &str, indent: &str, text: &str) {
    let text = text.trim_end_matches('.').replace('[', "\\[").replace(']', "\\]").replace('<', "\\<");
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let text = format!("{first}{}.", chars.as_str());
    let mut line = format!("{indent}{marker}");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = format!("{indent}{marker}");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}
