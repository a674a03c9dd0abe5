//! Venues: the gateway, which releases an order once it is durable, the trait of a venue, and the paper
//! exchange.

pub use stele_venue::{
    LastIds, OpenOrder, OpenOrders, OpenState, OrderGateway, OrderInDoubt, PaperVenue, Reconciliation,
    ReleaseQueue, Venue, VenueBusy,
};
pub use stele_venue::{matching, paper_exchange};
