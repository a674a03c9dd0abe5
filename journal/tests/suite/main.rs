//! The journal from ring to disk and back, and its format.

mod catch_up;
mod format;
mod journal;
mod rig;
