//! How this program reads whole trails.

use stele_journal::ReadMethod;

/// glommio, which the journal's own reader stands in for where the machine refuses it.
#[cfg(feature = "glommio")]
pub(crate) fn read_method() -> Option<&'static dyn ReadMethod> {
    Some(&stele_glommio::Glommio)
}

/// The journal's own reader: this program is built without glommio.
#[cfg(not(feature = "glommio"))]
pub(crate) fn read_method() -> Option<&'static dyn ReadMethod> {
    None
}
