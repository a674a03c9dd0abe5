//! What a strategy sends, whether the trail has it or not.

/// Something that a strategy sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission {
    /// The strategy.
    pub strategy: u16,
    /// The SBE template id.
    pub template_id: u16,
    /// The event that the strategy was handling; 0 where the message has none.
    pub cause: u64,
    /// Root block, groups and data.
    pub body: Vec<u8>,
    /// The epoch in which it was decided.
    pub epoch: u32,
}
