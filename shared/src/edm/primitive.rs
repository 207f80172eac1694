//! The primitive types of the EDM (CSDL 4.01 §3.3).

/// A primitive type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of CSDL")]
pub enum PrimitiveType {
    Binary,
    Boolean,
    Byte,
    Date,
    DateTimeOffset,
    Decimal,
    Double,
    Duration,
    Guid,
    Int16,
    Int32,
    Int64,
    SByte,
    Single,
    String,
    TimeOfDay,
    /// Any geography or geometry type: kept as the GeoJSON text that was sent.
    Geo,
    /// `Edm.Untyped` and `Edm.PrimitiveType`: kept as JSON text.
    Untyped,
}
