//! Bytes for any message, made from its layout.

use stele_wire::layout::{BlockLayout, Field, GroupLayout, Kind, MessageLayout, Primitive};

/// Returns a body of `message` in which every field differs from null and from its neighbours, every group
/// has two entries and every data some bytes. It must never change, because the golden bytes are made from
/// it.
pub(crate) fn body(message: &MessageLayout) -> Vec<u8> {
    let mut filler = Filler { next: u64::from(message.id), out: Vec::new() };
    filler.block(&message.block);
    filler.out
}

struct Filler {
    next: u64,
    out: Vec<u8>,
}

impl Filler {
    fn number(&mut self) -> u64 {
        self.next += 1;
        // Weyl sequence through the finalizer of SplitMix64.
        let mut word = self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn block(&mut self, block: &BlockLayout) {
        let start = self.out.len();
        self.out.resize(start + usize::from(block.length), 0);
        for field in block.fields.iter() {
            let bytes = self.field(field);
            let at = start + usize::from(field.offset);
            self.out[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        block.groups.iter().for_each(|group| self.group(group));
        for data in block.data.iter() {
            let bytes = self.text(data.name.len());
            self.out.extend_from_slice(&(bytes.len() as u64).to_le_bytes()[..data.offset.into()]);
            self.out.extend_from_slice(&bytes);
        }
    }

    fn group(&mut self, group: &GroupLayout) {
        let start = self.out.len();
        self.out.resize(start + usize::from(group.dimensions_length), 0);
        for (slot, number) in [(group.block_length, group.block.length), (group.count, 2)] {
            let (at, size) = (start + usize::from(slot.offset), usize::from(slot.primitive.size()));
            self.out[at..at + size].copy_from_slice(&u64::from(number).to_le_bytes()[..size]);
        }
        (0..2).for_each(|_| self.block(&group.block));
    }

    fn field(&mut self, field: &Field) -> Vec<u8> {
        let number = self.number();
        let size = usize::from(field.kind.size());
        match &field.kind {
            _ if field.is_reserved() => vec![0; size],
            Kind::Array { primitive: Primitive::Char, .. } => self.text(size),
            Kind::Array { .. } => (0..size).map(|_| self.number() as u8).collect(),
            Kind::Enum(layout) => {
                let valid = &layout.values[number as usize % layout.values.len()];
                (valid.value as u64).to_le_bytes()[..size].to_vec()
            }
            Kind::Set(layout) => {
                let all = layout.choices.iter().fold(0, |bits, choice| bits | 1u64 << choice.bit);
                (number & all).to_le_bytes()[..size].to_vec()
            }
            _ if &*field.semantic == "Time" => {
                (1_800_000_000_000_000_000 + number % 1_000_000_000_000).to_le_bytes().to_vec()
            }
            _ if &*field.semantic == "Price" => (number % 1_000_000_000_000).to_le_bytes().to_vec(),
            _ => number.to_le_bytes()[..size].to_vec(),
        }
    }

    fn text(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| b'A' + (self.number() % 26) as u8).collect()
    }
}
