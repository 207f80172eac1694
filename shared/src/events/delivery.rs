//! The state of a delivery.

/// Whether an event has arrived. The numbers are those of the enumeration `BusinessEventDeliveryStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It will be sent, or sent again.
    Pending,
    /// It has arrived.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryStatus {
    /// Its number in the enumeration.
    pub fn number(self) -> i64 {
        self as i64
    }
}
