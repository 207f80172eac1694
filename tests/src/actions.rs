//! Which actions each function makes on the table: for whoever grants it those, and no others.

use std::{
    collections::BTreeSet,
    env,
    fs::OpenOptions,
    io::Write,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

/// The variable with the file that actions are added to, one a line: function, action, and the index if there is one.
/// Without it nothing is recorded.
const FILE: &str = "REBATCH_ACTIONS";

/// Records what a call of a function takes. `operation` is its name in the API, `body` the request.
pub fn record(function: &str, operation: &str, body: &Value) {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let Some(file) = env::var_os(FILE) else { return };
    let mut new = String::new();
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    for action in actions(operation, body) {
        let line = format!("{function} {action}\n");
        if seen.insert(line.clone()) {
            new.push_str(&line);
        }
    }
    if !new.is_empty() {
        let mut file = OpenOptions::new().append(true).create(true).open(file).expect("a file to record actions in");
        // In one piece: other processes record in it as well.
        file.write_all(new.as_bytes()).expect("an action is recorded");
    }
}

/// What has to be granted for a call. There are no actions for transactions: each of their members takes its own
/// (`reference/aws-facts.md`, DynamoDB).
fn actions(operation: &str, body: &Value) -> Vec<String> {
    let members = |action: &dyn Fn(&str) -> Option<String>| {
        let items = body["TransactItems"].as_array().into_iter().flatten();
        items.filter_map(Value::as_object).flat_map(|item| item.keys()).filter_map(|kind| action(kind)).collect()
    };
    match operation {
        "TransactWriteItems" => members(&|kind| {
            let action = if kind == "ConditionCheck" { "ConditionCheckItem".to_owned() } else { format!("{kind}Item") };
            Some(format!("dynamodb:{action}"))
        }),
        "TransactGetItems" => members(&|_| Some("dynamodb:GetItem".to_owned())),
        _ => {
            let index = body["IndexName"].as_str().map(|index| format!(" index/{index}")).unwrap_or_default();
            vec![format!("dynamodb:{operation}{index}")]
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_transaction_takes_what_its_members_take() {
        let write = json!({ "TransactItems": [{ "Put": {} }, { "ConditionCheck": {} }, { "Delete": {} }] });
        let expected = ["dynamodb:PutItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem"];
        assert_eq!(actions("TransactWriteItems", &write), expected);
        assert_eq!(actions("TransactGetItems", &json!({ "TransactItems": [{ "Get": {} }] })), ["dynamodb:GetItem"]);
        assert_eq!(actions("Query", &json!({})), ["dynamodb:Query"]);
        assert_eq!(actions("Query", &json!({ "IndexName": "due" })), ["dynamodb:Query index/due"]);
    }
}
