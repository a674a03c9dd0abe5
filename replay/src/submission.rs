//! Messages that a strategy sends, on the trail or not.

/// A message that a strategy sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrategySubmission {
    /// The strategy's number.
    pub strategy: u16,
    /// The SBE template id.
    pub template_id: u16,
    /// The sequence of the event that the strategy was handling; 0 when the message has none.
    pub cause: u64,
    /// The root block, groups and data.
    pub body: Vec<u8>,
    /// The epoch in which it was decided.
    pub epoch: u32,
}
