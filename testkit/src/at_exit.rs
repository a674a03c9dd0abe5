//! A function that runs when the process ends in order.
#![allow(unsafe_code)]

use std::ffi::c_int;

// SAFETY: the signature is that of C's standard library, which every Linux program is linked with.
unsafe extern "C" {
    safe fn atexit(function: extern "C" fn()) -> c_int;
}

/// Runs `function` when the process ends by returning from `main` or by `exit`; libtest ends by one of
/// them, whether tests fail or not.
pub(crate) fn at_exit(function: extern "C" fn()) {
    assert_eq!(atexit(function), 0, "32 functions can be registered at least");
}
