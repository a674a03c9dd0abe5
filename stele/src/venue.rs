//! Venues: the gateway that lets an order leave when it is durable, what it hands orders to, and the exchange
//! on paper.

pub use stele_venue::{
    Answer, InDoubt, Numbers, OpenOrder, OpenOrders, OpenState, OrderGateway, PaperVenue, ReleaseQueue,
    Venue, VenueBusy,
};
pub use stele_venue::{matching, paper_exchange};
