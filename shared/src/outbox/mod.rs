//! What leaves the service: business events on their way to endpoints.

mod address;
mod courier;

pub use courier::{Attempt, Courier, CourierError};
