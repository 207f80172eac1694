//! The template of the deployment against the code: what functions are given, how requests reach them, what the table is.

use std::{collections::BTreeSet, fs};

use aws_sdk_dynamodb::types::{KeySchemaElement, ProjectionType, StreamViewType};
use shared::{
    function::{EngineConfig, OutboxConfig, WebhookConfig},
    uri::Encoding,
};
use tests::binaries::workspace;
use yaml_serde::Value;

use crate::rig::{Rig, TABLE, services};

/// Functions: the name of the resource, the variables that it looks at, and those of them that it cannot do without.
fn functions() -> [(&'static str, Vec<&'static str>, &'static [&'static str]); 4] {
    [
        ("BatchFunction", EngineConfig::VARIABLES.to_vec(), &["TABLE_NAME", "AUTH_MODE", "SECRET_ID"]),
        ("JobStateFunction", EngineConfig::VARIABLES.to_vec(), &["TABLE_NAME", "AUTH_MODE", "SECRET_ID"]),
        ("EventWebhookFunction", WebhookConfig::VARIABLES.to_vec(), &["TABLE_NAME", "POLICY_FILE", "SECRET_ID"]),
        ("OutboxFunction", OutboxConfig::VARIABLES.to_vec(), &["TABLE_NAME", "POLICY_FILE", "SECRET_ID"]),
    ]
}

/// One request to each kind of place, and the function that it is for.
const REQUESTS: [(&str, &str, &str); 22] = [
    ("GET", "/data", "Batch"),
    ("GET", "/data/BatchJobs(5637144576)", "Batch"),
    ("POST", "/data/$batch", "Batch"),
    ("OPTIONS", "/data/$batch", "Batch"),
    ("POST", "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting", "JobState"),
    ("OPTIONS", "/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting", "Batch"),
    ("GET", "/api/v2.0", "Batch"),
    ("POST", "/api/v2.0/$batch", "Batch"),
    ("PATCH", "/api/v2.0/companies(1)/items(2)", "Batch"),
    ("GET", "/api/contoso/app1/v1.0", "Batch"),
    ("GET", "/api/contoso/app1/v1.0/companies", "Batch"),
    ("GET", "/api/data/v9.2", "Batch"),
    ("GET", "/api/data/v9.2/accounts", "Batch"),
    ("GET", "/api/data/v9.2/accounts(1)/Account_Tasks", "Batch"),
    ("POST", "/api/data/v9.1/$batch", "Batch"),
    ("POST", "/api/data/v8.2/$batch", "Batch"),
    ("DELETE", "/api/data/v8.2/accounts(1)/Account_Tasks/$ref", "Batch"),
    ("GET", "/trippin", "Batch"),
    ("PUT", "/trippin/People('russellwhyte')", "Batch"),
    ("POST", "/events/contoso", "EventWebhook"),
    ("OPTIONS", "/events/contoso", "EventWebhook"),
    ("GET", "/health", "Batch"),
];

struct Template(Value);

impl Template {
    fn read() -> Self {
        let text = fs::read_to_string(workspace().join("infra/template.yaml")).unwrap();
        Self(yaml_serde::from_str(&text).unwrap())
    }

    /// The resources of a type: name and properties.
    fn resources(&self, of_type: &str) -> Vec<(&str, &Value)> {
        let all = self.0["Resources"].as_mapping().unwrap().iter();
        let of_type = all.filter(|(_, resource)| resource["Type"] == of_type);
        of_type.map(|(name, resource)| (name.as_str().unwrap(), &resource["Properties"])).collect()
    }

    fn resource(&self, name: &str) -> &Value {
        &self.0["Resources"][name]["Properties"]
    }
}

fn names(map: &Value) -> BTreeSet<&str> {
    map.as_mapping().into_iter().flatten().filter_map(|(name, _)| name.as_str()).collect()
}

#[test]
fn functions_are_given_what_they_look_at() {
    let template = Template::read();
    let of_all = names(&template.0["Globals"]["Function"]["Environment"]["Variables"]);
    let known = functions();
    assert_eq!(template.resources("AWS::Serverless::Function").len(), known.len());
    for (function, variables, needed) in known {
        let given = &of_all | &names(&template.resource(function)["Environment"]["Variables"]);
        for name in &given {
            assert!(variables.contains(name) || *name == "RUST_LOG", "{function} does not look at {name}");
        }
        for name in needed {
            assert!(given.contains(name), "{function} is not given {name}");
        }
    }
}

/// A route of an HTTP API, and the resource of the function behind it.
struct Route {
    method: String,
    segments: Vec<String>,
    function: String,
}

impl Route {
    /// How specific it is for a request, if it is for it at all: most of all it has the segments themselves, then
    /// parameters, then `{proxy+}`; with its method before `ANY`.
    fn rank(&self, method: &str, path: &str) -> Option<(Vec<u8>, bool)> {
        let own_method = self.method == method;
        let mut rank = Vec::new();
        let mut called = path.trim_start_matches('/').split('/');
        for segment in &self.segments {
            if segment.ends_with("+}") {
                called.next()?;
                rank.push(1);
                return (own_method || self.method == "ANY").then_some((rank, own_method));
            }
            let text = called.next()?;
            let is_parameter = segment.starts_with('{');
            rank.push(if is_parameter { 2 } else { 3 });
            if !is_parameter && text != segment {
                return None;
            }
        }
        (called.next().is_none() && (own_method || self.method == "ANY")).then_some((rank, own_method))
    }
}

/// The routes that are always there.
fn routes(template: &Template) -> Vec<Route> {
    let routes = template.resources("AWS::ApiGatewayV2::Route").into_iter();
    let always = routes.filter(|(name, _)| template.0["Resources"][*name]["Condition"].is_null());
    always
        .map(|(name, route)| {
            let (method, path) = route["RouteKey"].as_str().unwrap().split_once(' ').unwrap();
            // `!Sub integrations/${BatchIntegration}`
            let Value::Tagged(target) = &route["Target"] else { panic!("{name}") };
            let function = target.value.as_str().unwrap().strip_prefix("integrations/${").unwrap();
            Route {
                method: method.to_owned(),
                segments: path.trim_start_matches('/').split('/').map(str::to_owned).collect(),
                function: function.strip_suffix("Integration}").unwrap().to_owned(),
            }
        })
        .collect()
}

#[test]
fn requests_reach_their_functions() {
    let template = Template::read();
    let routes = routes(&template);
    let mut reached = BTreeSet::new();
    for (method, path, expected) in REQUESTS {
        let ranked = routes.iter().filter_map(|route| Some((route.rank(method, path)?, route)));
        let (_, route) = ranked.max_by_key(|(rank, _)| rank.clone()).unwrap_or_else(|| panic!("no route: {path}"));
        assert_eq!(route.function, expected, "{method} {path}");
        reached.insert(format!("{} {}", route.method, route.segments.join("/")));
    }
    let services = services();
    let called = |service: &str| {
        REQUESTS.iter().any(|(_, path, _)| {
            services.find(path, Encoding::Percent).is_some_and(|found| found.service.name == service)
        })
    };
    for service in services.iter() {
        assert!(called(&service.name), "no request here is for {}", service.name);
    }
    for route in &routes {
        let key = format!("{} {}", route.method, route.segments.join("/"));
        assert!(reached.contains(&key) || key == "GET ready", "no request here takes {key}");
    }
    for elsewhere in ["/", "/api", "/events", "/events/a/b", "/other"] {
        assert!(routes.iter().all(|route| route.rank("GET", elsewhere).is_none()), "{elsewhere}");
    }
}

/// `{ AttributeName, KeyType }`, as the template has it.
fn schema(described: &[KeySchemaElement]) -> Value {
    let element = |element: &KeySchemaElement| {
        format!("{{ AttributeName: {}, KeyType: {} }}", element.attribute_name(), element.key_type().as_str())
    };
    yaml_serde::from_str(&format!("[{}]", described.iter().map(element).collect::<Vec<_>>().join(", "))).unwrap()
}

#[tokio::test]
async fn the_table_is_the_one_that_the_store_makes() {
    let template = Template::read();
    let table = template.resource("Table");
    let rig = Rig::seeded().await;
    let client = rig.client();
    let made = client.describe_table().table_name(TABLE).send().await.unwrap().table.unwrap();
    assert_eq!(table["KeySchema"], schema(made.key_schema()));
    let definition = |definition: &Value| {
        let text = |name: &str| definition[name].as_str().unwrap().to_owned();
        (text("AttributeName"), text("AttributeType"))
    };
    let given: BTreeSet<_> = table["AttributeDefinitions"].as_sequence().unwrap().iter().map(definition).collect();
    let definitions = made.attribute_definitions().iter();
    let expected = definitions.map(|d| (d.attribute_name().to_owned(), d.attribute_type().as_str().to_owned()));
    assert_eq!(given, expected.collect());

    let indexes = table["GlobalSecondaryIndexes"].as_sequence().unwrap();
    let [index] = made.global_secondary_indexes() else { panic!("one index") };
    assert_eq!((indexes.len(), indexes[0]["IndexName"].as_str()), (1, index.index_name()));
    assert_eq!(indexes[0]["KeySchema"], schema(index.key_schema()));
    let projection = index.projection().unwrap().projection_type().unwrap();
    assert_eq!(
        (projection, &indexes[0]["Projection"]["ProjectionType"]),
        (&ProjectionType::KeysOnly, &"KEYS_ONLY".into())
    );

    let stream = made.stream_specification().unwrap().stream_view_type().map(StreamViewType::as_str);
    assert_eq!(table["StreamSpecification"]["StreamViewType"].as_str(), stream);
    let expiry = client.describe_time_to_live().table_name(TABLE).send().await.unwrap().time_to_live_description;
    let attribute = expiry.unwrap().attribute_name;
    assert_eq!(table["TimeToLiveSpecification"]["AttributeName"].as_str(), attribute.as_deref());
    assert_eq!(table["TimeToLiveSpecification"]["Enabled"], true);
}
