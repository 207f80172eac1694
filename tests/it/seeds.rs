//! Seeds: historic data keeps what the service would compute; clients do not.

use serde_json::{Value, json};
use shared::service::Source;
use tests::{binaries::workspace, service::TestService};

/// A shipped service with another seed.
async fn seeded(name: &str, root: &str, seed: Value) -> TestService {
    TestService::of(source(name, &seed), root).await
}

/// The files of a shipped service with another seed.
fn source(name: &str, seed: &Value) -> Source {
    let folder = workspace().join("infra/services").join(name);
    let file = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let seed_json = Some(seed.to_string().into());
    let (service_toml, model_xml) = (file("service.toml"), file("model.xml").into());
    Source { name: name.into(), service_toml, model_xml, seed_json }
}

#[tokio::test]
async fn a_key_that_two_rows_have_stops_the_start_also_where_the_service_makes_it() {
    let trip = |own: Value| {
        let mut trip =
            json!({ "Name": "t", "Budget": 1, "StartsAt": "2026-01-01T00:00:00Z", "EndsAt": "2026-01-02T00:00:00Z" });
        trip.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        trip
    };
    let trips = [trip(json!({})), trip(json!({ "TripId": 1 }))];
    for (name, root, seed, parts) in [
        (
            "trippin",
            "/trippin",
            json!({ "People": [{ "UserName": "ada", "FirstName": "A", "LastName": "B", "Trips": trips }] }),
            ["trippin/seed.json:1:12: row of 'People': ", "(1)"],
        ),
        (
            "finance-operations",
            "/data",
            json!({ "BatchJobs": [{ "JobDescription": "first" }, { "BatchJobRecId": 5_637_144_584_i64, "JobDescription": "second" }] }),
            ["finance-operations/seed.json:1:42: row of 'BatchJobs': ", "(5637144584)"],
        ),
        (
            "business-central",
            "/api/v2.0",
            json!({ "items": [{ "id": "00000000-0000-0000-0000-00000000000a",
                "picture": { "id": "00000000-0000-0000-0000-00000000000b", "width": 3 } }] }),
            ["business-central/seed.json:1:11: row of 'items': ", "'id'"],
        ),
    ] {
        let stopped = TestService::seeded(source(name, &seed), root).await.unwrap_err().to_string();
        assert!(parts.iter().all(|part| stopped.contains(part)), "{stopped}");
    }
}

#[tokio::test]
async fn a_seed_gives_computed_properties_their_values() {
    let account = "accounts(00000000-0000-0000-0000-00000000000a)";
    let row = json!({ "accountid": &account[9..45], "createdon": "2011-02-03T04:05:06Z", "modifiedon": "2012-01-01T00:00:00Z" });
    let dataverse = seeded("dataverse", "/api/data/v9.2", json!({ "accounts": [row.clone()] })).await;
    let read = dataverse.get(account).await.json();
    assert_eq!((&read["createdon"], &read["modifiedon"]), (&row["createdon"], &row["modifiedon"]));
    // A client's values do not count.
    let mut other = row.clone();
    other["accountid"] = json!("00000000-0000-0000-0000-00000000000b");
    assert_eq!(dataverse.post("accounts", other).await.status, 204);
    let read = dataverse.get("accounts(00000000-0000-0000-0000-00000000000b)").await.json();
    assert_ne!(read["createdon"], row["createdon"]);

    let row = json!({ "id": "00000000-0000-0000-0000-00000000000c", "code": "OLD", "lastModifiedDateTime": "2015-06-07T08:09:10.110Z" });
    let central = seeded("business-central", "/api/v2.0", json!({ "journals": [row.clone()] })).await;
    let read = central.get("journals(00000000-0000-0000-0000-00000000000c)").await.json();
    assert_eq!(read["lastModifiedDateTime"], row["lastModifiedDateTime"]);
}

#[tokio::test]
async fn a_seed_gives_jobs_their_counters() {
    let job = json!({ "BatchJobRecId": 7, "JobDescription": "old", "Status": "Error", "RetryCount": 3, "Generation": 9,
        "LastChangedBy": "nightly" });
    let service = seeded(
        "finance-operations",
        "/data",
        json!({ "BatchJobs": [job.clone(), { "BatchJobRecId": 8, "Status": "Hold" }] }),
    )
    .await;
    let read = service.get("BatchJobs(7)").await.json();
    for name in ["RetryCount", "Generation", "LastChangedBy", "Status"] {
        assert_eq!(read[name], job[name], "{name}");
    }
    let plain = service.get("BatchJobs(8)").await.json();
    assert_eq!(
        (&plain["RetryCount"], &plain["Generation"], &plain["LastChangedBy"]),
        (&json!(0), &json!(1), &json!("seed"))
    );
    let mut other = job;
    other["BatchJobRecId"] = json!(9);
    assert_eq!(service.post("BatchJobs", other).await.status, 400, "RetryCount counts by itself for clients");
}
