//! Who does something, and who approved it.

use crate::failure::Failure;

/// A person who does something has a number, and another person approves it.
///
/// # Errors
/// [`Failure`]: a number is 0, or one person is both.
pub(crate) fn different_people(by: u32, approved_by: Option<u32>) -> Result<(), Failure> {
    if by == 0 || approved_by == Some(0) {
        return Err(Failure::usage("party 0 does not exist"));
    }
    if approved_by == Some(by) {
        return Err(Failure::usage(format!("party {by} cannot approve what it does itself")));
    }
    Ok(())
}
