//! How the kernel's clock is disciplined, as the kernel tells it.
#![allow(unsafe_code)]

/// The kernel's word on its clock, adjtimex(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelClock {
    /// Whether somebody keeps it to UTC.
    pub is_synchronised: bool,
    /// By how much it may be wrong at most, in nanoseconds, as whoever keeps it has told the kernel.
    pub error_max_ns: u64,
}

/// Asks the kernel; none where it does not answer.
pub fn kernel_clock() -> Option<KernelClock> {
    // SAFETY: `timex` is plain numbers, of which zero is one; with `modes` 0 nothing is changed.
    let (state, told) = unsafe {
        let mut told: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut told), told)
    };
    let is_synchronised = state >= 0 && state != libc::TIME_ERROR && told.status & libc::STA_UNSYNC == 0;
    (state >= 0)
        .then_some(KernelClock { is_synchronised, error_max_ns: told.maxerror.unsigned_abs() * 1_000 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_and_an_unsynchronised_clock_has_an_error_to_show() {
        let clock = kernel_clock().expect("Linux answers without any right");
        assert!(clock.is_synchronised || clock.error_max_ns > 0, "{clock:?}");
    }
}
