//! The four events of one job and their payloads, for tests.

use jiff::Timestamp;
use uuid::Uuid;

use crate::jobs::Status;

use super::{Event, EventKind, event_id};

/// The events with what is sent of them.
pub(super) fn golden() -> [(Event, &'static str); 4] {
    [
        (
            event(EventKind::Started, 1, "2022-12-30T13:51:15.2942742Z", None),
            r#"{"AdminEmailId":"admin@example.com","BusinessEventId":"BatchJobStartedBusinessEvent","BusinessEventLegalEntity":"usmf","ContextRecordSubject":"","ControlNumber":5637611081,"EventId":"A5631837-C1C8-5342-839A-C578D842391B","EventTime":"/Date(1672408275000)/","EventTimeIso8601":"2022-12-30T13:51:15.2942742Z","InitiatingUserAADObjectId":"{8F3D52C1-0B6E-4B5E-9A51-C07C5D1E2F3A}","JobDescription":"Close \"May\" – Zürich","JobEndUtcDateTime":"/Date(-2208988800000)/","JobExecutedByEmailId":"runner@example.com","JobId":5637144576,"JobOwnerEmailId":"owner@example.com","JobStatus":"Executing","MajorVersion":0,"MinorVersion":0,"ParentContextRecordSubjects":[]}"#,
        ),
        (
            event(EventKind::Failed, 2, "2022-12-30T13:52:00Z", Some("2022-12-30T13:51:59.9Z")),
            r#"{"AdminEmailId":"admin@example.com","BusinessEventId":"BatchJobFailedBusinessEvent","BusinessEventLegalEntity":"usmf","ContextRecordSubject":"","ControlNumber":5637611082,"EventId":"ACDF982F-7F7C-5B20-A698-36B5DB107107","EventTime":"/Date(1672408320000)/","EventTimeIso8601":"2022-12-30T13:52:00.0000000Z","InitiatingUserAADObjectId":"{8F3D52C1-0B6E-4B5E-9A51-C07C5D1E2F3A}","JobDescription":"Close \"May\" – Zürich","JobEndUtcDateTime":"/Date(1672408319000)/","JobExecutedByEmailId":"runner@example.com","JobId":5637144576,"JobOwnerEmailId":"owner@example.com","JobStatus":"Error","MajorVersion":0,"MinorVersion":0,"ParentContextRecordSubjects":[]}"#,
        ),
        (
            event(EventKind::Finished, 3, "2022-12-30T14:00:00.000000099Z", Some("2022-12-30T14:00:00Z")),
            r#"{"AdminEmailId":"admin@example.com","BusinessEventId":"BatchJobFinishedBusinessEvent","BusinessEventLegalEntity":"usmf","ContextRecordSubject":"","ControlNumber":5637611083,"EventId":"5C1503C0-C1E0-597C-999B-A00CF2063152","EventTime":"/Date(1672408800000)/","EventTimeIso8601":"2022-12-30T14:00:00.0000000Z","InitiatingUserAADObjectId":"{8F3D52C1-0B6E-4B5E-9A51-C07C5D1E2F3A}","JobDescription":"Close \"May\" – Zürich","JobEndUtcDateTime":"/Date(1672408800000)/","JobExecutedByEmailId":"runner@example.com","JobId":5637144576,"JobOwnerEmailId":"owner@example.com","JobStatus":"Finished","MajorVersion":0,"MinorVersion":0,"ParentContextRecordSubjects":[]}"#,
        ),
        (
            Event {
                initiating_user: None,
                ..event(EventKind::Canceled, 4, "2022-12-30T14:00:01.0000001Z", Some("1900-01-01T00:00:00Z"))
            },
            r#"{"AdminEmailId":"admin@example.com","BusinessEventId":"BatchJobCancelledBusinessEvent","BusinessEventLegalEntity":"usmf","ContextRecordSubject":"","ControlNumber":5637611084,"EventId":"802F993B-A6DD-5ED0-AB88-50A8AAEA1739","EventTime":"/Date(1672408801000)/","EventTimeIso8601":"2022-12-30T14:00:01.0000001Z","InitiatingUserAADObjectId":"{00000000-0000-0000-0000-000000000000}","JobDescription":"Close \"May\" – Zürich","JobEndUtcDateTime":"/Date(-2208988800000)/","JobExecutedByEmailId":"runner@example.com","JobId":5637144576,"JobOwnerEmailId":"owner@example.com","JobStatus":"Canceled","MajorVersion":0,"MinorVersion":0,"ParentContextRecordSubjects":[]}"#,
        ),
    ]
}

fn event(kind: EventKind, generation: i64, time: &str, end: Option<&str>) -> Event {
    let instant = |text: &str| text.parse::<Timestamp>().unwrap();
    Event {
        id: event_id("finance-operations", "k3v9x2", generation),
        kind,
        control_number: 5_637_611_080 + generation,
        time: instant(time),
        legal_entity: "usmf".to_owned(),
        job_id: 5_637_144_576,
        job_description: "Close \"May\" – Zürich".to_owned(),
        job_status: match kind {
            EventKind::Started => Status::Executing,
            EventKind::Failed => Status::Error,
            EventKind::Finished => Status::Finished,
            EventKind::Canceled => Status::Canceled,
        },
        job_end: end.map(instant),
        owner_email: "owner@example.com".to_owned(),
        executed_by_email: "runner@example.com".to_owned(),
        admin_email: "admin@example.com".to_owned(),
        initiating_user: Some(Uuid::from_u128(0x8f3d_52c1_0b6e_4b5e_9a51_c07c_5d1e_2f3a)),
    }
}
