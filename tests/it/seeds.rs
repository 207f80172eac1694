//! Seeds: historic data keeps what the service would compute; clients do not.

use serde_json::{Value, json};
use shared::service::Source;
use tests::{binaries::workspace, service::TestService};

/// A shipped service with another seed.
async fn seeded(name: &str, root: &str, seed: Value) -> TestService {
    let folder = workspace().join("infra/services").join(name);
    let file = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let seed_json = Some(seed.to_string().into());
    let (service_toml, model_xml) = (file("service.toml"), file("model.xml").into());
    TestService::of(Source { name: name.into(), service_toml, model_xml, seed_json }, root).await
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
