//! Expectations of README.md about an answer: in the comment behind a command, and in the block below it.

use serde_json::Value;

use super::Answer;

/// A comment about an answer: `201`, `200, 409` (of the requests of a batch), `Name: value` of a header, "texts in
/// quotes" that are in it, as is what stands behind `403: `. All else is for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comment {
    /// The statuses it begins with.
    pub statuses: Vec<u16>,
    /// Headers.
    pub headers: Vec<String>,
    /// Texts.
    pub texts: Vec<String>,
}

impl Comment {
    /// Reads a comment.
    pub fn parse(comment: &str) -> Self {
        let parts = || comment.split([',', ';']).map(str::trim);
        let status = |part: &str| {
            let code = part.get(..3)?;
            let ends = part.get(3..)?.chars().next().is_none_or(|next| matches!(next, ' ' | ':'));
            code.parse().ok().filter(|code| ends && (100..600).contains(code))
        };
        let is_header = |part: &&str| {
            let name = part.split_once(": ").map(|(name, _)| name);
            name.is_some_and(|name| {
                name.starts_with(|first: char| first.is_ascii_uppercase())
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            })
        };
        let reason = comment.split_once(": ").filter(|(code, _)| status(code).is_some()).map(|(_, reason)| reason);
        let texts = comment.split('"').skip(1).step_by(2).chain(reason);
        Self {
            statuses: parts().map_while(status).collect(),
            headers: parts().filter(is_header).map(str::to_owned).collect(),
            texts: texts.map(str::to_owned).collect(),
        }
    }

    /// Why an answer is not what the comment says; 2xx is, where it says nothing.
    pub fn differs(&self, answer: &Answer) -> Option<String> {
        let inner = (self.statuses.len() > 1).then(|| statuses(&answer.body));
        let is_right = match (self.statuses.as_slice(), &inner) {
            ([], _) => (200..300).contains(&answer.status),
            ([status], _) => answer.status == *status,
            (statuses, inner) => answer.status == 200 && inner.as_deref() == Some(statuses),
        };
        if !is_right {
            return Some(format!("status {} {inner:?}, not {:?}", answer.status, self.statuses));
        }
        let head = answer.head.to_ascii_lowercase();
        let header = self.headers.iter().find(|line| !head.lines().any(|found| found == line.to_ascii_lowercase()));
        let text = self.texts.iter().find(|text| !answer.body.contains(*text) && !answer.head.contains(*text));
        header.map(|line| format!("no header {line}")).or(text.map(|text| format!("no \"{text}\" in it")))
    }
}

/// The statuses of a batch's answers.
fn statuses(body: &str) -> Vec<u16> {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let responses = answer.get("responses").and_then(Value::as_array).into_iter().flatten();
    responses.filter_map(|answer| answer.get("status")?.as_u64()?.try_into().ok()).collect()
}

/// Where an answer differs from what is shown of it. Members that are not shown may be anything; in a text, `…` stands for
/// any characters.
pub fn differs(shown: &Value, found: &Value) -> Option<String> {
    match (shown, found) {
        (Value::Object(shown), Value::Object(found)) => shown.iter().find_map(|(name, shown)| {
            let differs = found.get(name).map_or_else(|| Some("is missing".to_owned()), |found| differs(shown, found));
            differs.map(|what| format!("{name}: {what}"))
        }),
        (Value::Array(shown), Value::Array(found)) if shown.len() == found.len() => {
            let pairs = shown.iter().zip(found).enumerate();
            pairs.into_iter().find_map(|(at, (shown, found))| Some(format!("[{at}] {}", differs(shown, found)?)))
        }
        (Value::String(shown), Value::String(found)) if is_like(shown, found) => None,
        (shown, found) => (shown != found).then(|| format!("is {found}, not {shown}")),
    }
}

/// Whether a text has the parts between the `…` of another one, in their order.
fn is_like(shown: &str, found: &str) -> bool {
    let Some((first, rest)) = shown.split_once('…') else { return shown == found };
    let Some(mut found) = found.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, behind)) = found.split_once(part) else { return false };
        found = behind;
    }
    found.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_comment_says_statuses_headers_and_texts() {
        let comment = Comment::parse("201, Repeatability-Result: accepted; as often as it is sent");
        assert_eq!((comment.statuses, comment.headers), (vec![201], vec!["Repeatability-Result: accepted".to_owned()]));
        assert_eq!(Comment::parse("200, 204, 409, 200 with the new name").statuses, [200, 204, 409, 200]);
        let comment = Comment::parse("403: data.write");
        assert_eq!((comment.statuses, comment.texts), (vec![403], vec!["data.write".to_owned()]));
        assert_eq!(Comment::parse("still \"Touring Bicycle\", \"x\"").texts, ["Touring Bicycle", "x"]);
        assert_eq!(Comment::parse("1,000 of them"), Comment::default());
    }

    #[test]
    fn an_answer_is_what_the_comment_says_or_2xx() {
        let answer = |status, body: &str| Answer { status, head: "HTTP/1.1 -\r\nA: b".into(), body: body.into() };
        let right = |comment: &str, answer: &Answer| Comment::parse(comment).differs(answer).is_none();
        assert!(right("", &answer(204, "")) && !right("", &answer(404, "")));
        assert!(right("404", &answer(404, "")) && !right("404", &answer(200, "")));
        assert!(right("A: b", &answer(200, "")) && !right("A: c", &answer(200, "")));
        assert!(right("404: x", &answer(404, "x")) && !right("404: x", &answer(404, "y")));
        assert!(right("\"x\"", &answer(200, "axb")) && !right("\"x\"", &answer(200, "")));
        let batch = answer(200, r#"{"responses":[{"status":200},{"status":409}]}"#);
        assert!(right("200, 409", &batch) && !right("200, 204", &batch));
    }

    #[test]
    fn what_is_shown_must_be_there() {
        let found = json!({ "a": ["W/\"1\"", { "b": 1 }], "c": null });
        assert_eq!(differs(&json!({ "a": ["W/\"…\"", {}], "c": null }), &found), None);
        for (shown, what) in [
            (json!({ "d": 1 }), "d: is missing"),
            (json!({ "a": [] }), "a: is [\"W/\\\"1\\\"\",{\"b\":1}], not []"),
            (json!({ "a": ["X…", {}] }), "a: [0] is \"W/\\\"1\\\"\", not \"X…\""),
            (json!({ "a": ["…", { "b": 2 }] }), "a: [1] b: is 1, not 2"),
        ] {
            assert_eq!(differs(&shown, &found).as_deref(), Some(what));
        }
        assert!(
            is_like("a…c…e", "abcde") && !is_like("a…x…e", "abcde") && !is_like("a…d", "abcde") && is_like("…", "")
        );
    }
}
