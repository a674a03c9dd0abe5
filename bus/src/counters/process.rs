//! Which process a pid means.

use std::fs;

/// When the process `pid` was started, in ticks since the boot: with the pid it names a process for good. None when
/// there is no such process.
pub(crate) fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, also parentheses and spaces. Behind it come the state, which is Z
    // when the process has ended and nobody has asked how, and as the twentieth field the time.
    let (_, fields) = stat.rsplit_once(") ")?;
    if fields.starts_with('Z') {
        return None;
    }
    fields.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_keeps_its_start_and_one_that_is_not_there_has_none() {
        let own = start_ticks(std::process::id()).unwrap();
        assert_eq!(start_ticks(std::process::id()), Some(own));
        assert!(own > 0 && start_ticks(u32::MAX).is_none());
    }
}
