//! Records of the table's stream, as DynamoDB hands them to a function and GetRecords returns them.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{Item, ItemKey, StoreError, read::item_key, staged::before};

/// What happened to one item.
#[derive(Clone, Debug)]
pub struct StreamRecord {
    /// Its place in the stream, among the records of its item.
    pub sequence: String,
    /// The item.
    pub key: ItemKey,
    /// What it was; `None` before its creation.
    pub old: Option<Item>,
    /// What it is; `None` after its deletion.
    pub new: Option<Item>,
}

impl StreamRecord {
    /// Reads a record with both images.
    pub fn read(record: &Value) -> Result<Self, StoreError> {
        let part = record.get("dynamodb").unwrap_or(&Value::Null);
        let item = |name: &str| match part.get(name) {
            Some(Value::Object(members)) => item(members).map(Some).ok_or_else(|| corrupt(name)),
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(corrupt(name)),
        };
        let key = item("Keys")?.ok_or_else(|| corrupt("Keys"))?;
        let (old, new) = (item("OldImage")?, item("NewImage")?);
        if old.is_none() && new.is_none() {
            return Err(corrupt("OldImage and NewImage"));
        }
        // What an undecided unit wants has not happened: the record in which it takes its place tells it.
        let (old, new) = (old.and_then(before), new.and_then(before));
        let sequence = Self::sequence(record).ok_or_else(|| corrupt("SequenceNumber"))?.to_owned();
        Ok(Self { sequence, key: item_key(&key)?, old, new })
    }

    /// The sequence number of a record, be the rest of it as it may.
    pub fn sequence(record: &Value) -> Option<&str> {
        record.pointer("/dynamodb/SequenceNumber")?.as_str()
    }

    /// When a record was made, be the rest of it as it may.
    pub fn created(record: &Value) -> Option<Timestamp> {
        let seconds = record.pointer("/dynamodb/ApproximateCreationDateTime")?.as_f64()?;
        Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
    }

    /// The key of a record's item as text, be the rest of it as it may.
    pub fn key_text(record: &Value) -> String {
        record.pointer("/dynamodb/Keys").map_or_else(String::new, Value::to_string)
    }
}

fn corrupt(name: &str) -> StoreError {
    StoreError::Corrupt(format!("{name} of a stream record"))
}

fn item(members: &Map<String, Value>) -> Option<Item> {
    members.iter().map(|(name, value)| Some((name.clone(), attribute(value)?))).collect()
}

/// One value of DynamoDB's JSON: an object with one member, the name of which is the type.
fn attribute(json: &Value) -> Option<AttributeValue> {
    let members = json.as_object().filter(|members| members.len() == 1)?;
    let (kind, value) = members.iter().next()?;
    let binary = |value: &Value| BASE64_STANDARD.decode(value.as_str()?).ok().map(Blob::new);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(match kind.as_str() {
        "S" => AttributeValue::S(text(value)?),
        "N" => AttributeValue::N(text(value)?),
        "B" => AttributeValue::B(binary(value)?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(value.as_bool()?),
        "M" => AttributeValue::M(item(value.as_object()?)?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(attribute).collect::<Option<_>>()?),
        "SS" => AttributeValue::Ss(value.as_array()?.iter().map(text).collect::<Option<_>>()?),
        "NS" => AttributeValue::Ns(value.as_array()?.iter().map(text).collect::<Option<_>>()?),
        "BS" => AttributeValue::Bs(value.as_array()?.iter().map(binary).collect::<Option<_>>()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_read_with_all_kinds_of_values() {
        let image = json!({
            "pk": {"S": "p"}, "sk": {"S": "s"}, "n": {"N": "9223372036854775807"}, "b": {"B": "iVA="}, "f": {"BOOL": false},
            "z": {"NULL": true}, "m": {"M": {"l": {"L": [{"S": "x"}, {"N": "1"}]}}}, "ss": {"SS": ["a", "b"]},
        });
        let keys = json!({"pk": {"S": "p"}, "sk": {"S": "s"}});
        let record =
            json!({"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": image, "SequenceNumber": "7"}});
        let read = StreamRecord::read(&record).unwrap();
        assert_eq!((read.sequence.as_str(), read.old), ("7", None));
        assert_eq!(read.key, ItemKey { partition: "p".into(), sort: "s".into() });
        let new = read.new.unwrap();
        assert_eq!(new["n"], AttributeValue::N("9223372036854775807".into()));
        assert_eq!(new["b"], AttributeValue::B(Blob::new([0x89, b'P'])));
        let list = AttributeValue::L(vec![AttributeValue::S("x".into()), AttributeValue::N("1".into())]);
        assert_eq!(new["m"].as_m().unwrap()["l"], list);
    }

    #[test]
    fn what_is_no_record_is_refused_and_tells_what_it_can() {
        let keys = json!({"pk": {"S": "p"}, "sk": {"S": "s"}});
        let broken = [
            json!(null),
            json!({"dynamodb": {"SequenceNumber": "1"}}),
            json!({"dynamodb": {"SequenceNumber": "1", "Keys": keys}}),
            json!({"dynamodb": {"SequenceNumber": "1", "Keys": keys, "NewImage": {"a": {"X": "1"}}}}),
            json!({"dynamodb": {"SequenceNumber": "1", "Keys": keys, "NewImage": {"a": {"S": "1", "N": "1"}}}}),
            json!({"dynamodb": {"SequenceNumber": "1", "Keys": {"pk": {"S": "p"}}, "NewImage": keys}}),
            json!({"dynamodb": {"Keys": keys, "NewImage": keys}}),
        ];
        for record in broken {
            assert!(matches!(StreamRecord::read(&record), Err(StoreError::Corrupt(_))), "{record}");
        }
        assert_eq!(StreamRecord::sequence(&json!({"dynamodb": {"SequenceNumber": "1"}})), Some("1"));
    }
}
