//! The strict layer, which other tests rely on.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, ConditionCheck, Delete, KeySchemaElement, KeyType,
        KeysAndAttributes, Put, ScalarAttributeType, TransactWriteItem,
    },
};
use local::embedded::Embedded;
use shared::store;
use tests::strict::{Fault, Plan, Strict};

const TABLE: &str = "items";

async fn strict(hold: Duration) -> (Strict, Client) {
    let strict = Strict::new(Embedded::memory().unwrap()).holding(hold);
    let client = store::through(strict.clone());
    let attribute = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk"))
        .attribute_definitions(attribute("sk"))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .send()
        .await
        .unwrap();
    strict.forget();
    (strict, client)
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn put(key: &str, value: &str) -> TransactWriteItem {
    let put = Put::builder().table_name(TABLE).item("pk", text("p")).item("sk", text(key)).item("v", text(value));
    TransactWriteItem::builder().put(put.build().unwrap()).build()
}

fn puts(count: usize) -> Vec<TransactWriteItem> {
    (0..count).map(|at| put(&at.to_string(), "")).collect()
}

async fn read(client: &Client, key: &str) -> Option<String> {
    let answer = client.get_item().table_name(TABLE).key("pk", text("p")).key("sk", text(key)).send().await.unwrap();
    answer.item.map(|item| item.get("v").unwrap().as_s().unwrap().clone())
}

async fn transact(client: &Client, items: Vec<TransactWriteItem>, token: &str) -> Result<(), String> {
    let sent = client.transact_write_items().set_transact_items(Some(items)).client_request_token(token).send().await;
    sent.map(drop).map_err(|error| error.code().unwrap_or("none").to_owned())
}

#[tokio::test]
async fn limits_are_those_of_dynamodb() {
    let (_, client) = strict(Duration::ZERO).await;
    let refused = Err("ValidationException".to_owned());
    assert_eq!(transact(&client, puts(100), "a").await, Ok(()));
    assert_eq!(transact(&client, puts(101), "b").await, refused);
    assert_eq!(transact(&client, vec![put("1", "x"), put("1", "y")], "c").await, refused);
    let delete = Delete::builder().table_name(TABLE).key("pk", text("p")).key("sk", text("1")).build().unwrap();
    let delete = TransactWriteItem::builder().delete(delete).build();
    assert_eq!(transact(&client, vec![put("1", "x"), delete], "d").await, refused);
    let big = "x".repeat(399 << 10);
    assert_eq!(transact(&client, (0..11).map(|at| put(&at.to_string(), &big)).collect(), "e").await, refused);
    let huge = vec![put("1", &"x".repeat(400 << 10))];
    assert_eq!(transact(&client, huge, "f").await, refused);

    let keys = |count: usize, distinct: usize| {
        let keys = (0..count)
            .map(|at| [("pk".to_owned(), text("p")), ("sk".to_owned(), text(&(at % distinct).to_string()))].into());
        KeysAndAttributes::builder().set_keys(Some(keys.collect())).build().unwrap()
    };
    assert!(client.batch_get_item().request_items(TABLE, keys(100, 100)).send().await.is_ok());
    for (count, distinct) in [(101, 101), (2, 1)] {
        let error = client.batch_get_item().request_items(TABLE, keys(count, distinct)).send().await.unwrap_err();
        assert_eq!(error.code(), Some("ValidationException"));
    }
}

#[tokio::test]
async fn a_token_runs_once_and_with_one_content() {
    let (_, client) = strict(Duration::ZERO).await;
    let check = ConditionCheck::builder()
        .table_name(TABLE)
        .key("pk", text("p"))
        .key("sk", text("none"))
        .condition_expression("attribute_not_exists(pk)")
        .build()
        .unwrap();
    let check = TransactWriteItem::builder().condition_check(check).build();
    assert_eq!(transact(&client, vec![put("1", "first"), check.clone()], "t").await, Ok(()));
    assert_eq!(transact(&client, vec![put("1", "second")], "u").await, Ok(()));
    assert_eq!(transact(&client, vec![put("1", "first"), check], "t").await, Ok(()));
    assert_eq!(read(&client, "1").await.as_deref(), Some("second"));
    let other = transact(&client, vec![put("1", "third")], "t").await;
    assert_eq!(other, Err("IdempotentParameterMismatchException".to_owned()));
}

#[tokio::test]
async fn writes_under_way_conflict() {
    let (strict, client) = strict(Duration::from_millis(50)).await;
    let slow = tokio::spawn({
        let client = client.clone();
        async move { transact(&client, vec![put("1", "slow"), put("2", "slow")], "slow").await }
    });
    tokio::time::sleep(Duration::from_millis(15)).await;
    let single = client.put_item().table_name(TABLE).item("pk", text("p")).item("sk", text("1")).send().await;
    assert_eq!(single.unwrap_err().code(), Some("TransactionConflictException"));
    let error = client
        .transact_write_items()
        .set_transact_items(Some(vec![put("3", "x"), put("2", "x")]))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        cancelled,
    ) = error
    else {
        panic!("{error:?}")
    };
    let codes: Vec<_> = cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(codes, ["None", "TransactionConflict"]);
    let same = transact(&client, vec![put("1", "slow"), put("2", "slow")], "slow").await;
    assert_eq!(same, Err("TransactionInProgressException".to_owned()));
    assert_eq!(read(&client, "1").await, None);
    assert_eq!(slow.await.unwrap(), Ok(()));
    assert_eq!(transact(&client, vec![put("1", "after")], "after").await, Ok(()));
    assert_eq!(strict.counts().get("TransactWriteItems"), Some(&4));
}

#[tokio::test]
async fn faults_strike_before_or_after_the_effect() {
    let faults = [
        (Fault::FailBefore, false),
        (Fault::FailAfterCommit, true),
        (Fault::DropBefore, false),
        (Fault::DropAfterCommit, true),
        (Fault::Timeout, false),
        (Fault::TimeoutAfterCommit, true),
        (Fault::Throttle, false),
        (Fault::Conflict, false),
    ];
    for (fault, effect) in faults {
        let (strict, client) = strict(Duration::ZERO).await;
        strict.set_plan(Plan::at(0, fault));
        assert!(transact(&client, puts(2), "t").await.is_err(), "{fault:?}");
        assert_eq!(read(&client, "1").await.is_some(), effect, "{fault:?}");
        assert_eq!(transact(&client, puts(2), "t").await, Ok(()), "{fault:?}");
        let faults: Vec<_> = strict.calls().into_iter().map(|call| call.fault).collect();
        assert_eq!(faults, [Some(fault), None, None], "no call is repeated by the SDK");
    }
}

#[tokio::test]
async fn unprocessed_keys_come_back() {
    let (strict, client) = strict(Duration::ZERO).await;
    transact(&client, puts(5), "t").await.unwrap();
    strict.set_plan(Plan::from_fn(|call| (call.operation == "BatchGetItem").then_some(Fault::UnprocessedKeys)));
    let keys = (0..5).map(|at: i32| [("pk".to_owned(), text("p")), ("sk".to_owned(), text(&at.to_string()))].into());
    let mut left = KeysAndAttributes::builder().set_keys(Some(keys.collect())).build().unwrap();
    for expected in [(2, 3), (1, 2), (1, 1), (0, 1)] {
        let answer = client.batch_get_item().request_items(TABLE, left.clone()).send().await.unwrap();
        let found = answer.responses().and_then(|tables| tables.get(TABLE)).map_or(0, Vec::len);
        left = answer.unprocessed_keys().unwrap().get(TABLE).unwrap().clone();
        assert_eq!((found, left.keys().len()), expected);
    }
}
