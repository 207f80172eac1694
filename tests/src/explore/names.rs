//! Names for what is random, so that two runs which do the same look the same.

use std::collections::HashMap;

use serde_json::Value;

/// What calls differ in without a meaning.
const MEANINGLESS: [&str; 2] = ["ClientRequestToken", "ReturnConsumedCapacity"];

/// Members whose items have no order: keys, sets, and the items of the table in the answer to a BatchGetItem.
const UNORDERED: [&str; 3] = ["Keys", "SS", super::TABLE];

/// Random texts by the actor that used each first, in the order of its use.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: HashMap<String, String>,
    counts: HashMap<usize, usize>,
}

impl Names {
    /// Names what is new in a request of an actor.
    pub(super) fn learn(&mut self, actor: usize, json: &Value) {
        match json {
            Value::String(text) => {
                for word in words(text).filter(|word| is_random(word)) {
                    if !self.names.contains_key(word) {
                        let count = self.counts.entry(actor).or_default();
                        *count += 1;
                        self.names.insert(word.to_owned(), format!("<{actor}.{count}>"));
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(actor, item)),
            Value::Object(_) => members(json).iter().for_each(|(_, value)| self.learn(actor, value)),
            _ => {}
        }
    }

    /// The actor that used a text first.
    pub(super) fn actor(&self, text: &str) -> Option<usize> {
        self.names.get(text)?.trim_start_matches('<').split('.').next()?.parse().ok()
    }

    /// A value as one text: members in the order of their names, what is random by name.
    pub(super) fn text(&self, json: &Value) -> String {
        let mut text = String::new();
        self.write(json, &mut text);
        text
    }

    /// Keys are asked for and answered in the order of texts that may be random.
    fn write_unordered(&self, items: &[Value], out: &mut String) {
        let mut texts: Vec<String> = items.iter().map(|item| self.text(item)).collect();
        texts.sort_unstable();
        out.push_str(&texts.join(","));
    }

    fn write(&self, json: &Value, out: &mut String) {
        match json {
            Value::String(text) => {
                let mut rest = text.as_str();
                for word in words(text).filter(|word| is_random(word)) {
                    let Some((before, after)) = rest.split_once(word) else { continue };
                    out.push_str(before);
                    out.push_str(self.names.get(word).map_or(word, String::as_str));
                    rest = after;
                }
                out.push_str(rest);
                out.push('\n');
            }
            Value::Array(items) => {
                out.push('[');
                for item in items {
                    self.write(item, out);
                }
                out.push(']');
            }
            Value::Object(_) => {
                out.push('{');
                for (name, value) in members(json) {
                    out.push_str(name);
                    out.push(':');
                    match value.as_array().filter(|_| UNORDERED.contains(&name.as_str())) {
                        Some(items) => self.write_unordered(items, out),
                        None => self.write(value, out),
                    }
                }
                out.push('}');
            }
            other => out.push_str(&other.to_string()),
        }
    }
}

fn members(json: &Value) -> Vec<(&String, &Value)> {
    let members = json.as_object().into_iter().flatten();
    let mut members: Vec<_> = members.filter(|(name, _)| !MEANINGLESS.contains(&name.as_str())).collect();
    members.sort_by_key(|(name, _)| *name);
    members
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
}

/// Whether a word is a UUID in one of the forms that the service writes.
fn is_random(word: &str) -> bool {
    match word.len() {
        22 => true,
        32 => word.bytes().all(|byte| byte.is_ascii_hexdigit()),
        36 => word.bytes().filter(|byte| *byte == b'-').count() == 4,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_two_runs_do_alike_has_one_text() {
        let mut names = Names::default();
        let (first, second) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
        names.learn(0, &json!({ "b": format!("U|{first}"), "ClientRequestToken": second }));
        names.learn(1, &json!([second, first]));
        assert_eq!(names.text(&json!({ "z": second, "a": [format!("U|{first}|x")] })), "{a:[U|<0.1>|x\n]z:<1.1>\n}");
        assert_eq!((names.actor(first), names.actor(second), names.actor("x")), (Some(0), Some(1), None));
    }
}
