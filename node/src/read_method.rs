//! The method by which this program reads whole trails.

use stele_journal::ReadMethod;

/// Returns glommio; where the kernel refuses io_uring, the journal uses its own reader.
#[cfg(feature = "glommio")]
pub(crate) fn read_method() -> Option<&'static dyn ReadMethod> {
    Some(&stele_glommio::Glommio)
}

/// Returns none, for the journal's own reader: this program was built without glommio.
#[cfg(not(feature = "glommio"))]
pub(crate) fn read_method() -> Option<&'static dyn ReadMethod> {
    None
}
