//! Venues: the gateway, which releases an order once it is durable, the trait of a venue, and the paper
//! exchange.

pub use stele_venue::{
    Departure, EmergencyAnswer, EmergencyControl, EmergencyOutcome, LastIds, LeftOrder, OpenOrder, OpenOrders,
    OpenState, OrderGateway, OrderInDoubt, PaperVenue, QueueFull, Reconciliation, ReleaseLane, ReleaseQueue,
    Releases, Venue, VenueBusy,
};
pub use stele_venue::{matching, paper_exchange};
