//! Reading and writing messages in place: what the generated code below [`crate::messages`] stands on.
//!
//! A message is a block of fixed length, then groups, then variable-length data:
//!
//! ```text
//! ┌───────────────────┬────────────────────────────────────────────┬──────────────────────┐
//! │ block             │ group: dimensions, entry, entry …          │ data: length, bytes  │ zeros that
//! │ acting length     │   entry: block of the dimensions' length,  │   …                  │ close the
//! │ in the header     │          then its own groups and data      │                      │ frame …
//! └───────────────────┴────────────────────────────────────────────┴──────────────────────┘
//! ```
//!
//! The header and the dimensions say how long a block is; a [`View`] reconciles that with what this version
//! knows. A longer block is from a later version: its end is passed over. A shorter one is from an earlier
//! version: what it lacks reads as null. Nothing here allocates, and no bytes make it panic: a count or length
//! that leads beyond the end reads as an empty group or data, and [`View::is_whole`] tells.

use crate::frame::Frame;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, big_endian, little_endian};

/// The fixed part of a message or of a group's entry.
pub trait Block: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy + 'static {
    /// Every field null: numbers by the schema's null value, text and bytes zero, sets empty.
    const NULL: Self;
    /// The schema version that brought the newest field.
    const NEWEST: u16 = 0;
    /// The fewest bytes that the groups and data behind it take, in any version.
    const TAIL_MIN: usize = 0;

    /// Makes fields null that schema version `version` did not have yet.
    fn forget_newer(&mut self, _version: u16) {}

    /// Passes over the groups and data behind the block.
    fn skip_tail(_tail: &mut Tail<'_>) {}
}

/// The fixed part of a message.
pub trait Message: Block {
    /// Which message of the schema it is.
    const TEMPLATE_ID: u16;
    /// Bytes of the block as this version writes it.
    const BLOCK_LENGTH: u16;
    /// The schema's name of it.
    const NAME: &'static str;
    /// Which schema it is of.
    const SCHEMA_ID: u16;
    /// The version of the schema that this code writes.
    const SCHEMA_VERSION: u16;
}

/// SBE's message header: what says of which schema and kind a message is. In a frame it is the header's last 8 bytes.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct MessageHeader {
    /// Bytes of the root block.
    pub block_length: little_endian::U16,
    /// Which message of the schema.
    pub template_id: little_endian::U16,
    /// Which schema.
    pub schema_id: little_endian::U16,
    /// The schema's version.
    pub version: little_endian::U16,
}

impl MessageHeader {
    /// Of an `M` as this version writes it.
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
pub trait Entry: Block {
    /// What stands in front of the group.
    type Dimensions: Dimensions;
}

/// What stands in front of a group's entries.
pub trait Dimensions: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy {
    /// Dimensions of `count` entries of `block_length` bytes; none when they do not fit.
    fn new(block_length: usize, count: usize) -> Option<Self>;
    /// Bytes of each entry's block.
    fn block_length(&self) -> usize;
    /// How many entries follow.
    fn count(&self) -> usize;
}

/// A number in front of data, or in a group's dimensions.
pub trait Length: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy {
    /// The number; none when it does not fit.
    fn of(number: usize) -> Option<Self>;
    /// The number.
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

/// A block in place, or a copy of one whose end is null, with what follows it.
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
    /// The block of acting length `block_length` at the start of `bytes`, written by schema version `version`;
    /// none when `bytes` are shorter. What follows the message in `bytes` does not matter.
    #[inline]
    pub fn read(block_length: u16, version: u16, bytes: &'a [u8]) -> Option<Self> {
        let mut tail = Tail { bytes, version, is_damaged: false };
        tail.view(block_length.into())
    }

    /// The groups and data behind the block.
    #[inline]
    pub fn tail(&self) -> Tail<'a> {
        self.tail
    }

    /// Whether every group and data of the message lies within its bytes.
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

/// The bytes behind a block, read front to back.
#[derive(Clone, Copy, Debug)]
pub struct Tail<'a> {
    bytes: &'a [u8],
    version: u16,
    is_damaged: bool,
}

impl<'a> Tail<'a> {
    /// The group that comes next, brought by schema version `since`.
    pub fn group<E: Entry>(&mut self, since: u16) -> Group<'a, E> {
        let group = self.open(since);
        self.pass(group);
        group
    }

    /// Passes over that group.
    pub fn skip_group<E: Entry>(&mut self, since: u16) {
        let group = self.open::<E>(since);
        self.pass(group);
    }

    /// The data that comes next, behind a length of type `L`, brought by schema version `since`.
    pub fn data<L: Length>(&mut self, since: u16) -> &'a [u8] {
        if since > self.version {
            return &[];
        }
        let Ok((length, rest)) = L::read_from_prefix(self.bytes) else { return self.damaged() };
        let Some((data, rest)) = rest.split_at_checked(length.length()) else { return self.damaged() };
        self.bytes = rest;
        data
    }

    /// Whether a count or length led beyond the end. All that follows it is empty.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    fn damaged(&mut self) -> &'a [u8] {
        self.is_damaged = true;
        self.bytes = &[];
        &[]
    }

    fn open<E: Entry>(&mut self, since: u16) -> Group<'a, E> {
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

    fn pass<E: Entry>(&mut self, mut group: Group<'a, E>) {
        if E::TAIL_MIN == 0 {
            // Entries have no tail, so that the multiplication that `open` checked gives the group's end.
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

/// The fields that `block` has, null for the others.
#[cold]
fn completed<T: Block>(block: &[u8], version: u16) -> T {
    let mut copy = T::NULL;
    let length = block.len().min(size_of::<T>());
    copy.as_mut_bytes()[..length].copy_from_slice(&block[..length]);
    copy.forget_newer(version);
    copy
}

/// The entries of a group, in order.
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
    /// Entries not yet taken.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether every entry has been taken.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a, E: Entry> Iterator for Group<'a, E> {
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

/// Reads the message of `frame` as an `M`; none when the frame holds padding, another message or another
/// schema's, or a body shorter than its block.
#[inline]
pub fn read<'a, M: Message>(frame: &Frame<'a>) -> Option<View<'a, M>> {
    let header = frame.header();
    if header.template_id.get() != M::TEMPLATE_ID || header.schema_id.get() != M::SCHEMA_ID {
        return None;
    }
    View::read(header.block_length.get(), header.schema_version.get(), frame.body())
}

impl<'a> Frame<'a> {
    /// The message, when it is an `M`; see [`read`].
    #[inline]
    pub fn message<M: Message>(&self) -> Option<View<'a, M>> {
        read(self)
    }
}

/// Why a message could not be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// The memory given ends before the message.
    BufferTooSmall {
        /// Bytes needed, as far as known.
        needed: usize,
        /// Bytes given.
        found: usize,
    },
    /// A group has more entries than its count can say.
    TooManyEntries,
    /// Data is longer than its length can say.
    DataTooLong {
        /// Bytes of the data.
        found: usize,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall { needed, found } => {
                write!(f, "the message needs {needed} bytes or more, the buffer has {found}")
            }
            Self::TooManyEntries => f.write_str("the group has more entries than its count can say"),
            Self::DataTooLong { found } => {
                write!(f, "{found} bytes of data are more than the length in front of them can say")
            }
        }
    }
}

impl std::error::Error for WriteError {}

/// Writes a block, then its groups and data in the schema's order, into memory of the caller's. The `encode`
/// functions of the messages keep that order; a caller of the writer itself keeps it.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
}

impl<'b> Writer<'b> {
    /// A writer at the start of `buffer`.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// Writes a block.
    ///
    /// # Errors
    /// [`WriteError::BufferTooSmall`].
    pub fn block<T: Block>(&mut self, block: &T) -> Result<(), WriteError> {
        self.bytes(block.as_bytes())
    }

    /// Writes a whole group whose entries have no groups and data of their own.
    ///
    /// # Errors
    /// [`WriteError::BufferTooSmall`], [`WriteError::TooManyEntries`].
    pub fn group<E: Entry>(&mut self, entries: impl IntoIterator<Item = E>) -> Result<(), WriteError> {
        let start = self.length;
        self.begin_group::<E>(0)?;
        let mut count = 0;
        for entry in entries {
            self.block(&entry)?;
            count += 1;
        }
        let dimensions = E::Dimensions::new(size_of::<E>(), count).ok_or(WriteError::TooManyEntries)?;
        self.buffer[start..start + size_of::<E::Dimensions>()].copy_from_slice(dimensions.as_bytes());
        Ok(())
    }

    /// Writes what stands in front of a group; `count` entries must follow, each a block and its own groups and
    /// data.
    ///
    /// # Errors
    /// [`WriteError::BufferTooSmall`], [`WriteError::TooManyEntries`].
    pub fn begin_group<E: Entry>(&mut self, count: usize) -> Result<(), WriteError> {
        let dimensions = E::Dimensions::new(size_of::<E>(), count).ok_or(WriteError::TooManyEntries)?;
        self.bytes(dimensions.as_bytes())
    }

    /// Writes data behind a length of type `L`.
    ///
    /// # Errors
    /// [`WriteError::BufferTooSmall`], [`WriteError::DataTooLong`].
    pub fn data<L: Length>(&mut self, data: &[u8]) -> Result<(), WriteError> {
        let length = L::of(data.len()).ok_or(WriteError::DataTooLong { found: data.len() })?;
        self.bytes(length.as_bytes())?;
        self.bytes(data)
    }

    /// What was written.
    pub fn finish(self) -> &'b [u8] {
        &self.buffer[..self.length]
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let (end, found) = (self.length + bytes.len(), self.buffer.len());
        let place =
            self.buffer.get_mut(self.length..end).ok_or(WriteError::BufferTooSmall { needed: end, found })?;
        place.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }
}

/// Text of a fixed length without what fills it up: everything from the first zero, and blanks at the end. Empty
/// when it is no UTF-8.
pub fn text(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    str::from_utf8(&bytes[..end]).unwrap_or_default().trim_ascii_end()
}

/// `text` as a field of `N` bytes, zeros behind it; none when it is longer.
pub fn text_field<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut field = [0; N];
    field.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(field)
}
