//! A model and arbitrary values for the tests of this module.

use bigdecimal::BigDecimal;
use jiff::{SignedDuration, Timestamp, civil};
use proptest::prelude::*;
use uuid::Uuid;

use super::{DateTimeOffset, Model, PrimitiveType, PropertyType, TypeId, TypeKind, Value};

const XML: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EnumType Name="Kind"><Member Name="Inventory"/><Member Name="Service"/><Member Name="Non_x002D_Inventory"/></EnumType>
  <EnumType Name="Colors" IsFlags="true"><Member Name="Red" Value="1"/><Member Name="Blue" Value="2"/></EnumType>
  <ComplexType Name="Place"><Property Name="city" Type="Edm.String" MaxLength="5"/>
    <Property Name="inner" Type="N.Place"/></ComplexType>
  <ComplexType Name="Spot" BaseType="N.Place" OpenType="true"><Property Name="row" Type="Edm.Int16"/></ComplexType>
  <EntityType Name="Item"><Key><PropertyRef Name="id"/></Key>
    <Property Name="id" Type="Edm.Guid" Nullable="false"/>
    <Property Name="name" Type="Edm.String" MaxLength="4" Nullable="false"/>
    <Property Name="big" Type="Edm.Int64"/><Property Name="small" Type="Edm.Byte"/>
    <Property Name="price" Type="Edm.Decimal" Precision="5" Scale="2"/>
    <Property Name="any" Type="Edm.Decimal" Scale="variable"/>
    <Property Name="ratio" Type="Edm.Double"/><Property Name="single" Type="Edm.Single"/>
    <Property Name="flag" Type="Edm.Boolean"/><Property Name="at" Type="Edm.DateTimeOffset"/>
    <Property Name="bytes" Type="Edm.Binary" MaxLength="3"/><Property Name="lasts" Type="Edm.Duration"/>
    <Property Name="kind" Type="N.Kind"/><Property Name="colors" Type="N.Colors"/>
    <Property Name="place" Type="N.Place"/><Property Name="tags" Type="Collection(Edm.String)"/>
    <Property Name="spot" Type="Edm.GeographyPoint"/>
    <NavigationProperty Name="lines" Type="Collection(N.Item)"/>
    <NavigationProperty Name="owner" Type="N.Item"/>
    <NavigationProperty Name="must" Type="N.Item" Nullable="false"/>
  </EntityType>
  <EntityType Name="Open" BaseType="N.Item" OpenType="true"/>
  <EntityType Name="Other"><Key><PropertyRef Name="a"/><PropertyRef Name="b"/></Key>
    <Property Name="b" Type="Edm.Int32"/><Property Name="a" Type="Edm.String"/></EntityType>
</Schema></edmx:DataServices></edmx:Edmx>"#;

/// The model.
pub(super) fn model() -> Model {
    Model::from_csdl(XML).unwrap()
}

/// A type of the model.
pub(super) fn type_id(model: &Model, name: &str) -> TypeId {
    model.type_id(&format!("N.{name}")).unwrap()
}

/// A property type of the model's `Item`.
pub(super) fn property(model: &Model, name: &str) -> PropertyType {
    let ty = model.ty(type_id(model, "Item"));
    ty.properties[ty.property(name).unwrap()].ty.clone()
}

/// A value with its type, of any primitive or enumeration type.
pub(super) fn typed_value() -> impl Strategy<Value = (PropertyType, Value)> {
    use PrimitiveType as P;
    let primitive = |primitive, values: BoxedStrategy<Value>| {
        values.prop_map(move |value| (PropertyType::of(TypeKind::Primitive(primitive)), value)).boxed()
    };
    let kinds = |name: &'static str, values: Vec<i64>| {
        let kind = TypeKind::Enum(model().enum_id(name).unwrap());
        proptest::sample::select(values).prop_map(move |value| (PropertyType::of(kind), Value::Enum(value))).boxed()
    };
    proptest::strategy::Union::new(vec![
        primitive(P::Boolean, any::<bool>().prop_map(Value::Boolean).boxed()),
        primitive(P::Int64, any::<i64>().prop_map(Value::Integer).boxed()),
        primitive(P::Int16, any::<i16>().prop_map(|n| Value::Integer(n.into())).boxed()),
        primitive(P::SByte, any::<i8>().prop_map(|n| Value::Integer(n.into())).boxed()),
        primitive(P::Decimal, decimal().prop_map(Value::Decimal).boxed()),
        primitive(P::Double, any::<f64>().prop_filter("NaN", |n| !n.is_nan()).prop_map(Value::Double).boxed()),
        primitive(
            P::Single,
            any::<f32>().prop_filter("NaN", |n| !n.is_nan()).prop_map(|n| Value::Double(n.into())).boxed(),
        ),
        primitive(P::String, text().prop_map(Value::String).boxed()),
        primitive(P::Guid, any::<u128>().prop_map(|n| Value::Guid(Uuid::from_u128(n))).boxed()),
        primitive(P::Date, date().prop_map(Value::Date).boxed()),
        primitive(P::TimeOfDay, time().prop_map(Value::TimeOfDay).boxed()),
        primitive(P::DateTimeOffset, date_time().prop_map(Value::DateTimeOffset).boxed()),
        primitive(P::Duration, duration().prop_map(Value::Duration).boxed()),
        primitive(P::Binary, any::<Vec<u8>>().prop_map(Value::Binary).boxed()),
        kinds("N.Kind", vec![0, 1, 2]),
        kinds("N.Colors", vec![0, 1, 2, 3]),
    ])
}

/// Texts with the characters that are special somewhere.
pub(super) fn text() -> impl Strategy<Value = String> {
    let special = proptest::sample::select("\0\u{1}\u{2}\u{3}'\"\\/?#%+& aä€𝄞~\n".chars().collect::<Vec<_>>());
    proptest::collection::vec(prop_oneof![special, any::<char>()], 0..12).prop_map(String::from_iter)
}

/// Decimals of up to 38 digits.
pub(super) fn decimal() -> impl Strategy<Value = BigDecimal> {
    (any::<i128>(), 0..30_i64).prop_map(|(digits, scale)| BigDecimal::new((digits / 10).into(), scale))
}

fn date() -> impl Strategy<Value = civil::Date> {
    (1..=9999_i16, 1..=12_i8, 1..=28_i8).prop_map(|(year, month, day)| civil::date(year, month, day))
}

fn time() -> impl Strategy<Value = civil::Time> {
    let nanos = prop_oneof![Just(0), 0..1_000_000_000_i32, (0..1000_i32).prop_map(|millis| millis * 1_000_000)];
    (0..24_i8, 0..60_i8, 0..60_i8, nanos)
        .prop_map(|(hour, minute, second, nanos)| civil::time(hour, minute, second, nanos))
}

fn date_time() -> impl Strategy<Value = DateTimeOffset> {
    let zulu =
        (-62_135_596_800..253_402_207_200_i64, 0..1_000_000_000_i32, 0..=9_u8).prop_map(|(second, nanos, digits)| {
            DateTimeOffset::from_timestamp(Timestamp::new(second, nanos).unwrap(), digits)
        });
    let offset = (date(), time(), -1439..1440_i32).prop_map(|(date, time, minutes)| {
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
        DateTimeOffset::parse(&format!("{date}T{time}{sign}{hours:02}:{rest:02}")).unwrap()
    });
    prop_oneof![zulu, offset]
}

fn duration() -> impl Strategy<Value = SignedDuration> {
    (any::<i64>(), 0..1_000_000_000_i32, 0..60_u32).prop_map(|(seconds, nanos, shift)| {
        let seconds = seconds >> shift;
        SignedDuration::new(seconds, if seconds < 0 { -nanos } else { nanos })
    })
}
