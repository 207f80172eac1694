use std::path::PathBuf;

use super::*;
use crate::edm;

fn shipped() -> Services {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra/services");
    Services::load(&dir).unwrap_or_else(|error| panic!("{error}"))
}

fn service<'s>(services: &'s Services, name: &str) -> &'s Service {
    services.iter().find(|service| service.name == name).unwrap()
}

const MODEL: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Shop" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Order"><Key><PropertyRef Name="Id"/></Key>
  <Property Name="Id" Type="Edm.Guid" Nullable="false"/><Property Name="Note" Type="Edm.String" MaxLength="4"/>
  <Property Name="Number" Type="Edm.Int32"/><Property Name="Total" Type="Edm.Decimal" Scale="2"/>
  <Property Name="At" Type="Edm.DateTimeOffset" Precision="3"/><Property Name="CustomerName" Type="Edm.String"/>
  <NavigationProperty Name="Customer" Type="Shop.Customer"/>
  <NavigationProperty Name="Lines" Type="Collection(Shop.Line)" ContainsTarget="true"/></EntityType>
<EntityType Name="Line"><Key><PropertyRef Name="No"/></Key>
  <Property Name="No" Type="Edm.Int32" Nullable="false"/><Property Name="OrderNote" Type="Edm.String"/></EntityType>
<EntityType Name="Customer"><Key><PropertyRef Name="Name"/></Key>
  <Property Name="Name" Type="Edm.String" Nullable="false"/></EntityType>
<EntityType Name="Firm" BaseType="Shop.Customer"><Property Name="Size" Type="Edm.Int32"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Orders" EntityType="Shop.Order"/>
<EntitySet Name="Customers" EntityType="Shop.Customer"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"#;

fn shop(toml: &str, seed: Option<&str>) -> Result<Services, ServiceError> {
    Services::from_sources(vec![Source {
        name: "shop".into(),
        service_toml: toml.into(),
        model_xml: MODEL.into(),
        seed_json: seed.map(|seed| Bytes::from(seed.to_owned())),
    }])
}

#[test]
fn the_shipped_services_load_in_the_order_of_their_names() {
    let services = shipped();
    let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["business-central", "dataverse", "finance-operations", "trippin"]);
    assert_eq!(service(&services, "business-central").limits.operations, 100);
    assert_eq!(service(&services, "finance-operations").limits.change_set_operations, Some(5_000));
}

#[test]
fn paths_reach_the_shipped_services() {
    let services = shipped();
    for (path, expected) in [
        ("/api/v2.0/companies(1)/journals(2)", ("business-central", "/api/v2.0", "companies(1)/journals(2)")),
        ("/api/contoso/shop/v1.0/items", ("business-central", "/api/contoso/shop/v1.0", "items")),
        ("/api/data/v8.2/$batch", ("dataverse", "/api/data/v8.2", "$batch")),
        ("/api/data/v9.2/accounts", ("dataverse", "/api/data/v9.2", "accounts")),
        ("/data/BatchJobs", ("finance-operations", "/data", "BatchJobs")),
        ("/trippin", ("trippin", "/trippin", "")),
    ] {
        let found = services.find(path, Encoding::Decoded).unwrap();
        assert_eq!((found.service.name.as_str(), found.root, found.rest), expected);
    }
    assert!(services.find("/elsewhere", Encoding::Percent).is_none());
}

#[test]
fn every_shipped_seed_row_is_an_entity_of_its_set_with_all_it_needs() {
    for service in shipped().iter() {
        assert!(!service.seed.is_empty(), "{}", service.name);
        for group in &service.seed {
            for payload in &group.payloads {
                check_payload(service, service.model.set(group.set).entity_type, payload);
            }
        }
    }
}

fn check_payload(service: &Service, ty: TypeId, payload: &[u8]) {
    let text = String::from_utf8_lossy(payload);
    let read = edm::read_entity(&service.model, ty, payload).unwrap_or_else(|error| panic!("{error} in {text}"));
    let ty = service.model.ty(read.record.ty);
    let derived = service.derived.get(&read.record.ty).map(Vec::as_slice).unwrap_or_default();
    for (position, (property, value)) in ty.properties.iter().zip(&read.record.values).enumerate() {
        let filled =
            value.is_some() || property.default.is_some() || derived.iter().any(|rule| rule.property == position);
        let free = property.ty.nullable || property.ty.collection || property.computed;
        assert!(filled || free, "{} is missing in {text}", property.name);
    }
    for (navigation, nested) in read.nested {
        let bodies = match nested {
            edm::Nested::One(body) => vec![body],
            edm::Nested::Many(bodies) => bodies,
        };
        for body in bodies {
            check_payload(service, ty.navigation[navigation].target, body.get().as_bytes());
        }
    }
}

#[test]
fn a_journal_line_has_the_documented_properties_in_order() {
    let services = shipped();
    let central = service(&services, "business-central");
    let ty = central.model.ty(central.model.type_id("Microsoft.NAV.journalLine").unwrap());
    let documented = documented_journal_line().unwrap();
    let names: Vec<_> = ty.properties.iter().map(|property| property.name.clone()).collect();
    assert_eq!(names, documented);
}

fn documented_journal_line() -> Option<Vec<String>> {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    let text = std::fs::read_to_string(fixtures.join("documents/002-response.json")).unwrap();
    // The order of the members is that of their quoted names in the text.
    let body = text.split("\"body\":").nth(1)?.split('}').next()?.to_owned();
    let names = body.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once('"').map(|(name, _)| name));
    Some(names.filter(|name| !name.starts_with('@')).map(str::to_owned).collect())
}

#[test]
fn journal_lines_derive_what_the_documented_answer_shows() {
    let services = shipped();
    let central = service(&services, "business-central");
    let id = central.model.type_id("Microsoft.NAV.journalLine").unwrap();
    let rule = |name: &str| {
        let property = central.model.ty(id).property(name).unwrap();
        central.derived[&id].iter().find(|derived| derived.property == property).map(|derived| derived.rule.clone())
    };
    assert_eq!(rule("lineNumber"), Some(Rule::Sequence { start: 10_000, step: 10_000 }));
    assert_eq!(rule("accountType"), Some(Rule::Default(edm::Value::Enum(0))));
    assert_eq!(rule("taxCode"), Some(Rule::Default(edm::Value::String("NONTAXABLE".into()))));
    assert_eq!(rule("balancingAccountId"), Some(Rule::Default(edm::Value::Guid(uuid::Uuid::nil()))));
    assert_eq!(rule("lastModifiedDateTime"), Some(Rule::Now { on_update: true }));
    assert!(matches!(rule("accountNumber"), Some(Rule::CopyFromLookup { .. })));
    assert!(matches!(rule("journalId"), Some(Rule::CopyFromParent { property: 0 })));
    assert_eq!(rule("postingDate"), None);
}

#[test]
fn every_navigation_of_a_shipped_set_leads_to_a_set_or_is_contained() {
    for service in shipped().iter() {
        for (_, set) in service.model.sets() {
            let ty = service.model.ty(set.entity_type);
            for nav in &ty.navigation {
                let bound = set.bindings.get(&nav.name).map(|target| service.model.set(*target).entity_type);
                let expected = if nav.contains_target { None } else { Some(nav.target) };
                assert_eq!(bound, expected, "{} {}/{}", service.name, set.name, nav.name);
            }
        }
    }
}

#[test]
fn shipped_lookups_are_constrained_and_accounts_have_an_alternate_key() {
    let services = shipped();
    let dataverse = &service(&services, "dataverse").model;
    let task = dataverse.ty(dataverse.type_id("Microsoft.Dynamics.CRM.task").unwrap());
    let lookup = &task.navigation[task.navigation("regardingobjectid_account_task").unwrap()];
    assert_eq!(lookup.partner.as_deref(), Some("Account_Tasks"));
    let value = task.property("_regardingobjectid_value").unwrap();
    assert_eq!(lookup.constraints, [(value, 0)]);
    assert!(task.properties[value].computed);

    let account = dataverse.ty(dataverse.type_id("Microsoft.Dynamics.CRM.account").unwrap());
    let number = account.property("accountnumber").unwrap();
    assert_eq!(account.alternate_keys, [edm::AlternateKey { properties: vec![("accountnumber".into(), number)] }]);

    let central = &service(&services, "business-central").model;
    let journals = central.set(central.set_id("journals").unwrap());
    assert_eq!(journals.bindings.get("journalLines/account"), central.set_id("accounts").as_ref());
}

#[test]
fn companies_are_found_by_key_and_by_name_in_any_case() {
    let services = shipped();
    let companies = service(&services, "business-central").companies.clone().unwrap();
    assert_eq!(companies.by_name("CRONUS international ltd."), Some(companies.default));
    assert_eq!(companies.by_name("nobody"), None);
    for company in 0..companies.rows.len() {
        assert_eq!(companies.by_key(companies.key(company)), Some(company));
    }
    assert_eq!(companies.name(1), "Fjord Outdoor AS");
}

#[test]
fn seed_rows_keep_their_bytes_and_belong_to_a_company() {
    let services = shipped();
    let central = service(&services, "business-central");
    let companies: Vec<_> = central.seed.iter().map(|group| group.company).collect();
    assert!(companies.contains(&Some(0)) && companies.contains(&Some(1)) && !companies.contains(&None));

    let shop = shop("roots = ['/shop']", Some(r#"{"Orders": [{"Total": 1.10 , "Note":"a"}]}"#)).unwrap();
    let group = &shop.iter().next().unwrap().seed[0];
    assert_eq!(group.payloads, [Bytes::from_static(br#"{"Total": 1.10 , "Note":"a"}"#)]);
    assert_eq!(group.company, None);
}

#[test]
fn rows_of_different_parents_and_companies_may_have_one_key() {
    shop("roots = ['/shop']", Some(r#"{"Orders": [{"Lines": [{"No": 1}]}, {"Lines": [{"No": 1}]}]}"#)).unwrap();
    let services = shipped();
    assert!(service(&services, "business-central").seed.iter().filter(|group| group.company == Some(1)).count() > 1);
}

#[test]
fn what_exists_with_its_parent_is_known_before_it_is_written() {
    let services = shipped();
    let central = service(&services, "business-central");
    let names = central.with_parent.iter().map(|with| {
        let parent = central.model.ty(with.parent);
        format!("{}/{}", parent.name, parent.navigation[with.nav].name)
    });
    assert_eq!(names.collect::<Vec<_>>(), ["item/picture", "customer/picture"]);
    for (toml, part) in [
        ("with_parent = ['Order']", "'Order' is not 'type/navigation'"),
        ("with_parent = ['Nope/Lines']", "no type 'Nope'"),
        ("with_parent = ['Order/Nope']", "no navigation property 'Nope'"),
        ("with_parent = ['Order/Lines']", "'Lines' does not contain one single entity"),
        ("with_parent = ['Order/Customer']", "'Customer' does not contain one single entity"),
    ] {
        let error = shop(&format!("roots = ['/shop']\n{toml}"), None).unwrap_err().to_string();
        assert!(error.starts_with("shop/service.toml:2:") && error.contains(part), "{error}");
    }
    let toml = "roots = ['/shop']\nwith_parent = ['Order/Line']";
    let model = MODEL.replace("Collection(Shop.Line)", "Shop.Line").replace("\"Lines\"", "\"Line\"");
    let with_line = |toml: &str| {
        let (service_toml, model_xml) = (toml.to_owned(), Bytes::from(model.clone()));
        Services::from_sources(vec![Source { name: "shop".into(), service_toml, model_xml, seed_json: None }])
    };
    assert!(with_line(toml).unwrap_err().to_string().contains("'No' of 'Shop.Line' is not known before it is written"));
    with_line(&format!("{toml}\n[derived.Line]\nNo = {{ copy_from_parent = 'Number' }}")).unwrap();
}

#[test]
fn texts_are_joined_from_other_texts() {
    let toml = |rule: &str| format!("roots = ['/shop']\n[derived.Order]\n{rule}");
    let (name, computed) = ("Name=\"CustomerName\" Type=\"Edm.String\"", "Org.OData.Core.V1.Computed");
    let model = MODEL.replace(
        &format!("<Property {name}/>"),
        &format!("<Property {name}><Annotation Term=\"{computed}\"/></Property>"),
    );
    let shop_with = |rule: &str| {
        let (service_toml, model_xml) = (toml(rule), Bytes::from(model.clone()));
        Services::from_sources(vec![Source { name: "shop".into(), service_toml, model_xml, seed_json: None }])
    };
    let services = shop_with("CustomerName = { concat = ['Note', 'Note'] }").unwrap();
    let shop_service = services.iter().next().unwrap();
    let order = shop_service.model.type_id("Shop.Order").unwrap();
    let mut record = edm::Record::new(&shop_service.model, order);
    record.values[1] = Some(edm::Value::String("ab".into()));
    shop_service.model.concatenate(&mut record);
    assert_eq!(record.get(&shop_service.model, "CustomerName"), Some(&edm::Value::String("ab ab".into())));
    record.values[1] = Some(edm::Value::Null);
    shop_service.model.concatenate(&mut record);
    assert_eq!(record.get(&shop_service.model, "CustomerName"), Some(&edm::Value::Null));
    for (rule, part) in [
        ("Number = { concat = ['Note'] }", "'concat' needs a string"),
        ("CustomerName = { concat = ['Number'] }", "'concat' needs strings"),
        ("CustomerName = { concat = ['CustomerName'] }", "cannot be joined from itself"),
        ("CustomerName = { concat = ['Nope'] }", "no property 'Nope'"),
        ("Note = { concat = ['CustomerName'] }", "'Note' is joined from others: the model has to declare it"),
        ("Note = { by_parent = { Customer = 'x' } }", "no 'Customer' contains a 'Shop.Order'"),
    ] {
        let error = shop_with(rule).unwrap_err().to_string();
        assert!(error.starts_with("shop/service.toml:3:") && error.contains(part), "{error}");
    }
}

#[test]
fn derived_types_inherit_rules_and_may_replace_them() {
    let toml =
        "roots = ['/shop']\n[derived.Customer]\nName = { default = 'x' }\n[derived.Firm]\nName = { default = 'y' }";
    let services = shop(toml, None).unwrap();
    let shop = services.iter().next().unwrap();
    let rule = |name: &str| shop.derived[&shop.model.type_id(name).unwrap()].clone();
    let default = |text: &str| {
        let rule = Rule::Default(edm::Value::String(text.into()));
        vec![Derived { property: 0, rule, client: Client::Keep }]
    };
    assert_eq!(rule("Shop.Customer"), default("x"));
    assert_eq!(rule("Shop.Firm"), default("y"));
}

#[test]
fn a_wrong_setting_is_named_with_its_line_and_column() {
    for (toml, expected) in [
        ("roots = [", "shop/service.toml:1:"),
        ("roots = ['/s']\ncolour = 1", "shop/service.toml:2:1: unknown field `colour`"),
        ("roots = []", "shop/service.toml:1:9: no root"),
        ("roots = ['s']", "shop/service.toml:1:10: root 's': it must begin with '/'"),
        ("roots = ['/s', '/s']", "shop/service.toml:1:16: root '/s' answers the same paths as '/s' of service 'shop'"),
        ("roots = ['/s']\nread_only = ['Nope']", "shop/service.toml:2:14: the model has no entity set 'Nope'"),
        ("roots = ['/s']\npage_size = 0", "shop/service.toml:2:13: a limit of 0"),
        ("roots = ['/s']\n[limits]\noperations = 0", "shop/service.toml:3:14: a limit of 0"),
        ("roots = ['/s']\n[shards]\nNope = 4", "shop/service.toml:3:1: the model has no entity set 'Nope'"),
        ("roots = ['/s']\n[shards]\nOrders = 0", "shop/service.toml:3:10: a set has 1 to 256 shards, not 0"),
        ("roots = ['/s']\n[profile]\nbase = 'other'", "shop/service.toml:3:8: unknown variant `other`"),
        (
            "roots = ['/s']\n[profile]\nbase = 'odata'\nstale_etag_status = 99",
            "shop/service.toml:4:21: 99 is no status of an error",
        ),
        (
            "roots = ['/s']\n[companies]\nset = 'Nope'\nname_property = 'Name'\ndefault = 'A'\nrows = []",
            "shop/service.toml:3:7: the model has no entity set 'Nope'",
        ),
        (
            "roots = ['/s']\n[companies]\nset = 'Customers'\nname_property = 'Name'\ndefault = 'B'\n[[companies.rows]]\nName = 'A'",
            "shop/service.toml:5:11: no company is named 'B'",
        ),
        (
            "roots = ['/s']\n[companies]\nset = 'Customers'\nname_property = 'Name'\ndefault = 'A'\n[[companies.rows]]\nName = 'A'\n[[companies.rows]]\nName = 'A'",
            "shop/service.toml:8:1: two companies are named 'A'",
        ),
    ] {
        let error = shop(toml, None).expect_err(toml).to_string();
        assert!(error.starts_with(expected), "{error}\nexpected {expected}");
    }
}

#[test]
fn a_wrong_rule_is_named_with_its_line_and_column() {
    for (toml, expected) in [
        ("roots = ['/s']\n[derived.Nope]", "shop/service.toml:2:10: the model has no type 'Nope'"),
        (
            "roots = ['/s']\n[derived.Order]\nNope = 'new_guid'",
            "shop/service.toml:3:1: type 'Shop.Order' has no property 'Nope'",
        ),
        ("roots = ['/s']\n[derived.Order]\nNote = 'new_guid'", "shop/service.toml:3:8: rule 'new_guid' needs a Guid"),
        ("roots = ['/s']\n[derived.Order]\nNote = { default = 'too long' }", "shop/service.toml:3:8: value of 'Note'"),
        (
            "roots = ['/s']\n[derived.Order]\nNumber = { sequence = { start = 1, step = 0 } }",
            "shop/service.toml:3:10: a sequence must step",
        ),
        ("roots = ['/s']\n[derived.Order]\nNote = { now = 'create' }", "shop/service.toml:3:8: rule 'now' needs"),
        ("roots = ['/s']\n[derived.Order]\nNote = { copy = 'Customer' }", "shop/service.toml:3:8: 'Customer' is not"),
        (
            "roots = ['/s']\n[derived.Order]\nNote = { copy = 'Nope/Name' }",
            "shop/service.toml:3:8: type 'Shop.Order' has no navigation property 'Nope'",
        ),
        (
            "roots = ['/s']\n[derived.Order]\nNote = { copy = 'Customer/Nope' }",
            "shop/service.toml:3:8: type 'Shop.Customer' has no property 'Nope'",
        ),
        (
            "roots = ['/s']\n[derived.Order]\nNote = { copy = 'Lines/OrderNote' }",
            "shop/service.toml:3:8: navigation property 'Lines' leads to many",
        ),
        (
            "roots = ['/s']\n[derived.Order]\nNote = { copy_from_parent = 'Id' }",
            "shop/service.toml:3:8: type 'Shop.Order' is contained in no other",
        ),
        (
            "roots = ['/s']\n[derived.Line]\nOrderNote = { copy_from_parent = 'Nope' }",
            "shop/service.toml:3:13: type 'Shop.Order' has no property 'Nope'",
        ),
        (
            "roots = ['/s']\n[derived.Line]\nOrderNote = { copy_from_parent = 'Number' }",
            "shop/service.toml:3:13: rule 'copy_from_parent' needs a property of the same type",
        ),
    ] {
        let error = shop(toml, None).expect_err(toml).to_string();
        assert!(error.starts_with(expected), "{error}\nexpected {expected}");
    }
}

#[test]
fn a_wrong_setting_of_a_copy_is_named_with_its_line_and_column() {
    for (toml, expected) in [
        (
            "roots = ['/s']\n[derived.Order]\nNote = { copy = { a = 'Customer/Name' } }",
            "shop/service.toml:3:8: 'copy' with several sources needs 'by'",
        ),
        (
            "roots = ['/s']\n[derived.Order]\nNote = { copy = { a = 'Customer/Name' }, by = 'Nope' }",
            "shop/service.toml:3:8: type 'Shop.Order' has no property 'Nope'",
        ),
        (
            "roots = ['/s']\n[derived.Order]\nNote = { copy = { a = 'Customer/Name' }, by = 'Number' }",
            "shop/service.toml:3:8: value of 'Number'",
        ),
        (
            "roots = ['/s']\n[derived.Order]\nNote = { copy = 'Customer/Name', client = 'lookup' }",
            "shop/service.toml:3:8: 'client = \"lookup\"' needs an alternate key of 'Shop.Customer' that is 'Name' alone",
        ),
        (
            "roots = ['/s']\n[derived.Order]\nAt = { now = 'create', client = 'lookup' }",
            "shop/service.toml:3:6: 'client = \"lookup\"' is for 'copy'",
        ),
        (
            "roots = ['/s']\n[derived.Order]\nNote = { default = 'a', client = 'keep' }",
            "shop/service.toml:3:8: a client's value always wins",
        ),
        ("roots = ['/s']\n[derived.Order]\nNote = { by = 'Number' }", "shop/service.toml:3:8: 'by' says which"),
        ("roots = ['/s']\n[derived.Order]\nNote = { client = 'keep' }", "shop/service.toml:3:8: a rule has one of"),
        ("roots = ['/s']\n[derived.Order]\nNote = { copy = 'a', colour = 1 }", "shop/service.toml:3:"),
    ] {
        let error = shop(toml, None).expect_err(toml).to_string();
        assert!(error.starts_with(expected), "{error}\nexpected {expected}");
    }
}

#[test]
fn a_wrong_seed_is_named_with_its_line_and_column() {
    for (seed, expected) in [
        ("{\"Orders\": [}", "shop/seed.json:1:13: "),
        ("{\n  \"Nope\": []}", "shop/seed.json:2:3: the model has no entity set 'Nope'"),
        ("{\"companies\": {\"A\": {}}}", "shop/seed.json:1:2: the service has no companies"),
        ("{\"Orders\": 1}", "shop/seed.json:1:"),
        ("[]", "shop/seed.json:1:"),
        ("{\"Customers\": [],\n \"Customers\": []}", "shop/seed.json:2:2: 'Customers' stands here a second time"),
        (
            "{\"Customers\": [{\"Name\": \"a\"},\n{\"Name\": \"a\"}]}",
            "shop/seed.json:2:1: another row of 'Customers' has the key ('a') (line 1)",
        ),
        (
            "{\"Customers\": [{\"Name\": \"a\", \"Name\": \"b\"}]}",
            "shop/seed.json:1:30: 'Name' stands here a second time",
        ),
        (
            "{\"Orders\": [{\"Lines\": [{\"No\": 1},\n{\"No\": 1}]}]}",
            "shop/seed.json:2:1: another row of 'Lines' has the key (1) (line 1)",
        ),
        (
            "{\"Customers\": [{\"Name\": \"a\"}], \"Orders\": [\n{\"Customer\": {\"Name\": \"a\"}}]}",
            "shop/seed.json:2:14: another row of 'Customers'",
        ),
        ("{\"Orders\": [\n {\"Note\": \"too long\"}]}", "shop/seed.json:2:2: 'Note'"),
    ] {
        let error = shop("roots = ['/s']", Some(seed)).expect_err(seed).to_string();
        assert!(error.starts_with(expected), "{error}\nexpected {expected}");
    }
}

#[test]
fn services_that_claim_the_same_root_do_not_load() {
    let source = |name: &str, root: &str| Source {
        name: name.into(),
        service_toml: format!("roots = ['{root}']"),
        model_xml: MODEL.into(),
        seed_json: None,
    };
    let error = Services::from_sources(vec![source("a", "/x/{one}"), source("b", "/x/{two}")]).unwrap_err().to_string();
    assert!(error.starts_with("b/service.toml:1:10: root '/x/{two}' answers the same paths as '/x/{one}'"), "{error}");
}

#[test]
fn service_names_are_unique_and_plain() {
    let source = |name: &str| Source {
        name: name.into(),
        service_toml: format!("roots = ['/{name}']"),
        model_xml: MODEL.into(),
        seed_json: None,
    };
    let problem = |sources| *Services::from_sources(sources).unwrap_err().problem;
    assert!(matches!(problem(vec![source("a"), source("a")]), Problem::SameService));
    assert!(matches!(problem(vec![source("a b")]), Problem::ServiceName));
}

#[test]
fn a_broken_model_is_named_with_its_line_and_column() {
    let source = Source {
        name: "shop".into(),
        service_toml: "roots = ['/s']".into(),
        model_xml: MODEL.replace("Type=\"Shop.Customer\"/", "Type=\"Shop.Nobody\"/").into(),
        seed_json: None,
    };
    let error = Services::from_sources(vec![source]).unwrap_err().to_string();
    assert!(error.starts_with("shop/model.xml:7:") && error.contains("Shop.Nobody"), "{error}");
}

#[test]
fn a_model_promises_no_isolation_that_its_profile_refuses() {
    let promise = r#"<Annotation Term="Org.OData.Capabilities.V1.IsolationSupported">
        <EnumMember>Org.OData.Capabilities.V1.IsolationLevel/Snapshot</EnumMember></Annotation></EntityContainer>"#;
    let load = |base: &str, model: String| {
        let service_toml = format!("roots = ['/s']\n[profile]\nbase = '{base}'");
        let source = Source { name: "shop".into(), service_toml, model_xml: model.into(), seed_json: None };
        Services::from_sources(vec![source]).map(|_| ()).map_err(|error| error.to_string())
    };
    let promising = MODEL.replace("</EntityContainer>", promise);
    for (base, keeps) in
        [("odata", true), ("business-central", true), ("dataverse", false), ("finance-operations", false)]
    {
        assert_eq!(load(base, MODEL.into()), Ok(()), "{base}");
        let loaded = load(base, promising.clone());
        let refused =
            loaded.as_ref().is_err_and(|error| error.starts_with("shop/model.xml:15:57: the model says Isolation"));
        assert!(if keeps { loaded.is_ok() } else { refused }, "{base}: {loaded:?}");
    }
}

#[test]
fn a_folder_without_services_is_an_error_that_names_it() {
    let error = Services::load(Path::new("no/such/folder")).unwrap_err().to_string();
    assert!(error.starts_with("no/such/folder: cannot be read"), "{error}");
}

#[test]
fn the_jobs_of_a_service_must_be_able_to_do_what_jobs_do() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../infra/services/finance-operations");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let refused = |toml: &str, model: &str| {
        let source = Source {
            name: "fo".into(),
            service_toml: toml.to_owned(),
            model_xml: model.to_owned().into(),
            seed_json: None,
        };
        Services::from_sources(vec![source]).map(drop).map_err(|error| error.to_string())
    };
    let (toml, model) = (read("service.toml"), read("model.xml"));
    assert_eq!(refused(&toml, &model), Ok(()));
    let empty = toml.replace(r#"requeue_from = ["Executing", "Error", "Finished", "Canceled"]"#, "requeue_from = []");
    let unknown = toml.replace(r#""Executing", "Error""#, r#""Executing", "Failed""#);
    let generation = r#"<Property Name="Generation" Type="Edm.Int64" Nullable="false">"#;
    let writable = model.replacen(
        generation,
        r#"<Property Name="Generation" Type="Edm.Int64" Nullable="false" /><Property Name="Other" Type="Edm.Int64">"#,
        1,
    );
    let text = model.replacen(r#"Name="RetryCount" Type="Edm.Int32""#, r#"Name="RetryCount" Type="Edm.String""#, 1);
    let renumbered = model.replacen(r#"<Member Name="Error" Value="3" />"#, r#"<Member Name="Error" Value="33" />"#, 1);
    for (toml, model, part) in [
        (&empty, &model, "'requeue_from' is empty"),
        (&unknown, &model, "'Failed' is no state"),
        (&toml, &writable, "'Generation' of a batch job must be computed"),
        (&toml, &text, "'RetryCount'"),
        (&toml, &renumbered, "'Status' of a batch job must be an enumeration"),
    ] {
        let error = refused(toml, model).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
