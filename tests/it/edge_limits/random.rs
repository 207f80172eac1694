//! Batches of random sizes near the limit.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::*;

/// Operations whose answers weigh about the limit together, with many small ones near the end.
fn random_items(random: &mut StdRng) -> Vec<Item> {
    let mut code = 0;
    let mut create = |random: &mut StdRng, most: usize| {
        code += 1;
        let texts = [quotes(1), "x".into(), "\n".into(), "é".into()];
        let text = texts.choose(random).unwrap();
        let operation = Operation::create(&format!("c{code}"), &text.repeat(random.random_range(0..most)));
        if random.random_ratio(1, 8) { operation.minimal() } else { operation }
    };
    let mut items = Vec::new();
    for at in 0..random.random_range(20..45) {
        let most = if at < 30 { 180_000 } else { 3_000 };
        items.push(match random.random_range(0..6) {
            0 => Item::One(Operation::get("Things?$top=2")),
            1 => Item::Set((0..random.random_range(1..4)).map(|_| create(random, most)).collect()),
            _ => Item::One(create(random, most)),
        });
    }
    items
}

#[tokio::test]
async fn what_is_stored_is_what_was_answered_whatever_the_sizes() {
    let mut refused = 0;
    for seed in 0..12 {
        let mut random = StdRng::seed_from_u64(seed);
        let items = random_items(&mut random);
        let format = FORMATS[random.random_range(0..2)];
        let header = if random.random_ratio(1, 4) { STOP } else { CONTINUE };
        if format.body(&items).len() > 6_291_456 {
            continue;
        }
        let service = things(PROFILES.choose(&mut random).unwrap(), "").await;
        let answer = format.send(&service, header, &items).await;
        let statuses = statuses(&answer);
        assert_eq!(answer.status, 200, "seed {seed}: {}", answer.text().get(..500).unwrap_or_default());
        assert!(
            statuses.iter().all(|status| matches!(status, 200 | 201 | 204 | 413 | 424)),
            "seed {seed}: {statuses:?}"
        );
        agree(&service, &items, &answer).await;
        refused += usize::from(statuses.contains(&413));
    }
    assert!(refused > 3, "{refused} of the batches were too large");
}
