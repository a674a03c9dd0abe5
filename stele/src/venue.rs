//! Venues: the gateway that lets an order leave when it is durable, what it hands orders to, and the exchange
//! on paper.

pub use stele_venue::{
    LastIds, OpenOrder, OpenOrders, OpenState, OrderGateway, OrderInDoubt, PaperVenue, Reconciliation,
    ReleaseQueue, Venue, VenueBusy,
};
pub use stele_venue::{matching, paper_exchange};
