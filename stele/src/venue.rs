//! Venues: the gateway, which releases an order once it is durable, the trait of a venue, and the paper
//! exchange.

pub use stele_venue::{
    Departure, EmergencyAnswer, EmergencyControl, EmergencyOutcome, KilledOrder, KilledOrders, LastIds,
    LeftOrder, OpenOrder, OpenOrders, OpenState, OrderEnd, OrderGateway, OrderInDoubt, PaperVenue, QueueFull,
    Reconciliation, ReleaseLane, ReleaseQueue, Releases, Venue, VenueBusy,
};
pub use stele_venue::{matching, paper_exchange};
