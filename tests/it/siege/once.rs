//! A partition that a batch asks for many times is read once.

use serde_json::{Value, json};

use crate::rig::{Rig, member};

const ROOT: &str = "/trippin";

/// So many airlines of so many bytes, named by their number modulo that.
async fn filled(count: usize, bytes: usize, modulo: usize) -> Rig {
    let rig = Rig::seeded().await;
    let numbers: Vec<usize> = (0..count).collect();
    for some in numbers.chunks((3_000_000 / bytes).min(100)) {
        let create = |at: &usize| {
            let name = format!("{} {}", at % modulo, "n".repeat(bytes));
            let body = json!({ "AirlineCode": format!("Z{at:04}"), "Name": name });
            member(Some("g"), &at.to_string(), "POST", "Airlines", body)
        };
        let answer = rig.batch(ROOT, &some.iter().map(create).collect::<Vec<_>>()).await;
        assert!(answer.statuses().iter().all(|status| *status == 201));
    }
    rig.strict.forget();
    rig
}

fn reads(urls: impl IntoIterator<Item = String>) -> Vec<Value> {
    let reads = urls.into_iter().enumerate();
    reads.map(|(id, url)| member(None, &id.to_string(), "GET", &url, Value::Null)).collect()
}

fn bodies(answer: &Value) -> Vec<Value> {
    answer["responses"].as_array().unwrap().iter().map(|response| response["body"].clone()).collect()
}

#[tokio::test]
async fn a_partition_is_read_once_for_all_filters_of_a_batch() {
    let rig = filled(500, 3_000, 500).await;
    let alone = rig.get(&format!("{ROOT}/Airlines?$filter=startswith(Name,'17 ')")).await;
    let pages = rig.calls().len();
    assert!(pages > 1 && alone.status == 200);
    // The same, others beside it, counts, and one that goes on after some.
    let token = |at: usize| format!("$skiptoken={}", base64_url(&format!("Z{at:04}")));
    let url = |at: usize| match at % 4 {
        0 => "Airlines?$filter=startswith(Name,'17 ')".to_owned(),
        1 => format!("Airlines?$filter=startswith(Name,'{at} ')"),
        2 => format!("Airlines?$filter=contains(Name,'{at} n')&$count=true&$top=1"),
        _ => format!("Airlines?$filter=startswith(Name,'{at} ')&{}", token(at / 2)),
    };
    let answer = rig.batch(ROOT, &reads((0..400).map(url))).await;
    assert_eq!(answer.statuses(), [200; 400]);
    assert_eq!(rig.calls(), vec!["Query"; pages]);
    let shown = bodies(&answer.json());
    for (at, body) in shown.iter().enumerate() {
        let found: Vec<&str> =
            body["value"].as_array().unwrap().iter().map(|row| row["AirlineCode"].as_str().unwrap()).collect();
        let expected = if at % 4 == 0 { 17 } else { at };
        if at % 4 == 2 {
            assert!(body["@odata.count"].as_u64().or(body["@count"].as_u64()) >= Some(1), "{body}");
        } else {
            assert_eq!(found, [format!("Z{expected:04}")], "{at}");
        }
    }
}

#[tokio::test]
async fn what_is_read_together_is_what_is_read_alone() {
    let rig = filled(500, 3_000, 500).await;
    let urls = [
        "Airlines?$top=3",
        "Airlines?$filter=contains(Name,'9')&$top=5&$skip=7",
        "Airlines?$filter=contains(Name,'9')&$top=5&$skip=9",
        "Airlines/$count?$filter=contains(Name,'77')",
        "Airlines?$filter=startswith(AirlineCode,'Z01')&$select=AirlineCode",
        "Airlines?$top=3&$skip=2",
        "Airlines?$filter=AirlineCode eq 'Z0300'",
        "Airlines?$count=true&$top=1",
        "Airlines",
        "Airlines?$top=0",
    ];
    let mut alone = Vec::new();
    for url in urls {
        let answer = rig.get(&format!("{ROOT}/{}", url.replace(' ', "%20"))).await;
        assert_eq!(answer.status, 200, "{url}: {}", answer.text());
        alone.push(answer.json());
    }
    let twice = urls.iter().chain(&urls).map(|url| (*url).replace(' ', "%20"));
    let answer = rig.batch(ROOT, &reads(twice)).await;
    assert_eq!(answer.statuses(), [200; 20]);
    for (at, body) in bodies(&answer.json()).into_iter().enumerate() {
        let expected = &alone[at % urls.len()];
        if expected.is_object() {
            assert_eq!(body["value"], expected["value"], "{}", urls[at % urls.len()]);
            assert_eq!(body["@odata.count"], expected["@odata.count"], "{}", urls[at % urls.len()]);
        } else {
            assert_eq!(body.to_string().trim_matches('"'), expected.to_string(), "{}", urls[at % urls.len()]);
        }
    }
}

/// More than is held at once is read again, and nothing is missing.
#[tokio::test]
async fn filters_that_find_much_come_again() {
    let rig = filled(96, 100_000, 12).await;
    let url = |at: usize| format!("Airlines?$filter=startswith(Name,'{} ')&$select=AirlineCode", at % 12);
    let pages = {
        rig.get(&format!("{ROOT}/{}", url(99).replace(' ', "%20"))).await;
        rig.calls().len()
    };
    let answer = rig.batch(ROOT, &reads((0..24).map(url))).await;
    assert_eq!(answer.statuses(), [200; 24]);
    for (at, body) in bodies(&answer.json()).iter().enumerate() {
        let found = body["value"].as_array().unwrap().iter().map(|row| row["AirlineCode"].as_str().unwrap().to_owned());
        let expected = (0..96).filter(|number| number % 12 == at % 12).map(|number| format!("Z{number:04}"));
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{at}");
    }
    // 9.6 MB are found, and 8 MiB are held at once.
    let calls = rig.calls().len();
    assert!((2 * pages..=4 * pages).contains(&calls), "{calls} calls, {pages} pages");
}

#[tokio::test]
async fn a_write_between_two_reads_is_seen_by_the_second() {
    let rig = filled(500, 3_000, 500).await;
    let url = "Airlines?$filter=startswith(Name,'new')&$select=Name";
    let body = json!({ "AirlineCode": "NEW", "Name": "new" });
    let requests = [
        member(None, "1", "GET", url, Value::Null),
        member(None, "2", "POST", "Airlines", body),
        member(None, "3", "GET", url, Value::Null),
    ];
    let answer = rig.batch(ROOT, &requests).await;
    let shown = bodies(&answer.json());
    let count = |at: usize| shown[at]["value"].as_array().unwrap().len();
    assert_eq!((answer.statuses(), count(0), count(2)), (vec![200, 201, 200], 0, 1));
}

fn base64_url(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(text)
}
