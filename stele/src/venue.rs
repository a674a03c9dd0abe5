//! Venues: the gateway, which releases an order once it is durable, the trait of a venue, and the paper
//! exchange.

pub use stele_venue::{
    Answer, InDoubt, Numbers, OpenOrder, OpenOrders, OpenState, OrderGateway, PaperVenue, ReleaseQueue,
    Venue, VenueBusy,
};
pub use stele_venue::{matching, paper_exchange};
