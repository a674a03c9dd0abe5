//! Compares a recorded message with the one that a strategy sends, field by field.

use crate::submission::StrategySubmission;
use std::fmt;
use stele_wire::Frame;
use stele_wire::layout::{Data, Field, GroupLayout, MessageReader, Value, Visitor};
use stele_wire::messages::{
    CancelOrder, MassCancel, NewOrder, ReplaceOrder, SCHEMA, SCHEMA_VERSION, TimerSet, block_length,
    message_name,
};

/// The first difference between a trail and what its strategies send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The sequence of the recorded event; when nothing is recorded, that of the trail's last event.
    pub sequence: u64,
    /// The strategy's number.
    pub strategy: u16,
    /// The strategy's kind.
    pub name: String,
    /// The difference itself.
    pub kind: DifferenceKind,
}

/// How a trail and a strategy differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DifferenceKind {
    /// The same message with other field values.
    Fields {
        /// The template id.
        template_id: u16,
        /// Every field that differs.
        fields: Vec<FieldDifference>,
    },
    /// Another message than the strategy sends.
    OtherMessage {
        /// The template id that the strategy sends.
        expected: u16,
        /// The template id on the trail.
        found: u16,
    },
    /// The trail has a message where the strategy sends nothing.
    NotSent {
        /// The template id of the recorded message.
        template_id: u16,
    },
    /// The strategy sends a message that the trail does not have.
    NotRecorded {
        /// The template id of the missing message.
        template_id: u16,
        /// The sequence of the event that the strategy was handling.
        cause: u64,
    },
    /// The trail has a refusal of another order than the strategy sends.
    OtherRefused {
        /// The client order id of the refused order.
        refused: u64,
        /// The client order id that the strategy sends; none when it sends no order.
        sent: Option<u64>,
    },
}

/// A field and its two values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldDifference {
    /// The field's name in the schema, after the name of its group and the number of its entry if it is in
    /// one.
    pub name: String,
    /// The value that the strategy sends.
    pub expected: String,
    /// The value on the trail.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, strategy, name, kind } = self;
        let message = |id: u16| message_name(id).unwrap_or("a message of an unknown template");
        let who = format_args!("strategy {strategy} ({name})");
        match kind {
            DifferenceKind::Fields { template_id, fields } => {
                write!(f, "event {sequence}, {} of {who}:", message(*template_id))?;
                fields.iter().enumerate().try_for_each(|(index, field)| {
                    let FieldDifference { name, expected, found } = field;
                    let separator = if index == 0 { "" } else { ";" };
                    write!(f, "{separator} {name} is {found}, the strategy sends {expected}")
                })
            }
            DifferenceKind::OtherMessage { expected, found } => {
                let (expected, found) = (message(*expected), message(*found));
                write!(f, "event {sequence} of {who} is {found}, the strategy sends {expected}")
            }
            DifferenceKind::NotSent { template_id } => {
                let message = message(*template_id);
                write!(f, "event {sequence}, {message} of {who}: the strategy sends nothing there")
            }
            DifferenceKind::NotRecorded { template_id, cause } => {
                let message = message(*template_id);
                write!(f, "{who} sends {message} because of event {cause}, and the trail does not have it")
            }
            DifferenceKind::OtherRefused { refused, sent: Some(sent) } => {
                write!(f, "event {sequence} refuses order {refused} of {who}, which sends order {sent}")
            }
            DifferenceKind::OtherRefused { refused, sent: None } => {
                write!(f, "event {sequence} refuses order {refused} of {who}, which sends none there")
            }
        }
    }
}

/// A submission on the trail: an event, or a message within one.
#[derive(Clone, Copy)]
pub(crate) struct Recorded<'a> {
    pub(crate) template_id: u16,
    pub(crate) block_length: u16,
    pub(crate) schema_version: u16,
    pub(crate) body: &'a [u8],
}

impl<'a> Recorded<'a> {
    pub(crate) fn of(event: &Frame<'a>) -> Self {
        let header = event.header();
        Self {
            template_id: header.template_id.get(),
            block_length: header.block_length.get(),
            schema_version: header.schema_version.get(),
            body: event.body(),
        }
    }
}

/// Compares the recorded `event` with `sent`; none when they are equal. `is_numbered`: the publisher
/// sequence counts too.
pub(crate) fn compare(
    event: &Recorded<'_>,
    sent: &StrategySubmission,
    is_numbered: bool,
) -> Option<DifferenceKind> {
    let (found, expected) = (event.template_id, sent.template_id);
    if found != expected {
        return Some(DifferenceKind::OtherMessage { expected, found });
    }
    if is_same(event.body, &sent.body, found, is_numbered) {
        return None;
    }
    let recorded = values(SCHEMA.read(found, event.block_length, event.schema_version, event.body));
    let length = block_length(expected).unwrap_or_default();
    let again = values(SCHEMA.read(expected, length, SCHEMA_VERSION, &sent.body));
    let mut fields: Vec<FieldDifference> = again
        .iter()
        .filter_map(|(name, expected)| {
            let found = recorded.iter().find(|(other, _)| other == name).map_or("absent", |(_, value)| value);
            let counts = is_numbered || name != "publisherSequence";
            (counts && found != expected).then(|| FieldDifference {
                name: name.clone(),
                expected: expected.clone(),
                found: found.to_owned(),
            })
        })
        .collect();
    for (name, found) in recorded.iter().filter(|(name, _)| again.iter().all(|(other, _)| other != name)) {
        fields.push(FieldDifference {
            name: name.clone(),
            expected: "absent".to_owned(),
            found: found.clone(),
        });
    }
    if fields.is_empty() {
        if event.block_length != length {
            // The event has another version of the schema, and all fields of both versions are equal.
            return None;
        }
        let (expected, found) = (hexadecimal(&sent.body), hexadecimal(event.body));
        fields.push(FieldDifference { name: "body".to_owned(), expected, found });
    }
    Some(DifferenceKind::Fields { template_id: found, fields })
}

/// Whether both bodies have the same bytes. The zeros at the end of a frame do not count.
fn is_same(recorded: &[u8], sent: &[u8], template_id: u16, is_numbered: bool) -> bool {
    let Some((body, zeros)) = recorded.split_at_checked(sent.len()) else { return false };
    if zeros.iter().any(|byte| *byte != 0) {
        return false;
    }
    let number = match template_id {
        _ if is_numbered => return body == sent,
        NewOrder::TEMPLATE_ID => std::mem::offset_of!(NewOrder, publisher_sequence),
        ReplaceOrder::TEMPLATE_ID => std::mem::offset_of!(ReplaceOrder, publisher_sequence),
        CancelOrder::TEMPLATE_ID => std::mem::offset_of!(CancelOrder, publisher_sequence),
        MassCancel::TEMPLATE_ID => std::mem::offset_of!(MassCancel, publisher_sequence),
        TimerSet::TEMPLATE_ID => std::mem::offset_of!(TimerSet, publisher_sequence),
        _ => return body == sent,
    };
    body[..number] == sent[..number] && body[number + 8..] == sent[number + 8..]
}

type Values = Vec<(String, String)>;

fn values<E>(reading: Result<MessageReader<'_>, E>) -> Values {
    let mut collected = Collected::default();
    if let Ok(reading) = reading {
        // Fields before damage are compared; fields after it count as absent.
        let _ = reading.walk(&mut collected);
    }
    collected.values
}

/// Collects every field with its value as text.
#[derive(Default)]
struct Collected {
    values: Values,
    prefix: String,
    entry: u32,
}

impl Visitor for Collected {
    fn field(&mut self, field: &Field, value: Value<'_>) -> fmt::Result {
        self.values.push((format!("{}{}", self.prefix, field.name), shown(value)));
        Ok(())
    }

    fn begin_group(&mut self, group: &GroupLayout, count: u32) -> fmt::Result {
        self.values.push((format!("{} count", group.name), count.to_string()));
        (self.prefix, self.entry) = (format!("{} ", group.name), 0);
        Ok(())
    }

    fn begin_entry(&mut self) -> fmt::Result {
        let group = self.prefix.split(' ').next().unwrap_or_default().to_owned();
        self.prefix = format!("{group} {} ", self.entry);
        self.entry += 1;
        Ok(())
    }

    fn end_group(&mut self) -> fmt::Result {
        self.prefix.clear();
        Ok(())
    }

    fn data(&mut self, data: &Data, bytes: &[u8]) -> fmt::Result {
        self.values.push((data.name.to_string(), format!("{:?}", String::from_utf8_lossy(bytes))));
        Ok(())
    }
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Decimal(decimal) => decimal.to_string(),
        Value::Time(time) => time.to_string(),
        Value::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Value::Bytes(bytes) => hexadecimal(bytes),
        Value::Array(array) => array.values().map(shown).collect::<Vec<_>>().join(" "),
        Value::Enum(layout, value) => layout.name_of(value).map_or_else(|| value.to_string(), str::to_owned),
        Value::Set(_, bits) => format!("{bits:#b}"),
        Value::Name(name) => name.to_owned(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
