//! The bounds of operators: what is asked for above them is refused when a pipeline is built.

/// Windows of one operator and key that are open at once.
pub const OPEN_WINDOWS_MAX: usize = 4 << 10;
/// Events that one buffer holds: a sliding window, a side of a join, the values of a quantile.
pub const BUFFERED_MAX: usize = 1 << 20;
/// Keys of one table.
pub const KEYS_MAX: usize = 1 << 20;
/// Values that an indicator looks back over.
pub const SPAN_MAX: usize = 1 << 20;

const _: () = assert!(KEYS_MAX < u32::MAX as usize / 2, "a place in a key table is named by 32 bits");
