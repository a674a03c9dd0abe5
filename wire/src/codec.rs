//! Reads and writes messages in place. The generated code in [`crate::messages`] is built on this module.
//!
//! A message is a block of fixed length, then groups, then variable-length data:
//!
//! ```text
//! ┌───────────────────┬────────────────────────────────────────────┬──────────────────────┐
//! │ block             │ group: dimensions, entry, entry …          │ data: length, bytes  │ zeros to
//! │ acting length     │   entry: block of the dimensions' length,  │   …                  │ the end of
//! │ in the header     │          then its own groups and data      │                      │ the frame
//! └───────────────────┴────────────────────────────────────────────┴──────────────────────┘
//! ```
//!
//! The header and the dimensions give the length of a block, and a [`View`] compares it with the length that
//! this version knows. A longer block is from a later version, and its end is skipped. A shorter block is
//! from an earlier version, and the missing fields are read as null. Nothing here allocates, and no bytes
//! cause a panic: a count or length that exceeds the bytes is read as an empty group or empty data, and
//! [`View::is_whole`] returns false.

mod write;

pub use write::{WriteError, Writer};

use crate::frame::Frame;
use std::marker::PhantomData;
use std::ops::Deref;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, big_endian, little_endian};

/// The fixed part of a message or of a group's entry.
pub trait Block: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy + 'static {
    /// Every field null: numbers have the schema's null value, text and bytes are zeros, sets are empty.
    const NULL: Self;
    /// The schema version that added the newest field.
    const NEWEST: u16 = 0;
    /// The smallest length in bytes of the groups and data after the block, in any version.
    const TAIL_MIN: usize = 0;

    /// Sets the fields to null that schema version `version` does not have yet.
    fn forget_newer(&mut self, _version: u16) {}

    /// Skips the groups and data after the block.
    fn skip_tail(_tail: &mut Tail<'_>) {}
}

/// The fixed part of a message.
pub trait Message: Block {
    /// The template id of the message.
    const TEMPLATE_ID: u16;
    /// The length of the block in bytes, as this version writes it.
    const BLOCK_LENGTH: u16;
    /// The schema's name of the message.
    const NAME: &'static str;
    /// The id of the schema.
    const SCHEMA_ID: u16;
    /// The version of the schema that this code writes.
    const SCHEMA_VERSION: u16;
}

/// SBE's message header, which identifies a message's schema and template. In a frame it is the last 8 bytes
/// of the frame header.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct MessageHeader {
    /// The length of the root block in bytes.
    pub block_length: little_endian::U16,
    /// The template id of the message.
    pub template_id: little_endian::U16,
    /// The id of the schema.
    pub schema_id: little_endian::U16,
    /// The version of the schema.
    pub version: little_endian::U16,
}

impl MessageHeader {
    /// Returns the header of an `M` as this version writes it.
    pub const fn of<M: Message>() -> Self {
        Self {
            block_length: little_endian::U16::new(M::BLOCK_LENGTH),
            template_id: little_endian::U16::new(M::TEMPLATE_ID),
            schema_id: little_endian::U16::new(M::SCHEMA_ID),
            version: little_endian::U16::new(M::SCHEMA_VERSION),
        }
    }
}

/// The fixed part of a group's entry.
pub trait GroupEntry: Block {
    /// The dimensions of the group.
    type Dimensions: Dimensions;
}

/// The dimensions of a group, which precede its entries.
pub trait Dimensions: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy {
    /// Returns the dimensions of `count` entries with blocks of `block_length` bytes; `None` when a number
    /// does not fit.
    fn new(block_length: usize, count: usize) -> Option<Self>;
    /// Returns the length of each entry's block in bytes.
    fn block_length(&self) -> usize;
    /// Returns the number of entries.
    fn count(&self) -> usize;
}

/// The type of a length or count: before data, or in a group's dimensions.
pub trait Length: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy {
    /// Returns `number` in this type; `None` when it does not fit.
    fn of(number: usize) -> Option<Self>;
    /// Returns the number.
    fn length(self) -> usize;
}

macro_rules! length {
    ($($wide:ty),*) => {$(
        impl Length for $wide {
            fn of(number: usize) -> Option<Self> {
                number.try_into().ok().map(Self::new)
            }
            fn length(self) -> usize {
                self.get() as usize
            }
        }
    )*};
}
length!(little_endian::U16, little_endian::U32, big_endian::U16, big_endian::U32);

impl Length for u8 {
    fn of(number: usize) -> Option<Self> {
        number.try_into().ok()
    }
    fn length(self) -> usize {
        self.into()
    }
}

/// A message or a group's entry that was read: its block, in place or as a copy in which missing fields are
/// null, and the groups and data after it. It dereferences to the block.
///
/// # Examples
///
/// ```
/// use stele_wire::codec::View;
/// use stele_wire::messages::News;
///
/// let mut buffer = [0; 256];
/// let news = News { instrument: 7.into(), ..News::NULL };
/// let bytes = news.encode(&mut buffer, b"Dividend raised", b"X1")?;
///
/// let view = View::<News>::read(News::BLOCK_LENGTH, 1, bytes).expect("the block is complete");
/// assert_eq!(view.instrument.get(), 7);
/// assert_eq!(view.headline(), b"Dividend raised");
///
/// // A block that an earlier version wrote is shorter; what it lacks is null.
/// let early = View::<News>::read(8, 1, &bytes[..8]).expect("the block is complete");
/// assert_eq!(early.instrument, News::NULL.instrument);
/// # Ok::<(), stele_wire::codec::WriteError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    held: Held<'a, T>,
    tail: Tail<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Held<'a, T> {
    InPlace(&'a T),
    Completed(T),
}

impl<'a, T: Block> View<'a, T> {
    /// Reads the message at the start of `bytes`, which schema version `version` wrote with a block of
    /// `block_length` bytes; `None` when `bytes` is shorter than that. Bytes after the message are ignored.
    #[inline]
    pub fn read(block_length: u16, version: u16, bytes: &'a [u8]) -> Option<Self> {
        let mut tail = Tail { bytes, version, is_damaged: false };
        tail.view(block_length.into())
    }

    /// Returns the groups and data after the block.
    #[inline]
    pub fn tail(&self) -> Tail<'a> {
        self.tail
    }

    /// Whether all groups and data of the message are within its bytes.
    pub fn is_whole(&self) -> bool {
        let mut tail = self.tail;
        T::skip_tail(&mut tail);
        !tail.is_damaged
    }
}

impl<T> Deref for View<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.held {
            Held::InPlace(block) => block,
            Held::Completed(block) => block,
        }
    }
}

/// The groups and data after a block, which are read in the schema's order.
#[derive(Clone, Copy, Debug)]
pub struct Tail<'a> {
    bytes: &'a [u8],
    version: u16,
    is_damaged: bool,
}

impl<'a> Tail<'a> {
    /// Reads the next group, which schema version `since` added.
    pub fn group<E: GroupEntry>(&mut self, since: u16) -> Group<'a, E> {
        let group = self.open(since);
        self.pass(group);
        group
    }

    /// Skips the next group, which schema version `since` added.
    pub fn skip_group<E: GroupEntry>(&mut self, since: u16) {
        let group = self.open::<E>(since);
        self.pass(group);
    }

    /// Reads the next data, which schema version `since` added and whose length has type `L`.
    pub fn data<L: Length>(&mut self, since: u16) -> &'a [u8] {
        if since > self.version {
            return &[];
        }
        let Ok((length, rest)) = L::read_from_prefix(self.bytes) else { return self.damaged() };
        let Some((data, rest)) = rest.split_at_checked(length.length()) else { return self.damaged() };
        self.bytes = rest;
        data
    }

    /// Whether a count or length exceeded the bytes. Everything after it is empty.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    fn damaged(&mut self) -> &'a [u8] {
        self.is_damaged = true;
        self.bytes = &[];
        &[]
    }

    fn open<E: GroupEntry>(&mut self, since: u16) -> Group<'a, E> {
        let empty = |tail| Group { block_length: 0, left: 0, tail, entries: PhantomData };
        if since > self.version {
            return empty(*self);
        }
        let Ok((dimensions, rest)) = E::Dimensions::read_from_prefix(self.bytes) else {
            self.damaged();
            return empty(*self);
        };
        let (block_length, left) = (dimensions.block_length(), dimensions.count());
        let entry_min = block_length + E::TAIL_MIN;
        if left > 0 && entry_min == 0 || left.saturating_mul(entry_min) > rest.len() {
            self.damaged();
            return empty(*self);
        }
        self.bytes = rest;
        Group { block_length, left, tail: *self, entries: PhantomData }
    }

    fn pass<E: GroupEntry>(&mut self, mut group: Group<'a, E>) {
        if E::TAIL_MIN == 0 {
            // Entries have no tail, so the product that `open` checked is the length of the group.
            self.bytes = self.bytes.get(group.block_length * group.left..).unwrap_or_default();
            return;
        }
        group.by_ref().for_each(drop);
        *self = group.tail;
    }

    #[inline]
    fn view<T: Block>(&mut self, block_length: usize) -> Option<View<'a, T>> {
        let (block, tail) = self.bytes.split_at_checked(block_length)?;
        self.bytes = tail;
        let held = match T::ref_from_prefix(block) {
            Ok((whole, _)) if self.version >= T::NEWEST => Held::InPlace(whole),
            _ => Held::Completed(completed(block, self.version)),
        };
        Some(View { held, tail: *self })
    }
}

/// Returns a copy of `block` in which the fields that it lacks are null.
#[cold]
fn completed<T: Block>(block: &[u8], version: u16) -> T {
    let mut copy = T::NULL;
    let length = block.len().min(size_of::<T>());
    copy.as_mut_bytes()[..length].copy_from_slice(&block[..length]);
    copy.forget_newer(version);
    copy
}

/// The entries of a group, in order: an iterator of views.
#[derive(Debug)]
pub struct Group<'a, E> {
    block_length: usize,
    left: usize,
    tail: Tail<'a>,
    entries: PhantomData<E>,
}

impl<E> Clone for Group<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Group<'_, E> {}

impl<E> Group<'_, E> {
    /// Returns the number of entries that are left.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether no entry is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a, E: GroupEntry> Iterator for Group<'a, E> {
    type Item = View<'a, E>;

    #[inline]
    fn next(&mut self) -> Option<View<'a, E>> {
        if self.left == 0 {
            return None;
        }
        let Some(view) = self.tail.view(self.block_length) else {
            self.left = 0;
            self.tail.damaged();
            return None;
        };
        self.left -= 1;
        E::skip_tail(&mut self.tail);
        Some(view)
    }
}

/// Reads the message of `frame` as an `M`; `None` when the frame is padding, has another message or a message
/// of another schema, or is shorter than the message's block.
#[inline]
pub fn read<'a, M: Message>(frame: &Frame<'a>) -> Option<View<'a, M>> {
    let header = frame.header();
    if header.template_id.get() != M::TEMPLATE_ID || header.schema_id.get() != M::SCHEMA_ID {
        return None;
    }
    View::read(header.block_length.get(), header.schema_version.get(), frame.body())
}

impl<'a> Frame<'a> {
    /// Reads the message as an `M`, see [`read`].
    #[inline]
    pub fn message<M: Message>(&self) -> Option<View<'a, M>> {
        read(self)
    }
}

/// Returns the text of a field of fixed length, without the first zero and everything after it, and without
/// blanks at the end. The text is empty when it is not UTF-8.
pub fn text(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    str::from_utf8(&bytes[..end]).unwrap_or_default().trim_ascii_end()
}

/// Returns `text` as a field of `N` bytes, with zeros after it; `None` when it is longer.
pub fn text_field<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut field = [0; N];
    field.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(field)
}
