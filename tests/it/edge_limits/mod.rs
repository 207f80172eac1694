//! What does not fit into an answer, or into the time for it: the client is told of each operation that was not run, and
//! nothing of it is stored.

mod deadline;
mod pages;
mod random;
mod rerun;
mod sizes;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use shared::{
    exchange::{MAX_PAYLOAD, Outgoing},
    gateway::{Answer as Document, Kind},
    service::Source,
};
use tests::service::{Answer, TestService, flat};

const MODEL: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="T" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="Thing">
    <Key><PropertyRef Name="Code"/></Key>
    <Property Name="Code" Type="Edm.String" Nullable="false"/>
    <Property Name="Text" Type="Edm.String"/>
    <NavigationProperty Name="Parts" Type="Collection(T.Part)" ContainsTarget="true"/>
  </EntityType>
  <EntityType Name="Part">
    <Key><PropertyRef Name="No"/></Key>
    <Property Name="No" Type="Edm.Int32" Nullable="false"/>
    <Property Name="Text" Type="Edm.String"/>
  </EntityType>
  <EntityContainer Name="C"><EntitySet Name="Things" EntityType="T.Thing"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"#;

const PROFILES: [&str; 4] = ["odata", "finance-operations", "business-central", "dataverse"];
const CONTINUE: (&str, &str) = ("Prefer", "continue-on-error");
const STOP: (&str, &str) = ("Prefer", "continue-on-error=false");

/// Things, served by the rules of a profile.
async fn things(profile: &str, further: &str) -> TestService {
    let service_toml = format!(
        "roots = [\"/t\"]\npage_size = 1000\n[profile]\nbase = \"{profile}\"\nif_match_required = false\n{further}"
    );
    let source = Source { name: "things".into(), service_toml, model_xml: MODEL.into(), seed_json: None };
    TestService::of(source, "/t").await
}

/// A text that takes two bytes a character in a request and four in the document of an answer.
fn quotes(count: usize) -> String {
    "\"".repeat(count)
}

/// A request of a batch, in neither format yet.
#[derive(Clone, Debug)]
struct Operation {
    method: &'static str,
    url: String,
    prefer: Option<&'static str>,
    body: Value,
}

impl Operation {
    /// Is answered with the entity.
    fn create(code: &str, text: &str) -> Self {
        let body = json!({ "Code": code, "Text": text });
        Self { method: "POST", url: "Things".into(), prefer: Some("return=representation"), body }
    }

    fn get(url: impl Into<String>) -> Self {
        Self { method: "GET", url: url.into(), prefer: None, body: Value::Null }
    }

    fn minimal(self) -> Self {
        Self { prefer: Some("return=minimal"), ..self }
    }
}

/// Requests on their own, or in change sets.
#[derive(Clone, Debug)]
enum Item {
    One(Operation),
    Set(Vec<Operation>),
}

impl Item {
    fn operations(&self) -> &[Operation] {
        match self {
            Self::One(operation) => std::slice::from_ref(operation),
            Self::Set(operations) => operations,
        }
    }
}

fn ones(operations: impl IntoIterator<Item = Operation>) -> Vec<Item> {
    operations.into_iter().map(Item::One).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Multipart,
}

const FORMATS: [Format; 2] = [Format::Json, Format::Multipart];

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Multipart => "multipart/mixed; boundary=b",
        }
    }

    fn accept(self) -> &'static str {
        if self == Self::Json { "application/json" } else { "multipart/mixed" }
    }

    /// The body of a batch. Ids count from 0.
    fn body(self, items: &[Item]) -> String {
        let mut id = 0;
        let mut next = || (id, id += 1).0;
        if self == Self::Json {
            let requests = items.iter().enumerate().flat_map(|(at, item)| {
                let group = matches!(item, Item::Set(_)).then(|| format!("g{at}"));
                item.operations().iter().map(move |operation| (group.clone(), operation))
            });
            let requests: Vec<Value> = requests.map(|(group, one)| json_request(next(), group, one)).collect();
            return json!({ "requests": requests }).to_string();
        }
        let items = items.iter().map(|item| match item {
            Item::One(operation) => part("b", next(), operation),
            Item::Set(operations) => {
                let parts: String = operations.iter().map(|operation| part("c", next(), operation)).collect();
                format!("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{parts}--c--\r\n")
            }
        });
        items.collect::<String>() + "--b--\r\n"
    }

    async fn send(self, service: &TestService, header: (&str, &str), items: &[Item]) -> Answer {
        let headers = [("Content-Type", self.content_type()), ("Accept", self.accept()), header];
        service.send("POST", "$batch", &headers, self.body(items)).await
    }
}

fn json_request(id: usize, group: Option<String>, operation: &Operation) -> Value {
    let mut request = json!({ "id": id.to_string(), "method": operation.method, "url": operation.url, "headers": {} });
    if let Some(group) = group {
        request["atomicityGroup"] = group.into();
    }
    if let Some(prefer) = operation.prefer {
        request["headers"]["prefer"] = prefer.into();
    }
    if !operation.body.is_null() {
        request["headers"]["content-type"] = "application/json".into();
        request["body"] = operation.body.clone();
    }
    request
}

fn part(boundary: &str, id: usize, operation: &Operation) -> String {
    let Operation { method, url, prefer, body } = operation;
    let prefer = prefer.map(|prefer| format!("Prefer: {prefer}\r\n")).unwrap_or_default();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    format!(
        "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {id}\r\n\r\n\
         {method} {url} HTTP/1.1\r\nContent-Type: application/json\r\n{prefer}\r\n{body}\r\n"
    )
}

/// The bytes that the answer takes as that of a function.
fn payload(answer: &Answer) -> usize {
    let status = StatusCode::from_u16(answer.status).unwrap();
    let sizes = [Kind::HttpApi, Kind::RestApi].map(|kind| {
        let outgoing = Outgoing { status, headers: answer.headers.clone(), body: Bytes::clone(&answer.body) };
        serde_json::to_string(&Document::new(kind, outgoing)).unwrap().len()
    });
    sizes.into_iter().max().unwrap()
}

/// The answers in a batch: ids, statuses and bodies.
fn answers(answer: &Answer) -> Vec<(String, u16, Value)> {
    if answer.header("content-type").starts_with("multipart") {
        let parts = flat(&answer.parts()).into_iter();
        return parts.map(|(id, part)| (id.unwrap(), part.status, part.json())).collect();
    }
    let responses = answer.responses().into_iter().map(|mut response| {
        let status = response["status"].as_u64().unwrap().try_into().unwrap();
        (response["id"].as_str().unwrap().to_owned(), status, response["body"].take())
    });
    responses.collect()
}

fn statuses(answer: &Answer) -> Vec<u16> {
    answers(answer).into_iter().map(|(_, status, _)| status).collect()
}

/// Checks that each create that was answered as done is stored, each other one is not, and the answer can be sent.
async fn agree(service: &TestService, items: &[Item], answer: &Answer) {
    assert!(payload(answer) <= MAX_PAYLOAD, "{}", payload(answer));
    let answers = answers(answer);
    for (id, operation) in items.iter().flat_map(Item::operations).enumerate() {
        if operation.method != "POST" {
            continue;
        }
        let id = id.to_string();
        let done = answers.iter().any(|(answered, status, _)| *answered == id && *status < 300);
        let code = operation.body["Code"].as_str().unwrap();
        let stored = service.get(&format!("Things('{code}')")).await;
        assert_eq!(stored.status, if done { 200 } else { 404 }, "{code}");
        assert!(!done || stored.json()["Text"] == operation.body["Text"], "{code}");
    }
}
