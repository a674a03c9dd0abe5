//! The bounds of the bus, with the relations between them checked at compile time. Lengths are in bytes
//! unless a constant says otherwise.

use std::time::Duration;
use stele_risk::bounds::{RISK_PUBLISHERS_MAX, RISK_STRATEGIES_MAX};
use stele_wire::Nanos;
use stele_wire::bounds::{BODY_LENGTH_MAX, FRAME_LENGTH_MAX, PADDING_LENGTH_MIN};

/// The default length of the ring. It covers a stall of 8 ms at about 4 GB/s, and such stalls happen.
pub const RING_LENGTH_DEFAULT: usize = 64 << 20;
/// The shortest ring. It has headroom for the longest frames of every class.
pub const RING_LENGTH_MIN: usize = 512 << 10;
/// The longest ring.
pub const RING_LENGTH_MAX: usize = 64 << 30;

/// The smallest page of the supported machines. Mappings are a multiple of it, and each page is touched once.
pub const PAGE_LENGTH: usize = 4 << 10;

/// The bytes that the writer claims at a time. Claiming several frames at once keeps lossy readers from
/// fetching the claim's cache line for every frame.
pub const CLAIM_LENGTH: u64 = 4 << 10;

/// The smallest device block that batches may end on.
pub const BLOCK_LENGTH_MIN: usize = 512;
/// The largest device block that batches may end on.
pub const BLOCK_LENGTH_MAX: usize = 32 << 10;
/// The shortest data part of a segment. The longest frame fits into it, whatever comes before the frame.
pub const SEGMENT_LENGTH_MIN: usize = 256 << 10;

/// The length of a full batch: the batch closes at the end of the stretch that reaches it.
pub const BATCH_LENGTH_MAX: usize = 64 << 10;
/// The age of its first event at which a batch closes.
pub const BATCH_AGE_MAX: Nanos = Nanos(200_000);
/// The bytes in closed, unwritten batches below which a batch that contains an order closes at once.
pub const IN_FLIGHT_LENGTH_MAX: usize = 4 * BATCH_LENGTH_MAX;
/// When the bus is idle: the delay between an advance of `durable` that no padding has recorded and the block
/// of padding that records it. The advance is noticed within a duty cycle, so the block follows within 1 ms.
pub const IDLE_WATERMARK_DELAY: Nanos = Nanos(500_000);

/// The most events that the sequencer takes from one intake before it goes on to the next.
pub const CHUNK_EVENTS_MAX: usize = 64;
/// The words after which the sequencer goes on to the next intake; the last submission may exceed it.
pub const CHUNK_WORDS_MAX: usize = 8 << 10;
/// The most events that share one reading of the clock and one publication: well below a microsecond of work.
pub const STRETCH_EVENTS_MAX: usize = 8;
/// The frame bytes after which a stretch ends, so that the clock is read and the events are published.
pub const STRETCH_LENGTH_MAX: usize = 2 << 10;

/// The ring's length divided by this is what market data and new orders leave free.
pub const HEADROOM_MARKET_DIVISOR: usize = 4;
/// The ring's length divided by this is what cancels and reports leave free.
pub const HEADROOM_REPORT_DIVISOR: usize = 8;
/// The longest padding that closes a batch: the only room that control messages leave free.
pub const CLOSING_LENGTH_MAX: usize = BLOCK_LENGTH_MAX + PADDING_LENGTH_MIN;

/// The words of a submission's header in a publisher's ring.
pub const SUBMISSION_HEADER_WORDS: usize = 3;
/// The words of the longest submission.
pub const SUBMISSION_WORDS_MAX: usize = SUBMISSION_HEADER_WORDS + BODY_LENGTH_MAX.div_ceil(8);
/// The default length of a publisher's ring, in words of 8 bytes (512 KiB).
pub const PUBLISHER_WORDS_DEFAULT: usize = 64 << 10;
/// The default of how far ahead of its publisher's last number a submission may be. A publisher that skips
/// more than a million numbers has lost its count.
pub const NUMBER_STEP_MAX_DEFAULT: u64 = 1 << 20;
/// The highest number that a person may set a publisher's numbering to: far from its end.
pub const RESET_NUMBER_MAX: u64 = 1 << 62;
/// The most strategies, accounts and venues that one publisher is limited to.
pub const GRANT_SCOPES_MAX: usize = 64;
/// The most publishers of one sequencer.
pub const PUBLISHERS_MAX: usize = 64;
/// The most gating consumers of one ring, not counting the journal.
pub const GATING_CONSUMERS_MAX: usize = 32;

/// The bytes, in UTF-8, of a poisoned journal's reason that other processes can read.
pub const POISON_REASON_MAX: usize = 512 - 16;
/// How often a publisher in another process checks that the sequencer's process is alive.
pub const SEQUENCER_WATCH_INTERVAL: Nanos = Nanos(10_000_000);

/// The most pending timers of one strategy.
pub const TIMERS_PER_STRATEGY_MAX: usize = 64;
/// The most strategies that have timers.
pub const TIMER_STRATEGIES_MAX: usize = RISK_STRATEGIES_MAX;
/// The most timers that fire, and the most cancels that follow from kill switches, in one duty cycle.
pub const OWN_EVENTS_PER_CYCLE_MAX: usize = 64;
/// The shortest time between two reports on the log of one publisher's refused submissions.
pub const REFUSALS_REPORT_INTERVAL: Nanos = Nanos(100_000_000);
/// The duty cycles between two readings of the refusals that publishers have counted.
pub const REFUSALS_CHECK_CYCLES: u32 = 256;

/// The time that all intakes must be empty, after a stop was requested, before the sequencer stops although
/// some publishers have not finished.
pub const STOP_GRACE: Nanos = Nanos(10_000_000);

/// The most time that counts as waiting between two checks of the gates. A longer gap means that the process
/// itself did not run.
pub const GATE_CHECK_GAP_MAX: Duration = Duration::from_secs(1);

/// The duty cycles between two readings of the clock that times them.
pub const DUTY_CYCLES_TIMED: u32 = 16;
/// The bytes of stack that a core touches before its agents start: well within a thread's smallest stack.
pub const STACK_TOUCHED: usize = 256 << 10;

/// The slots of 128 bytes in one mapping of counters, including the header's.
pub const COUNTER_SLOTS: usize = 4096;
/// The longest label of a counter, in bytes of UTF-8.
pub const COUNTER_LABEL_MAX: usize = 48;

/// The largest change of rate by which the clock approaches UTC, in parts per billion (NTP's limit, RFC
/// 5905).
pub const SLEW_PPB_MAX: i64 = 500_000;
/// The offset from UTC above which the clock steps, when the step goes forward (RFC 5905, STEPT).
pub const CLOCK_STEP_MIN: Nanos = Nanos(128_000_000);
/// How often the clock is compared with the system's UTC.
pub const CLOCK_CHECK_INTERVAL: Nanos = Nanos(100_000_000);
/// The divergence from UTC above which the log records it: the maximum for high-frequency trading (Commission
/// Delegated Regulation (EU) 2017/574, "RTS 25", Article 3 and Annex, table 2).
pub const CLOCK_TOLERANCE: Nanos = Nanos(100_000);
/// The uncertainty below which changes are not recorded. Above it, a new uncertainty is recorded once it is
/// twice or half of the one recorded last.
pub const CLOCK_UNCERTAINTY_MIN: Nanos = Nanos(1_000);
/// The smallest difference by which a reading before the previous one is recorded as a step back.
pub const CLOCK_BACK_MIN: Nanos = Nanos(1_000);

const _: () = assert!(RING_LENGTH_MIN.is_power_of_two() && RING_LENGTH_DEFAULT >= RING_LENGTH_MIN);
const _: () = assert!(RING_LENGTH_MIN.is_multiple_of(PAGE_LENGTH));
const _: () = assert!(BLOCK_LENGTH_MIN.is_power_of_two() && BLOCK_LENGTH_MAX.is_power_of_two());
const _: () = assert!(BLOCK_LENGTH_MIN > PADDING_LENGTH_MIN, "a block's room takes a padding");
const _: () = assert!(SEGMENT_LENGTH_MIN >= 2 * (FRAME_LENGTH_MAX + PADDING_LENGTH_MIN));
const _: () = assert!(
    RING_LENGTH_MIN / HEADROOM_REPORT_DIVISOR >= CLOSING_LENGTH_MAX,
    "control finds room after the reports' padding"
);
const _: () = assert!(
    RING_LENGTH_MIN / HEADROOM_MARKET_DIVISOR - RING_LENGTH_MIN / HEADROOM_REPORT_DIVISOR >= 64 << 10,
    "a refusal finds room where an order does not"
);
const _: () = assert!(RING_LENGTH_MIN >= 4 * (FRAME_LENGTH_MAX + PADDING_LENGTH_MIN));
const _: () = assert!(IN_FLIGHT_LENGTH_MAX <= RING_LENGTH_MIN / 2);
const _: () = assert!(PUBLISHER_WORDS_DEFAULT >= 4 * SUBMISSION_WORDS_MAX);
const _: () = assert!(STRETCH_EVENTS_MAX <= CHUNK_EVENTS_MAX);
const _: () =
    assert!(RISK_PUBLISHERS_MAX >= 2 * PUBLISHERS_MAX, "the risk checks have room for earlier publishers");
