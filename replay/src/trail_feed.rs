//! A trail as a feed: its recorded market, for another run.
//!
//! Runs on the thread that plays the feed. Market data and instrument definitions are played as they were
//! recorded, with the id of the new source. Orders, reports and control events are not played, because a
//! new run creates its own. An event is due when it was received. When a source on the recorded trail
//! restarted, its books were empty from then on, so the feed sends a `BookClear` for its source.

use crate::pacer::{is_market, received};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stele_bus::templates::{RECEIVED_DELTA_OFFSET, template};
use stele_feed::{Batch, Description, Feed, FeedError, FeedReport, NotCarried, RECORD_LENGTH_MAX, Step};
use stele_journal::{TrailError, TrailReader};
use stele_wire::codec::WriteError;
use stele_wire::messages::{
    AuctionImbalance, Bar, BookAdd, BookCancel, BookClear, BookDepth, BookExecute, BookLevel, BookModify,
    BookReplace, BookScope, BookSnapshot, FeedState, FeedStatus, InstrumentDefinition, MarketFlags, News,
    PriceBands, SourceKind, Statistic, TopOfBook, Trade, TradeBreak, TradingStatus, VenueNotice,
    message_name,
};
use stele_wire::{Frame, Nanos};
use zerocopy::little_endian::U16;

/// The feed of a trail's recorded market.
pub struct TrailFeed {
    directory: PathBuf,
    source: u16,
    reader: TrailReader,
    records: BTreeMap<u16, u64>,
    events: BTreeMap<u16, u64>,
    not_carried: BTreeMap<(u16, &'static str), u64>,
    read: u64,
    has_started: bool,
    has_failed: bool,
}

const OURS: &str = "not market data: a new run creates its own";
const OF_ANOTHER_SCHEMA: &str = "of another schema: its own publisher submits it";
/// The key of all messages of other schemas.
const FOREIGN: u16 = u16::MAX;
const OLDER: &str = "written by an older version of the schema";
const TOO_LONG: &str = "too long for a batch";

impl TrailFeed {
    /// Opens the trail in `directory` as the feed of the source with id `source`.
    ///
    /// # Errors
    /// [`TrailError`].
    pub fn open(directory: &Path, source: u16) -> Result<Self, TrailError> {
        Ok(Self {
            directory: directory.to_owned(),
            source,
            reader: TrailReader::open(directory)?,
            records: BTreeMap::new(),
            events: BTreeMap::new(),
            not_carried: BTreeMap::new(),
            read: 0,
            has_started: false,
            has_failed: false,
        })
    }

    fn failed(&mut self, error: TrailError) -> FeedError {
        self.has_failed = true;
        FeedError {
            source: self.directory.display().to_string(),
            good_records: self.read,
            offset: self.reader.position().0,
            fault: Box::new(error),
            advice: "check the trail with `stele verify`",
        }
    }
}

impl Feed for TrailFeed {
    fn describe(&self) -> Description {
        let name = self.directory.file_name().map(|name| name.to_string_lossy().into_owned());
        Description {
            source: self.source,
            kind: SourceKind::TRAIL,
            vendor_publisher: 0,
            channel: u16::MAX,
            mic: [0; 4],
            dataset: "stele".to_owned(),
            name: name.unwrap_or_else(|| "trail".to_owned()),
            description: format!("the market recorded in {}", self.directory.display()),
        }
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<Step, FeedError> {
        if self.has_failed {
            return Ok(Step::End);
        }
        while batch.has_room() {
            let Self { reader, source, records, events, not_carried, has_started, .. } = self;
            let entry = match reader.read_next() {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(Step::End),
                Err(error) => return Err(self.failed(error)),
            };
            let event = entry.frame;
            let id = if event.is_stele() { event.template_id() } else { FOREIGN };
            *records.entry(id).or_default() += 1;
            self.read += 1;
            let outcome = if !event.is_stele() {
                Err(OF_ANOTHER_SCHEMA)
            } else if is_market(id) {
                carry(&event, *source, batch).map(|()| Some(id))
            } else if starts_again(&event, has_started) {
                clear(&event, *source, batch);
                Ok(Some(BookClear::TEMPLATE_ID))
            } else {
                Err(OURS)
            };
            match outcome {
                Ok(Some(carried)) => *events.entry(carried).or_default() += 1,
                Ok(None) => {}
                Err(reason) => *not_carried.entry((id, reason)).or_default() += 1,
            }
        }
        Ok(Step::More)
    }

    fn records(&self) -> u64 {
        self.read
    }

    fn report(&self) -> FeedReport {
        let name = |id: u16| match id {
            FOREIGN => "of another schema",
            _ => message_name(id).unwrap_or("unknown"),
        };
        FeedReport {
            records: self.records.iter().map(|(id, count)| (name(*id).to_owned(), *count)).collect(),
            events: self.events.iter().map(|(id, count)| (name(*id), *count)).collect(),
            not_carried: self
                .not_carried
                .iter()
                .map(|((id, reason), count)| NotCarried { kind: name(*id).to_owned(), count: *count, reason })
                .collect(),
            notices: Vec::new(),
        }
    }
}

/// Whether the event restarts a source after the first start.
fn starts_again(event: &Frame<'_>, has_started: &mut bool) -> bool {
    let status = event.message::<FeedStatus>();
    let starts = status.is_some_and(|status| status.state == FeedState::STARTED);
    starts && std::mem::replace(has_started, true)
}

fn clear(event: &Frame<'_>, source: u16, batch: &mut Batch) {
    let message = BookClear {
        source: U16::new(source),
        flags: MarketFlags::LAST,
        scope: BookScope::SOURCE,
        ..BookClear::NULL
    };
    batch.push(event.timestamp(), &message);
}

/// Copies a market event into `batch`, as an event of `source` that is not sequenced yet.
fn carry(event: &Frame<'_>, source: u16, batch: &mut Batch) -> Result<(), &'static str> {
    let id = event.template_id();
    let known = template(id).ok_or("of an unknown kind")?;
    let block_length = usize::from(known.block_length);
    if usize::from(event.header().block_length.get()) < block_length {
        return Err(OLDER);
    }
    let body = event.body();
    if body.len() > RECORD_LENGTH_MAX {
        return Err(TOO_LONG);
    }
    let source_at = if id == InstrumentDefinition::TEMPLATE_ID {
        std::mem::offset_of!(InstrumentDefinition, source)
    } else {
        std::mem::offset_of!(BookAdd, source)
    };
    let write = |place: &mut [u8]| {
        place[..body.len()].copy_from_slice(body);
        place[source_at..source_at + 2].copy_from_slice(&source.to_le_bytes());
        if known.stamped {
            place[RECEIVED_DELTA_OFFSET..RECEIVED_DELTA_OFFSET + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        }
        body.len()
    };
    push(id, Nanos(received(event)), batch, write)
}

macro_rules! push_one_of {
    ($id:expr, $due:expr, $batch:expr, $write:expr; $($message:ident),*) => {
        match $id {
            $($message::TEMPLATE_ID => $batch.push_with::<$message>($due, |place| {
                let length = $write(&mut *place);
                Ok::<_, WriteError>(&place[..length])
            }),)*
            _ => return Err("of an unknown kind"),
        }
    };
}

fn push(
    id: u16,
    due: Nanos,
    batch: &mut Batch,
    write: impl Fn(&mut [u8]) -> usize,
) -> Result<(), &'static str> {
    let pushed = push_one_of!(
        id, due, batch, write;
        BookAdd, BookModify, BookReplace, BookCancel, BookExecute, BookClear, BookLevel, BookSnapshot, TopOfBook,
        BookDepth, Trade, TradeBreak, TradingStatus, AuctionImbalance, PriceBands, Statistic, Bar, News, VenueNotice,
        InstrumentDefinition
    );
    pushed.map_err(|_| TOO_LONG)
}
