//! The catalogue of business events, and the schema of each payload.

use serde::Serialize;
use serde_json::{Value, json};

use crate::jobs::Status;

use super::EventKind;

/// Segment of the catalogue's URL after the root of the service; `/<BusinessEventId>` after it is a schema. Finance &
/// Operations has its catalogue under the same name.
pub const CATALOGUE: &str = "BusinessEventsCatalogs";

/// An event of the catalogue.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    business_event_id: &'static str,
    name: &'static str,
    category: &'static str,
    description: &'static str,
    schema_url: String,
}

/// The list of all events as JSON. `root` is the absolute URL of the service's root.
pub fn catalogue(root: &str) -> String {
    let root = root.trim_end_matches('/');
    let entries = EventKind::ALL.map(|kind| Entry {
        business_event_id: kind.business_event_id(),
        name: kind.name(),
        category: EventKind::CATEGORY,
        description: description(kind),
        schema_url: format!("{root}/{CATALOGUE}/{}", kind.business_event_id()),
    });
    // Texts in a list of structs: there is nothing that cannot be written.
    serde_json::to_string(&entries).unwrap_or_default()
}

/// The JSON schema (draft 7) of an event's payload; `None` for what is no event of the catalogue. It is what the step
/// "Parse JSON" of Power Automate takes.
pub fn schema(business_event_id: &str) -> Option<String> {
    let kind = EventKind::from_business_event_id(business_event_id)?;
    let properties: serde_json::Map<String, Value> =
        members().into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let required: Vec<&String> = properties.keys().collect();
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": kind.business_event_id(),
        "description": description(kind),
        "type": "object",
        "required": required,
        "properties": properties,
    });
    Some(schema.to_string())
}

fn description(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Started => "A batch job began to execute.",
        EventKind::Failed => "A batch job ended with an error.",
        EventKind::Finished => "A batch job ended well.",
        EventKind::Canceled => "A batch job was cancelled.",
    }
}

/// The members of a payload. Power Automate offers each as a value of the flow: types, and no rules that a later
/// payload could break.
fn members() -> [(&'static str, Value); 18] {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let integer = |description: &str| json!({ "type": "integer", "description": description });
    [
        ("AdminEmailId", text("Address of the administrator of the job")),
        ("BusinessEventId", text("Which event it is")),
        ("BusinessEventLegalEntity", text("Company of the job")),
        ("ContextRecordSubject", text("Empty")),
        ("ControlNumber", integer("Increases from event to event, with gaps")),
        ("EventId", text("The same each time the event is sent")),
        ("EventTime", text("When it happened, in whole seconds: /Date(milliseconds since 1970)/")),
        ("EventTimeIso8601", json!({ "type": "string", "format": "date-time", "description": "When it happened" })),
        ("InitiatingUserAADObjectId", text("Who caused it: object id in braces")),
        ("JobDescription", text("What the job is called")),
        ("JobEndUtcDateTime", text("When the job ended: /Date(milliseconds since 1970)/, 1900-01-01 where it has not")),
        ("JobExecutedByEmailId", text("Address of who executes the job")),
        ("JobId", integer("BatchJobRecId of the job")),
        ("JobOwnerEmailId", text("Address of the owner of the job")),
        (
            "JobStatus",
            json!({ "type": "string", "enum": Status::ALL.map(Status::name), "description": "State of the job" }),
        ),
        ("MajorVersion", integer("0")),
        ("MinorVersion", integer("0")),
        ("ParentContextRecordSubjects", json!({ "type": ["array", "null"], "description": "Empty" })),
    ]
}

#[cfg(test)]
mod tests {
    use crate::events::{payload, sample::golden};

    use super::*;

    #[test]
    fn the_catalogue_has_the_four_events_and_where_their_schemas_are() {
        let list: Value = serde_json::from_str(&catalogue("https://jobs.example.com/data/")).unwrap();
        assert_eq!(list.as_array().map(Vec::len), Some(4));
        assert_eq!(
            list[3],
            json!({
                "BusinessEventId": "BatchJobCancelledBusinessEvent",
                "Name": "Batch job cancelled",
                "Category": "Batch",
                "Description": "A batch job was cancelled.",
                "SchemaUrl": "https://jobs.example.com/data/BusinessEventsCatalogs/BatchJobCancelledBusinessEvent",
            })
        );
    }

    #[test]
    fn every_payload_is_valid_by_the_schema_of_its_event() {
        for (event, _) in golden() {
            let schema: Value = serde_json::from_str(&schema(event.kind.business_event_id()).unwrap()).unwrap();
            assert!(jsonschema::draft7::meta::is_valid(&schema));
            let validator = jsonschema::draft7::new(&schema).unwrap();
            let sent: Value = serde_json::from_str(&payload(&event)).unwrap();
            assert!(validator.is_valid(&sent), "{:?}", validator.iter_errors(&sent).collect::<Vec<_>>());
            for name in sent.as_object().unwrap().keys() {
                assert!(schema["properties"].get(name).is_some(), "{name} is not in the schema");
                let mut less = sent.clone();
                less.as_object_mut().unwrap().remove(name);
                let other = Value::from(1.5);
                let mut wrong = sent.clone();
                wrong[name] = other;
                assert!(!validator.is_valid(&less) && !validator.is_valid(&wrong), "{name}");
            }
        }
    }

    #[test]
    fn only_events_of_the_catalogue_have_a_schema() {
        assert_eq!((schema("BusinessEventsTestEndpointContract"), schema("")), (None, None));
    }
}
