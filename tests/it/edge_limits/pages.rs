//! Pages end before they are too large.

use serde_json::Value;

use super::*;

/// Codes of all pages from a URL on, and how many entities each page has.
async fn pages(service: &TestService, url: &str) -> (Vec<String>, Vec<usize>) {
    let (mut codes, mut sizes) = (Vec::new(), Vec::new());
    let mut next = Some(url.to_owned());
    while let Some(url) = next {
        let page = service.get(url.trim_start_matches("http://host")).await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(payload(&page) < 4_300_000);
        let rows = page.rows();
        sizes.push(rows.len());
        codes.extend(rows.iter().map(|row| row["Code"].as_str().unwrap().to_owned()));
        next = page.json()["@odata.nextLink"].as_str().map(str::to_owned);
    }
    (codes, sizes)
}

async fn filled(text: &str, further: &str) -> TestService {
    let service = things("odata", further).await;
    for at in 0..30 {
        let thing = serde_json::json!({ "Code": format!("{at:02}"), "Text": text });
        assert_eq!(service.write("POST", "Things", &[("Prefer", "return=minimal")], thing).await.status, 204);
    }
    service
}

fn codes(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|at| format!("{at:02}")).collect()
}

#[tokio::test]
async fn large_entities_make_short_pages_that_lead_to_the_end() {
    let service = filled(&"x".repeat(390_000), "").await;
    assert_eq!(pages(&service, "Things").await, (codes(0..30), vec![10, 10, 10]));
    assert_eq!(pages(&service, "Things?$top=25").await, (codes(0..25), vec![10, 10, 5]));
    assert_eq!(pages(&service, "Things?$top=10").await, (codes(0..10), vec![10]));
    // What is passed over takes no room.
    assert_eq!(pages(&service, "Things?$skip=12&$top=11").await, (codes(12..23), vec![10, 1]));
    assert_eq!(pages(&service, "Things?$skip=28&$count=true").await.0, codes(28..30));
    // Entities with short answers are read no further either, and counted all the same.
    let page = service.get("Things?$select=Code&$count=true").await;
    assert_eq!((page.rows().len(), &page.json()["@odata.count"]), (10, &Value::from(30)));
}

#[tokio::test]
async fn entities_that_grow_in_answers_make_short_pages() {
    let service = filled(&quotes(150_000), "").await;
    let (found, sizes) = pages(&service, "Things").await;
    assert_eq!((found, sizes), (codes(0..30), vec![6; 5]));
}

#[tokio::test]
async fn pages_over_shards_end_at_the_same_entity() {
    let service = filled(&"x".repeat(390_000), "[shards]\nThings = 4\n").await;
    let (found, sizes) = pages(&service, "Things").await;
    assert_eq!(found, codes(0..30));
    assert!(sizes.len() > 2 && sizes.iter().all(|size| *size > 0), "{sizes:?}");
    // More may be passed over than one page can hold.
    assert_eq!(pages(&service, "Things?$skip=11&$top=15").await.0, codes(11..26));
}
