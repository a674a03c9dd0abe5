//! The kernel's own report on how its clock is synchronised.
#![allow(unsafe_code)]

/// How the kernel's clock is synchronised, by adjtimex(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelClock {
    /// Whether a service synchronises it to UTC.
    pub is_synchronised: bool,
    /// The maximum error in nanoseconds, as the service has reported it to the kernel.
    pub error_max_ns: u64,
}

/// Asks the kernel how its clock is synchronised; none where the call fails.
pub fn kernel_clock() -> Option<KernelClock> {
    // SAFETY: `timex` is plain numbers, of which zero is one; with `modes` 0 nothing is changed.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    let is_synchronised = state >= 0 && state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0;
    (state >= 0)
        .then_some(KernelClock { is_synchronised, error_max_ns: timex.maxerror.unsigned_abs() * 1_000 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_and_an_unsynchronised_clock_reports_an_error() {
        let clock = kernel_clock().expect("the call needs no privilege");
        assert!(clock.is_synchronised || clock.error_max_ns > 0, "{clock:?}");
    }
}
