//! The check of who makes a change and who approves it.

use crate::failure::Failure;

/// Checks that a change is made by one party and approved by another.
///
/// # Errors
/// [`Failure`]: a party's code is 0, or both are the same.
pub(crate) fn different_people(by: u32, approved_by: Option<u32>) -> Result<(), Failure> {
    if by == 0 || approved_by == Some(0) {
        return Err(Failure::usage("party 0 does not exist"));
    }
    if approved_by == Some(by) {
        return Err(Failure::usage(format!("party {by} cannot approve its own change")));
    }
    Ok(())
}
