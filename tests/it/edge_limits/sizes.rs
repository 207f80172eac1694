//! Answers that do not fit.

use serde_json::{Value, json};
use shared::exchange::MAX_PAYLOAD;
use tests::service::Part;

use super::*;

/// Weighs 0.8 MB in an answer.
fn heavy(code: usize) -> Operation {
    Operation::create(&format!("h{code}"), &quotes(200_000))
}

#[tokio::test]
async fn a_batch_of_5_9_megabytes_is_carried_out() {
    for format in FORMATS {
        let service = things("odata", "").await;
        let items = ones((0..15).map(|at| Operation::create(&at.to_string(), &"x".repeat(393_000)).minimal()));
        let size = format.body(&items).len();
        assert!((5_890_000..6_000_000).contains(&size), "{size}");
        let answer = format.send(&service, CONTINUE, &items).await;
        assert_eq!((answer.status, statuses(&answer)), (200, vec![204; 15]));
        agree(&service, &items, &answer).await;
    }
}

/// The answers would be 7.2 MB. Seven of nine fit; a small one fits after those that do not.
#[tokio::test]
async fn creates_whose_answers_do_not_fit_are_not_run() {
    for (profile, format) in PROFILES.into_iter().zip(FORMATS.into_iter().cycle()) {
        let service = things(profile, "").await;
        let mut items = ones((0..9).map(heavy));
        items.push(Item::One(Operation::create("last", "small")));
        let answer = format.send(&service, CONTINUE, &items).await;
        let expected = [[201; 7].as_slice(), &[413, 413, 201]].concat();
        assert_eq!((answer.status, statuses(&answer)), (200, expected), "{profile} {format:?}");
        let refusal = answers(&answer)[7].2.to_string();
        assert!(refusal.contains("6287460 bytes; the operation was not run"), "{refusal}");
        agree(&service, &items, &answer).await;
    }
}

/// Dataverse repeats the status of the first failure outside: not when whoever sends the batch again does work again.
#[tokio::test]
async fn a_batch_that_stops_ends_with_the_first_answer_that_does_not_fit() {
    for (profile, format) in [("dataverse", Format::Json), ("odata", Format::Multipart)] {
        let service = things(profile, "").await;
        let items = ones((0..9).map(heavy));
        let answer = format.send(&service, STOP, &items).await;
        assert_eq!((answer.status, statuses(&answer)), (200, [[201; 7].as_slice(), &[413]].concat()), "{profile}");
        agree(&service, &items, &answer).await;
    }
}

/// Each change set is 2.4 MB of answers: two fit, the third fails in the shape of the profile, a small one fits.
#[tokio::test]
async fn a_change_set_whose_answers_do_not_fit_is_not_run() {
    for profile in PROFILES {
        for format in FORMATS {
            let service = things(profile, "").await;
            let set = |at: usize| Item::Set((3 * at..3 * at + 3).map(heavy).collect());
            let mut items: Vec<Item> = (0..3).map(set).collect();
            items.push(Item::Set(vec![Operation::create("a", ""), Operation::create("b", "")]));
            let answer = format.send(&service, CONTINUE, &items).await;
            let failed: &[u16] = if format == Format::Json { &[413, 424, 424] } else { &[413] };
            assert_eq!(statuses(&answer), [&[201; 6], failed, &[201, 201]].concat(), "{profile} {format:?}");
            if format == Format::Multipart {
                let third = &answer.parts()[2];
                assert_eq!(matches!(third, Part::Group(_)), profile == "dataverse", "{third:?}");
            }
            agree(&service, &items, &answer).await;
        }
    }
}

#[tokio::test]
async fn a_snapshot_whose_answers_do_not_fit_is_not_run_at_all() {
    for format in FORMATS {
        let service = things("business-central", "").await;
        let items = ones((0..9).map(heavy));
        let answer = format.send(&service, ("Isolation", "snapshot"), &items).await;
        assert_eq!((answer.status, statuses(&answer)), (200, vec![413]));
        agree(&service, &items, &answer).await;
        let answer = format.send(&service, ("Isolation", "snapshot"), &items[..7]).await;
        assert_eq!((answer.status, statuses(&answer)), (200, vec![201; 7]));
        agree(&service, &items[..7], &answer).await;
    }
}

/// What has no room is taken back by itself, and what follows does not see it.
#[tokio::test]
async fn creates_whose_answers_do_not_fit_are_left_out_of_a_snapshot_of_plain_odata() {
    let service = things("odata", "").await;
    let mut items = ones((0..9).map(heavy));
    items.extend(ones([Operation::create("last", "small"), Operation::get("Things/$count")]));
    let answer = Format::Json.send(&service, ("Isolation", "snapshot"), &items).await;
    let expected = [[201; 7].as_slice(), &[413, 413, 201, 200]].concat();
    assert_eq!((answer.status, statuses(&answer)), (200, expected));
    assert_eq!(answers(&answer)[10].2, json!("8"));
    agree(&service, &items, &answer).await;
}

/// 20 entities of 390 KB: 16 fit into an answer. What is small fits after them.
#[tokio::test]
async fn reads_whose_answers_do_not_fit_are_refused() {
    let service = things("odata", "").await;
    let text = "x".repeat(390_000);
    for some in (0..20).collect::<Vec<_>>().chunks(5) {
        let items = ones(some.iter().map(|at| Operation::create(&at.to_string(), &text).minimal()));
        assert_eq!(statuses(&Format::Json.send(&service, CONTINUE, &items).await), [204; 5]);
    }
    let mut reads: Vec<Operation> = (0..20).map(|at| Operation::get(format!("Things('{at}')"))).collect();
    reads.push(Operation::get("Things('3')?$select=Code"));
    for format in FORMATS {
        let expected = [[200; 16].as_slice(), &[413; 4], &[200]].concat();
        let answer = format.send(&service, CONTINUE, &ones(reads.clone())).await;
        assert_eq!(statuses(&answer), expected);
        assert!(payload(&answer) <= MAX_PAYLOAD);
        let answer = format.send(&service, STOP, &ones(reads.clone())).await;
        assert_eq!(statuses(&answer), expected[..17]);
    }
    let group = [Item::Set(reads)];
    let answer = Format::Json.send(&service, CONTINUE, &group).await;
    assert_eq!(statuses(&answer), [[424; 16].as_slice(), &[413], &[424; 4]].concat());
}

#[tokio::test]
async fn dozens_of_large_reads_are_answered_as_far_as_there_is_room() {
    let service = things("odata", "").await;
    let item = [Item::One(Operation::create("x", &"x".repeat(392_900)).minimal())];
    assert_eq!(statuses(&Format::Json.send(&service, CONTINUE, &item).await), [204]);
    let items = ones((0..60).map(|_| Operation::get("Things('x')")));
    let answer = Format::Json.send(&service, CONTINUE, &items).await;
    let statuses = statuses(&answer);
    let (read, refused): (Vec<u16>, Vec<u16>) = statuses.iter().partition(|status| **status == 200);
    assert_eq!((read.len(), refused), (15, vec![413; 45]), "{statuses:?}");
    assert!(payload(&answer) <= MAX_PAYLOAD);
}

#[tokio::test]
async fn a_single_write_whose_answer_does_not_fit_is_not_run() {
    for profile in PROFILES {
        let service = things(profile, "").await;
        let parts: Vec<Value> = (0..10).map(|no| json!({ "No": no, "Text": quotes(200_000) })).collect();
        let deep = json!({ "Code": "x", "Parts": parts });
        let representation = [("Prefer", "return=representation")];
        let answer = service.write("POST", "Things", &representation, deep.clone()).await;
        assert_eq!(answer.status, 413, "{profile}");
        assert!(answer.message().contains("the operation was not run"), "{}", answer.message());
        assert_eq!(service.get("Things('x')").await.status, 404);
        let answer = service.write("POST", "Things", &[("Prefer", "return=minimal")], deep).await;
        assert_eq!((answer.status, service.count("Things('x')/Parts").await), (204, 10));
    }
}

/// Ids are echoed: 12,000 of 256 characters leave no room for the shortest of answers.
#[tokio::test]
async fn a_batch_whose_least_answers_do_not_fit_is_refused_as_a_whole() {
    let service = things("odata", "[limits]\noperations = 20000\n").await;
    let requests = |count: usize| -> Value {
        (0..count).map(|at| json!({ "id": format!("{at:0>256}"), "method": "GET", "url": "nowhere" })).collect()
    };
    service.strict().forget();
    let answer = service.batch(&[CONTINUE], requests(12_000)).await;
    assert_eq!(answer.status, 413);
    assert!(answer.message().contains("nothing of it was run"), "{}", answer.message());
    assert!(service.strict().calls().is_empty());
    // Only one of them is answered when the batch stops there.
    let answer = service.batch(&[STOP], requests(12_000)).await;
    assert_eq!((answer.status, statuses(&answer)), (200, vec![404]));
    let answer = service.batch(&[CONTINUE], requests(5000)).await;
    assert_eq!((answer.status, statuses(&answer)), (200, vec![404; 5000]));
    assert!(payload(&answer) <= MAX_PAYLOAD);
}

/// An error that repeats a long key takes more than an answer that says that nothing was run.
#[tokio::test]
async fn an_error_that_does_not_fit_gives_way_to_a_shorter_one() {
    let service = things("odata", "").await;
    let mut items = ones((0..7).map(heavy));
    items.push(Item::One(Operation::create("filler", &quotes(105_000))));
    let url = format!("Things('{}')", "k".repeat(1000));
    items.extend(ones((0..300).map(|_| Operation::get(url.clone()))));
    let answer = Format::Json.send(&service, CONTINUE, &items).await;
    let statuses = statuses(&answer);
    assert_eq!((&statuses[..8], statuses.len()), (&[201; 8][..], 308));
    assert!(statuses[8..].iter().all(|status| matches!(status, 404 | 413)), "{statuses:?}");
    assert!(statuses.contains(&404) && statuses.contains(&413), "{statuses:?}");
    agree(&service, &items, &answer).await;
}
