//! Every bound of the bus in one place, with the relations between them checked at compile time.
//! Lengths are in bytes.

use std::time::Duration;
use stele_risk::bounds::{RISK_PUBLISHERS_MAX, RISK_STRATEGIES_MAX};
use stele_wire::Nanos;
use stele_wire::bounds::{BODY_LENGTH_MAX, FRAME_LENGTH_MAX, PADDING_LENGTH_MIN};

/// The log's ring, unless the configuration says otherwise: stalls of 8 ms happen, at some 4 GB/s.
pub const RING_LENGTH_DEFAULT: usize = 64 << 20;
/// The smallest ring: the longest frames of every class must find headroom in it.
pub const RING_LENGTH_MIN: usize = 512 << 10;
/// The largest ring.
pub const RING_LENGTH_MAX: usize = 64 << 30;

/// Mappings are multiples of this and touched at each: the smallest page of the machines we run on.
pub const PAGE_LENGTH: usize = 4 << 10;

/// The writer claims this much at a time, so that readers without a gate do not fetch the claim for every frame.
pub const CLAIM_LENGTH: u64 = 4 << 10;

/// Device blocks that batches close on, smallest and largest.
pub const BLOCK_LENGTH_MIN: usize = 512;
/// See [`BLOCK_LENGTH_MIN`].
pub const BLOCK_LENGTH_MAX: usize = 32 << 10;
/// The smallest segment's data: a frame must fit one whatever stands before it.
pub const SEGMENT_LENGTH_MIN: usize = 256 << 10;

/// A batch closes at the end of the stretch that brings it to this length.
pub const BATCH_LENGTH_MAX: usize = 64 << 10;
/// A batch closes when its first event is this old.
pub const BATCH_AGE_MAX: Nanos = Nanos(200_000);
/// A batch with an order in it closes at once while the closed and unwritten bytes are below this.
pub const IN_FLIGHT_LENGTH_MAX: usize = 4 * BATCH_LENGTH_MAX;
/// When idle, a watermark-only block follows an acknowledgement that no padding has recorded after this time.
/// The acknowledgement is noticed within a duty cycle, so that the block stands within 1 ms of it.
pub const IDLE_WATERMARK_DELAY: Nanos = Nanos(500_000);

/// Events that one intake gives per duty cycle before the next intake has its turn.
pub const CHUNK_EVENTS_MAX: usize = 64;
/// Words that one intake gives per duty cycle before the next has its turn; the last submission may pass it.
pub const CHUNK_WORDS_MAX: usize = 8 << 10;
/// Events that share one reading of the clock and one publication: well below a microsecond of work.
pub const STRETCH_EVENTS_MAX: usize = 8;
/// Frame bytes that share one reading of the clock and one publication.
pub const STRETCH_LENGTH_MAX: usize = 2 << 10;

/// Share of the ring that market data and new orders leave free, as a divisor of its length.
pub const HEADROOM_MARKET_DIVISOR: usize = 4;
/// Share of the ring that cancels and reports leave free.
pub const HEADROOM_REPORT_DIVISOR: usize = 8;
/// Control leaves nothing but the room of the closing padding.
pub const CLOSING_LENGTH_MAX: usize = BLOCK_LENGTH_MAX + PADDING_LENGTH_MIN;

/// Words of a submission's header in a publisher's ring.
pub const SUBMISSION_HEADER_WORDS: usize = 3;
/// Words of the longest submission.
pub const SUBMISSION_WORDS_MAX: usize = SUBMISSION_HEADER_WORDS + BODY_LENGTH_MAX.div_ceil(8);
/// A publisher's ring, unless the configuration says otherwise, in words of 8 bytes (512 KiB).
pub const PUBLISHER_WORDS_DEFAULT: usize = 64 << 10;
/// Publishers of one sequencer.
pub const PUBLISHERS_MAX: usize = 64;
/// Gating consumers of one log, the journal not counted.
pub const GATING_CONSUMERS_MAX: usize = 32;

/// Bytes of the reason for the journal's end that other processes can read, UTF-8.
pub const POISON_REASON_MAX: usize = 512 - 16;
/// How often a publisher in another process looks whether the sequencer's process lives.
pub const SEQUENCER_WATCH_INTERVAL: Nanos = Nanos(10_000_000);
/// Bytes of a bus's name.
pub const BUS_NAME_MAX: usize = 64;

/// Pending timers of one strategy.
pub const TIMERS_PER_STRATEGY_MAX: usize = 64;
/// Strategies with timers.
pub const TIMER_STRATEGIES_MAX: usize = RISK_STRATEGIES_MAX;
/// Timers that fire, and cancels that follow from kill switches, in one duty cycle of the sequencer.
pub const OWN_EVENTS_PER_CYCLE_MAX: usize = 64;
/// At most so often the log is told of submissions that were not taken, by publisher and reason.
pub const REFUSALS_REPORT_INTERVAL: Nanos = Nanos(100_000_000);
/// Duty cycles between two looks at what publishers were refused.
pub const REFUSALS_LOOKED_AT_CYCLES: u32 = 256;

/// After a stop was asked for and every intake was empty for this long, the sequencer stops although publishers
/// remain that have not finished.
pub const STOP_GRACE: Nanos = Nanos(10_000_000);

/// Between two looks at who is stuck, at most this much of the time counts: the process stood still itself.
pub const GATE_CHECK_GAP_MAX: Duration = Duration::from_secs(1);

/// Duty cycles between two readings of the clock that times them.
pub const DUTY_CYCLES_TIMED: u32 = 16;
/// Bytes of its stack that a core touches before its agents start: well within the smallest stack of a thread.
pub const STACK_TOUCHED: usize = 256 << 10;

/// Slots of 128 bytes in one mapping of counters, the header's included.
pub const COUNTER_SLOTS: usize = 4096;
/// Bytes of a counter's label, UTF-8.
pub const COUNTER_LABEL_MAX: usize = 48;

/// Largest change of rate by which the clock approaches UTC, in parts per billion (NTP's limit, RFC 5905).
pub const SLEW_PPB_MAX: i64 = 500_000;
/// An error above this is a step, taken at once when it leads forward (RFC 5905, STEPT).
pub const CLOCK_STEP_MIN: Nanos = Nanos(128_000_000);
/// How often the clock is compared with the system's UTC.
pub const CLOCK_CHECK_INTERVAL: Nanos = Nanos(100_000_000);
/// A divergence from UTC above this is told: the largest that is allowed of high-frequency trading (Commission
/// Delegated Regulation (EU) 2017/574, "RTS 25", Article 3 and Annex, table 2).
pub const CLOCK_TOLERANCE: Nanos = Nanos(100_000);
/// An uncertainty that becomes twice what was told, or half, is told again, unless both are below this.
pub const CLOCK_UNCERTAINTY_MIN: Nanos = Nanos(1_000);
/// A reading that is so much before the one before is told as a step back.
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
    assert!(RISK_PUBLISHERS_MAX >= 2 * PUBLISHERS_MAX, "risk follows the publishers of some restarts");
