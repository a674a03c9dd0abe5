//! Registers a function that runs when the process exits normally.
#![allow(unsafe_code)]

use std::ffi::c_int;

// SAFETY: the signature is that of the C standard library, with which every Linux program is linked.
unsafe extern "C" {
    safe fn atexit(function: extern "C" fn()) -> c_int;
}

/// Runs `function` when the process returns from `main` or calls `exit`. libtest does one of the two, whether
/// tests fail or not.
pub(crate) fn at_exit(function: extern "C" fn()) {
    assert_eq!(atexit(function), 0, "at least 32 functions can be registered");
}
