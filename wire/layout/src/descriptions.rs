//! Removes the descriptions of a schema; compiled tables do not have them.

use crate::schema::{BlockLayout, Composite, Enum, Field, Kind, Schema, Set, Text};

impl Schema {
    /// Returns the schema without its descriptions, as compiled tables have it.
    #[must_use]
    pub fn without_descriptions(mut self) -> Self {
        self.description = Text::default();
        for layout in self.enums.to_mut() {
            layout.strip();
        }
        for layout in self.sets.to_mut() {
            layout.strip();
        }
        for layout in self.composites.to_mut() {
            layout.strip();
        }
        for message in self.messages.to_mut() {
            message.description = Text::default();
            message.block.strip();
        }
        self
    }
}

impl Enum {
    fn strip(&mut self) {
        self.description = Text::default();
        self.values.to_mut().iter_mut().for_each(|valid| valid.description = Text::default());
    }
}

impl Set {
    fn strip(&mut self) {
        self.description = Text::default();
        self.choices.to_mut().iter_mut().for_each(|choice| choice.description = Text::default());
    }
}

impl Composite {
    fn strip(&mut self) {
        self.description = Text::default();
        self.members.to_mut().iter_mut().for_each(Field::strip);
    }
}

impl Field {
    fn strip(&mut self) {
        self.description = Text::default();
        match &mut self.kind {
            Kind::Enum(layout) => layout.to_mut().strip(),
            Kind::Set(layout) => layout.to_mut().strip(),
            Kind::Composite(layout) => layout.to_mut().strip(),
            Kind::Number { .. } | Kind::Array { .. } | Kind::Constant(_) => {}
        }
    }
}

impl BlockLayout {
    fn strip(&mut self) {
        self.fields.to_mut().iter_mut().for_each(Field::strip);
        for group in self.groups.to_mut() {
            group.description = Text::default();
            group.block.strip();
        }
        self.data.to_mut().iter_mut().for_each(|data| data.description = Text::default());
    }
}
