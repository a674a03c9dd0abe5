//! Limits of operators. A pipeline that would exceed them panics when it is built.

/// The number of open windows per operator and key.
pub const OPEN_WINDOWS_MAX: usize = 4 << 10;
/// The number of events in one buffer: a sliding window, one side of a join, the values of a quantile.
pub const BUFFERED_MAX: usize = 1 << 20;
/// The number of keys of one table.
pub const KEYS_MAX: usize = 1 << 20;
/// The number of values that an indicator looks back.
pub const SPAN_MAX: usize = 1 << 20;

const _: () = assert!(KEYS_MAX < u32::MAX as usize / 2, "slots of a key table are numbered with 32 bits");
