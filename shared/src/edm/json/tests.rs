use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::edm::sample::{model, property, type_id, typed_value};
use crate::edm::{Dynamic, Model, PropertyType, Record, Value, ValueError};

fn read<'a>(model: &Model, body: &'a str) -> Result<EntityPayload<'a>, ValueError> {
    read_entity(model, type_id(model, "Item"), body.as_bytes())
}

/// The text of one property after reading and writing.
fn again(name: &str, json: &str) -> Result<String, ValueError> {
    let model = model();
    let ty = property(&model, name);
    let value = read_property(&model, &ty, name, format!("{{\"value\":{json}}}").as_bytes())?;
    let mut out = Vec::new();
    write_value(&mut out, &model, &ty, &value, Format::PLAIN);
    Ok(String::from_utf8(out).unwrap())
}

fn wrong(property: &str, expected: &str, got: &str) -> ValueError {
    ValueError::WrongType { property: property.into(), expected: expected.into(), got: got.into() }
}

fn members(model: &Model, record: &Record, select: Option<&[usize]>, dynamic: bool, first: bool) -> (String, bool) {
    let mut out = Vec::new();
    let written = write_record(&mut out, model, record, select, dynamic, first, Format::PLAIN);
    (String::from_utf8(out).unwrap(), written)
}

#[test]
fn values_are_written_as_they_were_read() {
    let rows = [
        ("name", r#""a\"\u0000€""#, r#""a\"\u0000€""#),
        ("big", "9223372036854775807", "9223372036854775807"),
        ("big", "\"-9223372036854775808\"", "-9223372036854775808"),
        ("small", "1.0", "1"),
        ("small", "2e1", "20"),
        ("price", "1.5", "1.50"),
        ("price", "1.500", "1.50"),
        ("price", "\"-123.45\"", "-123.45"),
        ("price", "0", "0.00"),
        ("any", "12345678901234567890.123456789", "12345678901234567890.123456789"),
        ("any", "1e-7", "0.0000001"),
        ("ratio", "1e300", "1e+300"),
        ("ratio", "\"INF\"", "\"INF\""),
        ("single", "0.1", "0.1"),
        ("flag", "true", "true"),
        ("at", "\"2020-12-17T13:20:26.8730+02:00\"", "\"2020-12-17T13:20:26.8730+02:00\""),
        ("bytes", "\"AAE=\"", "\"AAE=\""),
        ("lasts", "\"PT90M\"", "\"PT1H30M\""),
        ("kind", "\"Service\"", "\"Service\""),
        ("kind", "\"2\"", "\"Non_x002D_Inventory\""),
        ("colors", "\"Blue,Red\"", "\"Red,Blue\""),
        ("place", r#"{"city":"Ulm","inner":{}}"#, r#"{"city":"Ulm","inner":{"city":null,"inner":null}}"#),
        (
            "place",
            r##"{"x":[ 1 ],"@odata.type":"#N.Spot"}"##,
            r##"{"@odata.type":"#N.Spot","city":null,"inner":null,"row":null,"x":[1]}"##,
        ),
        ("tags", r#"["a","b"]"#, r#"["a","b"]"#),
        ("spot", r#"{ "type": "Point" }"#, r#"{"type":"Point"}"#),
        ("ratio", "null", "null"),
    ];
    for (name, json, expected) in rows {
        assert_eq!(again(name, json).as_deref(), Ok(expected), "{name} {json}");
    }
}

#[test]
fn values_of_another_type_are_refused() {
    let rows = [
        ("name", "1", "Edm.String"),
        ("big", "1.5", "Edm.Int64"),
        ("small", "\"1\"", "Edm.Byte"),
        ("ratio", "\"1\"", "Edm.Double"),
        ("flag", "\"true\"", "Edm.Boolean"),
        ("flag", "1", "Edm.Boolean"),
        ("at", "\"2020-12-17\"", "Edm.DateTimeOffset"),
        ("id", "\"0a1b2c3d00004000800000000000abcd\"", "Edm.Guid"),
        ("bytes", "\"?\"", "Edm.Binary"),
        ("kind", "1", "N.Kind"),
        ("tags", "\"a\"", "Collection(Edm.String)"),
        ("spot", "\"POINT\"", "Edm.Geography"),
    ];
    for (name, json, expected) in rows {
        assert_eq!(again(name, json), Err(wrong(name, expected, json)), "{name} {json}");
    }
    let options = ["Inventory", "Service", "Non-Inventory"].map(String::from).to_vec();
    let not_an_option = ValueError::NotAnOption { property: "kind".into(), value: "Invalid Type".into(), options };
    assert_eq!(again("kind", "\"Invalid Type\""), Err(not_an_option));
}

#[test]
fn facets_are_checked() {
    for (name, json, limit) in [
        ("price", "1.234", "at most 2 decimals"),
        ("price", "1234", "at most 3 digits before the decimal point"),
        ("small", "256", "Edm.Byte is from 0 to 255"),
        ("small", "1e300", "Edm.Byte is from 0 to 255"),
        ("any", "1e999999999", "Edm.Decimal has at most 400 digits"),
        ("ratio", "1e400", "Edm.Double is below 1.8e308"),
    ] {
        let error = ValueError::OutOfRange { property: name.into(), limit: limit.into(), got: json.into() };
        assert_eq!(again(name, json), Err(error), "{json}");
    }
    let model = model();
    let too_long = |property: &str, max, got, type_name: &str| {
        Some(ValueError::TooLong { property: property.into(), max, got, type_name: type_name.into() })
    };
    assert_eq!(read(&model, r#"{"name":"äöüß"}"#).err(), None);
    assert_eq!(read(&model, r#"{"name":"12345"}"#).err(), too_long("name", 4, 5, "Item"));
    assert_eq!(read(&model, r#"{"bytes":"AAECAw"}"#).err(), too_long("bytes", 3, 4, "Item"));
    assert_eq!(read(&model, r#"{"place":{"city":"123456"}}"#).err(), too_long("place/city", 5, 6, "Place"));
    let null = |property: &str| Some(ValueError::NotNullable { property: property.into() });
    assert_eq!(read(&model, r#"{"name":null}"#).err(), null("name"));
    assert_eq!(read(&model, r#"{"tags":["a",null]}"#).err(), null("tags/1"));
    assert_eq!(read(&model, r#"{"tags":null}"#).err(), null("tags"));
}

#[test]
fn an_entity_has_its_links_apart() {
    let model = model();
    let payload = read(
        &model,
        r##"{"@odata.type":"#N.Open","@odata.etag":"W/\"1\"","@odata.id":"Items(1)","name":"n","name@my.note":{"a":1},
            "lines@odata.bind":["Items(2)"],"lines":[{"name":"a"},{"@id":"Items(3)"}],
            "owner":null,"must":{"@odata.etag":"x","@odata.id":"Items(4)"},"more":{ "x" : 1 }}"##,
    )
    .unwrap();
    assert_eq!(payload.record.ty, type_id(&model, "Open"));
    assert_eq!(payload.etag.as_deref(), Some("W/\"1\""));
    assert_eq!(payload.id.as_deref(), Some("Items(1)"));
    assert_eq!(payload.record.get(&model, "name"), Some(&Value::String("n".into())));
    assert_eq!(payload.record.dynamic, [("more".to_owned(), Dynamic::Json("{\"x\":1}".into()))]);
    let many = Bind::Many(vec!["Items(2)".into(), "Items(3)".into()]);
    assert_eq!(payload.binds, [(0, many), (1, Bind::Null), (2, Bind::One("Items(4)".into()))]);
    let [(0, Nested::Many(bodies))] = payload.nested.as_slice() else { panic!("{:?}", payload.nested) };
    assert_eq!(bodies.iter().map(|raw| RawValue::get(raw)).collect::<Vec<_>>(), [r#"{"name":"a"}"#]);
}

#[test]
fn an_inline_entity_is_a_body_of_its_own() {
    let model = model();
    let payload = read(&model, r#"{"owner":{"name":"o","@odata.id":"Items(1)"},"lines":[ ]}"#).unwrap();
    let [(1, Nested::One(owner)), (0, Nested::Many(none))] = payload.nested.as_slice() else { panic!("{payload:?}") };
    assert!(none.is_empty() && payload.binds.is_empty());
    let owner = read(&model, owner.get()).unwrap();
    assert_eq!(owner.record.get(&model, "name"), Some(&Value::String("o".into())));
}

#[test]
fn links_have_types() {
    let model = model();
    let error = |body: &str| read(&model, body).unwrap_err();
    assert_eq!(error(r#"{"owner@odata.bind":["a"]}"#), wrong("owner@odata.bind", "Edm.String", "[\"a\"]"));
    assert_eq!(error(r#"{"lines@odata.bind":"a"}"#), wrong("lines@odata.bind", "Collection(Edm.String)", "\"a\""));
    assert_eq!(error(r#"{"lines@odata.bind":[1]}"#), wrong("lines@odata.bind/0", "Edm.String", "1"));
    assert_eq!(error(r#"{"must":null}"#), ValueError::NotNullable { property: "must".into() });
    assert_eq!(error(r#"{"must@odata.bind":null}"#), ValueError::NotNullable { property: "must@odata.bind".into() });
    assert_eq!(error(r#"{"lines":null}"#), wrong("lines", "Collection(N.Item)", "null"));
    assert_eq!(error(r#"{"lines":[1]}"#), ValueError::NotAnObject { property: "lines/0".into(), got: "1".into() });
    let twice = ValueError::DuplicateMember { property: "owner".into() };
    assert_eq!(error(r#"{"owner@odata.bind":"a","owner":{"@id":"b"}}"#), twice);
    let unknown = ValueError::UnknownProperty { property: "x@odata.bind".into(), type_name: "N.Item".into() };
    assert_eq!(error(r#"{"x@odata.bind":"a"}"#), unknown);
}

#[test]
fn members_are_known_and_given_once() {
    let model = model();
    let error = |body: &str| read(&model, body).unwrap_err();
    assert_eq!(error(r#"{"flag":true,"flag":true}"#), ValueError::DuplicateMember { property: "flag".into() });
    assert_eq!(error(r#"{"a@b.c":1,"\u0061@b.c":1}"#), ValueError::DuplicateMember { property: "a@b.c".into() });
    let unknown = ValueError::UnknownProperty { property: "nope".into(), type_name: "N.Item".into() };
    assert_eq!(error(r#"{"nope":1}"#), unknown);
    let unknown = ValueError::UnknownProperty { property: "place/nope".into(), type_name: "N.Place".into() };
    assert_eq!(error(r#"{"place":{"nope":1}}"#), unknown);
    let annotation =
        ValueError::WrongTypeAnnotation { property: String::new(), expected: "N.Item".into(), got: "#N.Other".into() };
    assert_eq!(error(r##"{"@odata.type":"#N.Other"}"##), annotation);
}

#[test]
fn malformed_json_is_found_at_line_and_column() {
    let model = model();
    let at = |body: &[u8]| match read_entity(&model, type_id(&model, "Item"), body).unwrap_err() {
        ValueError::Json { line, column, .. } => (line, column),
        other => panic!("{other}"),
    };
    assert_eq!(at(b"{\"flag\":tru}"), (1, 12));
    assert_eq!(at(b"{}\n x"), (2, 2));
    assert_eq!(at(b""), (1, 0));
    assert_eq!(at(b"[1,]"), (1, 4));
    assert_eq!(at(b"{\n \"name\": \"\\ud800\"}"), (2, 10));
    assert_eq!(at(b"{\n\"\xff\"}"), (2, 2));
    assert!(read(&model, "\u{feff}{}").is_ok());
    let error = read(&model, " [1] ").unwrap_err();
    assert_eq!(error, ValueError::NotAnObject { property: String::new(), got: "an array".into() });
}

#[test]
fn nesting_has_a_limit() {
    let model = model();
    let nested = |levels: usize| format!("{{\"place\":{}{{}}{}}}", "{\"inner\":".repeat(levels), "}".repeat(levels));
    assert!(read(&model, &nested(31)).is_ok());
    assert!(matches!(read(&model, &nested(32)).unwrap_err(), ValueError::TooDeep { max: 32, .. }));
    let deep = format!("{{\"spot\":{{\"a\":{}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(&model, &deep).is_ok());
}

#[test]
fn a_complex_property_may_come_without_wrapping() {
    let model = model();
    let ty = property(&model, "place");
    let bare = read_property(&model, &ty, "place", br#"{"@odata.context":"x","city":"Ulm"}"#);
    let wrapped = read_property(&model, &ty, "place", br#"{"@odata.context":"x","value":{"city":"Ulm"}}"#);
    assert!(bare.is_ok());
    assert_eq!(bare, wrapped);
    assert!(read_property(&model, &property(&model, "name"), "name", b"{}").is_err());
    assert!(read_property(&model, &property(&model, "name"), "name", br#"{"value":"a","value":"a"}"#).is_err());
}

#[test]
fn references_are_read_in_both_spellings() {
    assert_eq!(read_reference(br#"{"@odata.id":"Items(1)"}"#).as_deref(), Ok("Items(1)"));
    assert_eq!(read_reference(br#"{"@odata.context":"x","@id":"a\u002fb"}"#).as_deref(), Ok("a/b"));
    assert!(read_reference(b"{}").is_err());
    assert!(read_reference(br#"{"@id":1}"#).is_err());
    assert!(read_reference(br#"{"@id":"a","@odata.id":"b"}"#).is_err());
}

#[test]
fn control_information_that_carries_data_is_refused_by_name() {
    let model = model();
    for (body, property) in [
        (r#"{"lines@odata.delta":[]}"#, "lines@odata.delta"),
        (r#"{"lines@delta":[{"name":"a"}]}"#, "lines@delta"),
        (r#"{"@removed":{"reason":"deleted"}}"#, "@removed"),
        (r#"{"lines":[{"@odata.removed":{},"@odata.id":"Items(1)"}]}"#, "lines/0/@odata.removed"),
        (r#"{"owner":{"@removed":{},"@id":"Items(1)"}}"#, "owner/@removed"),
        (r##"{"lines":[{"@context":"#Items/$deletedEntity","id":"x"}]}"##, "lines/0/@context"),
        (r#"{"lines@odata.nextLink":"x"}"#, "lines@odata.nextLink"),
        (r#"{"tags":["a"],"tags@nextLink":"x"}"#, "tags@nextLink"),
        (r#"{"place":{"@removed":{}}}"#, "place/@removed"),
    ] {
        let error = read(&model, body).unwrap_err();
        assert_eq!(error, ValueError::UnsupportedControl { property: property.into() }, "{body}");
    }
    let unknown =
        |property: &str| ValueError::UnknownProperty { property: property.into(), type_name: "N.Item".into() };
    for name in ["nope@odata.delta", "owner@delta", "@odata.bind"] {
        assert_eq!(read(&model, &format!("{{\"{name}\":[]}}")).unwrap_err(), unknown(name));
    }
    let bound = read(&model, r#"{"place":{"nav@odata.bind":"x"}}"#).unwrap_err();
    assert_eq!(bound.property(), Some("place/nav@odata.bind"));
}

#[test]
fn information_about_answers_is_ignored() {
    let model = model();
    let names = [
        "@odata.context",
        "@metadataEtag",
        "@odata.editLink",
        "@readLink",
        "@odata.deltaLink",
        "lines@odata.count",
        "lines@navigationLink",
        "owner@odata.associationLink",
        "bytes@odata.mediaReadLink",
        "bytes@mediaEtag",
        "tags@odata.collectionAnnotations",
        "@Ns.Term",
        "name@Ns.Term#q",
        "name@Ns.Term@odata.type",
        "#Ns.Act",
        "lines#Ns.Act",
        "@odata.unknown",
        "lines@delta",
        "@nextLink",
    ];
    for name in names {
        let body = format!("{{\"@odata.type\":\"#N.Open\",\"{name}\":null}}");
        let payload = read(&model, &body).unwrap();
        assert!(payload.record.dynamic.is_empty() && payload.binds.is_empty(), "{name}");
    }
}

#[test]
fn a_stated_type_agrees_with_the_declared_one() {
    let model = model();
    for (name, json, ty) in [
        ("name", "\"a\"", "#String"),
        ("small", "1", "#Int32"),
        ("kind", "\"Service\"", "#N.Kind"),
        ("tags", "[]", "#Collection(String)"),
        ("place", "null", "#N.Spot"),
        ("name", "\"a\"", "#N.Definition"),
    ] {
        let body = format!("{{\"{name}@odata.type\":\"{ty}\",\"{name}\":{json}}}");
        assert!(read(&model, &body).is_ok(), "{body}");
    }
    for (name, json, ty) in [
        ("name", "\"a\"", "#Date"),
        ("tags", "[]", "#String"),
        ("kind", "\"Service\"", "#N.Colors"),
        ("place", "null", "#Collection(N.Spot)"),
    ] {
        let body = format!("{{\"{name}\":{json},\"{name}@type\":\"{ty}\"}}");
        assert!(matches!(read(&model, &body), Err(ValueError::WrongTypeAnnotation { .. })), "{body}");
    }
}

#[test]
fn records_are_written_as_members() {
    let model = model();
    let mut record = Record::new(&model, type_id(&model, "Spot"));
    record.values[2] = Some(Value::Integer(7));
    record.dynamic.push(("x\"".into(), Dynamic::Json("[1]".into())));
    let all = r#""city":null,"inner":null,"row":7,"x\"":[1]"#;
    assert_eq!(members(&model, &record, None, true, true), (all.into(), true));
    assert_eq!(members(&model, &record, Some(&[2, 0]), false, false), (r#","row":7,"city":null"#.into(), true));
    assert_eq!(members(&model, &record, Some(&[]), false, true), (String::new(), false));
}

proptest! {
    #[test]
    fn a_written_value_reads_as_the_same_value((ty, value) in typed_value()) {
        let model = model();
        let mut out = Vec::new();
        write_value(&mut out, &model, &ty, &value, Format::PLAIN);
        let json = String::from_utf8(out).unwrap();
        prop_assert_eq!(value_from_json(&model, &ty, &json), Ok(value.clone()), "{}", json);
        let list = PropertyType { collection: true, ..ty };
        let values = Value::Collection(vec![value.clone(), Value::Null, value]);
        let mut out = Vec::new();
        write_value(&mut out, &model, &list, &values, Format::PLAIN);
        let json = String::from_utf8(out).unwrap();
        prop_assert_eq!(value_from_json(&model, &list, &json), Ok(values), "{}", json);
    }

    #[test]
    fn no_body_panics(body in r#"[{}\[\]",:a-c@0-9.eE\\ -]{0,40}"#, bytes in any::<Vec<u8>>()) {
        let model = model();
        let _ = read(&model, &body);
        let _ = read_entity(&model, type_id(&model, "Open"), &bytes);
        let _ = read_reference(&bytes);
    }
}
