//! Mistakes in files, and files that only look like one.

use std::{fs, process::Stdio};

use tests::{
    binaries::workspace,
    host::{self, Host},
};

use super::{MODEL, Start, says};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Text in UTF-16, with its byte order mark.
fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn roots_that_the_host_takes_itself() {
    for root in ["/events", "/events/x", "/health", "/ready", "/metrics"] {
        let start = Start::toml(&format!("page_size = 5\nroots = [\"/shop\",\n  \"{root}\"]\n"));
        let line = format!("services/shop/service.toml:3:3: root '{root}': the host itself answers there");
        start.ends(&[], 1, &line).await;
    }
    let twice = Start::toml("roots = [\"/shop\", \"/shop\"]\n");
    let line = "services/shop/service.toml:1:19: root '/shop' answers the same paths as '/shop' of service 'shop'";
    twice.ends(&[], 1, line).await;
    let other = Start::new().with("services/a/service.toml", "roots = [\"/shop\"]").with("services/a/model.xml", MODEL);
    let line = "services/shop/service.toml:1:10: root '/shop' answers the same paths as '/shop' of service 'a'";
    other.ends(&[], 1, line).await;
}

#[tokio::test]
async fn models() {
    let set = r#"<EntitySet Name="Orders" EntityType="Shop.Order"/>"#;
    let note = r#"<Property Name="Note" Type="Edm.String" MaxLength="4"/>"#;
    for (part, instead, place) in [
        (
            r#"<Key><PropertyRef Name="Id"/></Key>"#,
            "",
            "3:1: entity type 'Shop.Order' has no key, and entity set 'Orders' needs one",
        ),
        (
            r#"<PropertyRef Name="Id"/>"#,
            r#"<PropertyRef Name="Id"/><PropertyRef Name="Id"/>"#,
            "3:55: 'Shop.Order/Id' is declared twice",
        ),
        (r#"Ref Name="Id"/>"#, r#"Ref Name="No"/>"#, "3:31: 'Shop.Order' has no property 'No'"),
        (note, &format!("{note}\n{note}"), "6:1: 'Shop.Order/Note' is declared twice"),
        (r#"Name="Next""#, r#"Name="Note""#, "6:3: 'Shop.Order/Note' is declared twice"),
        ("<EntityContainer", "<EntityType Name=\"Order\"/><EntityContainer", "7:1: 'Shop.Order' is declared twice"),
        (set, &format!("{set}\n{set}"), "9:1: 'Orders' is declared twice"),
        (set, &format!(r#"{set}<Singleton Name="Orders" Type="Shop.Order"/>"#), "8:53: 'Orders' is declared twice"),
        (
            "<EntityContainer",
            "<TypeDefinition Name=\"T\"/>\n<TypeDefinition Name=\"T\"/><EntityContainer",
            "8:1: 'Shop.T' is declared twice",
        ),
        (
            "<EntityContainer",
            "<EnumType Name=\"E\">\n<Member Name=\"A\"/>\n <Member Name=\"A\"/></EnumType><EntityContainer",
            "9:2: 'Shop.E/A' is declared twice",
        ),
        (
            "</Schema>",
            "</Schema>\n<Schema Namespace=\"A\" Alias=\"S\"/>\n<Schema Namespace=\"B\" Alias=\"S\"/>",
            "11:1: 'S' is declared twice",
        ),
        (set, "", "7:1: the model has no entity set"),
        ("Edm.Int32", "Edm.Int33", "4:3: the type 'Edm.Int33' is not declared"),
        ("Name=\"Id\" Type", "Nam=\"Id\" Type", "4:3: <Property> has no Name"),
    ] {
        Start::model(part, instead).ends(&[], 1, &format!("services/shop/model.xml:{place}")).await;
    }
    let missing = Start::new().without("services/shop/model.xml");
    missing.ends(&[], 1, "services/shop/model.xml: cannot be read: No such file or directory (os error 2)").await;
}

#[tokio::test]
async fn seeds() {
    for (seed, place) in [
        (
            "{\"Orders\": [\n  {\"Id\": 1},\n    {\"Id\": 2, \"Note\": \"too long\"}]}",
            "3:5: 'Note' of type 'Order' has length 8, the maximum is 4",
        ),
        (
            "{\"Orders\": [\n  {\"Id\": 1},\n    {\"Note\": \"ä\"}]}",
            "3:5: row of 'Orders': the property 'Id' of 'Order' is required",
        ),
        (
            "{\"Orders\": [\n  {\"Id\": 1, \"Next@odata.bind\": \"Orders(7)\"}]}",
            "2:3: row of 'Orders': 'Orders(7)', the target of 'Next', does not exist",
        ),
        ("{\"Orders\": [\n  {\"Id\": 1}, {\"Id\": 1}]}", "2:14: another row of 'Orders' has the key (1) (line 2)"),
        ("{\"Orders\": [\n  {\"Id\": 1, \"Id\": 2}]}", "2:13: 'Id' stands here a second time"),
        ("{\"Orders\": [],\n \"Orders\": []}", "2:2: 'Orders' stands here a second time"),
        ("{\"Orders\": [\n {\"Id\": 1, \"Note\": \"ä\" x}]}", "2:24: expected `,` or `}`"),
        ("{\"Orders\": [\n {\"Id\": 1, \"Note\": \"\\ud800\"}]}", "2:20: unexpected end of hex escape"),
        (
            "{\"Orders\": 5}",
            "1:12: invalid type: integer `5`, expected an array of entities, or an object with one member a company",
        ),
        ("{\n", "2:1: EOF while parsing an object"),
        ("", "1:1: EOF while parsing a value"),
        ("{\"Customers\": []}", "1:2: the model has no entity set 'Customers'"),
    ] {
        Start::seed(seed).ends(&[], 1, &format!("services/shop/seed.json:{place}")).await;
    }
}

#[tokio::test]
async fn configurations() {
    for (toml, place) in [
        ("", "1:1: missing field `roots`"),
        ("roots = []", "1:9: no root"),
        ("roots = [\"/shop\"]\npage_size = 0", "2:13: a limit of 0 would refuse everything"),
        ("roots = [\"/shop\"]\n# ä\nread_only = [\"ä\", \"X\"]", "3:14: the model has no entity set 'ä'"),
        ("roots = [\"/shop\"]\nroots = [\"/shop\"]", "2:1: duplicate key"),
        (
            "roots = [\"/shop\"]\n[jobs]\nset = \"Orders\"\nhistory = \"Orders\"\nrequeue_from = [\"Error\"]",
            "3:7: type 'Shop.Order' has no property 'BatchJobRecId'",
        ),
    ] {
        Start::toml(toml).ends(&[], 1, &format!("services/shop/service.toml:{place}")).await;
    }
    let folders = Start::new().without("services/shop");
    folders.ends(&[], 1, "services: no folder with a service.toml in it").await;
    let start = folders.without("services");
    start.ends(&[], 1, "services: cannot be read: No such file or directory (os error 2)").await;
    let file = start.with("services", "");
    file.ends(&[], 1, "services: cannot be read: Not a directory (os error 20)").await;
    let line = "services/shop/service.toml: cannot be read: No such file or directory (os error 2)";
    Start::new().without("services/shop/service.toml").ends(&[], 1, line).await;
    let folder = Start::new().without("services/shop/service.toml").with("services/shop/service.toml/x", "");
    folder.ends(&[], 1, "services/shop/service.toml: cannot be read: Is a directory (os error 21)").await;
}

#[tokio::test]
async fn files_that_are_no_utf_8() {
    let latin = b"# a\n# \xc3\xa4 \xe4";
    let policy = ["--policy", "policy.toml"];
    for file in ["services/shop/service.toml", "services/shop/model.xml", "services/shop/seed.json", "policy.toml"] {
        let arguments = if file == "policy.toml" { &policy[..] } else { &[] };
        Start::new().with(file, latin).ends(arguments, 1, &format!("{file}:2:5: is not UTF-8 text")).await;
        let line = format!("{file}:1:1: is UTF-16 text; save it as UTF-8");
        Start::new().with(file, utf16("roots")).ends(arguments, 1, &line).await;
    }
}

#[tokio::test]
async fn a_byte_order_mark_moves_no_column() {
    let marked = |text: &str| [BOM, text.as_bytes()].concat();
    let toml = Start::new().with("services/shop/service.toml", marked("root = []"));
    let output = toml.run(&["--memory", "--listen", "127.0.0.1:0", "--services", "services"]).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("rebatch: services/shop/service.toml:1:1: unknown field `root`"), "{error}");
    Start::seed(marked("{\"X\": []}"))
        .ends(&[], 1, "services/shop/seed.json:1:2: the model has no entity set 'X'")
        .await;
    let model = Start::new().with("services/shop/model.xml", marked("<a/>"));
    model.ends(&[], 1, "services/shop/model.xml:1:1: there is no <edmx:Edmx> element").await;
    let policy = Start::policy(marked("keep_decisions = \"1\""));
    let line = "policy.toml:1:18: '1' is no length of time: write 90s, 5m, 1h30m or 2d";
    policy.ends(&["--policy", "policy.toml"], 1, line).await;
    // Files with one are as good as others.
    let start = Start::new()
        .with("services/shop/service.toml", marked("roots = [\"/shop\"]"))
        .with("services/shop/model.xml", marked(MODEL))
        .with("services/shop/seed.json", marked("{\"Orders\": [{\"Id\": 7}]}"))
        .with("policy.toml", marked("[sources.s]\ntarget = \"t\"\nauthentication = \"none\"\n[targets.t]\n"));
    let services = start.folder.path().join("services");
    let host = Host::start(&["--memory", "--services", services.to_str().unwrap()]).await;
    let read = reqwest::get(format!("{}/shop/Orders(7)/Id/$value", host.url())).await.unwrap();
    assert_eq!((read.status().as_u16(), read.text().await.unwrap().as_str()), (200, "7"));
}

#[tokio::test]
async fn policies() {
    let policy = ["--policy", "policy.toml"];
    Start::policy("keep_decisions = \"1\"")
        .ends(&policy, 1, "policy.toml:1:18: '1' is no length of time: write 90s, 5m, 1h30m or 2d")
        .await;
    Start::policy("[targets.t]\n[targets.t]\n").ends(&policy, 1, "policy.toml:2:10: duplicate key").await;
    Start::new().ends(&policy, 1, "policy.toml: cannot be read: No such file or directory (os error 2)").await;
}

#[tokio::test]
async fn data_files() {
    let start = Start::new().with("notes.txt", "notes").with("folder/x", "");
    for (data, code, line) in [
        (
            "file:x?mode=memory",
            2,
            "invalid value 'file:x?mode=memory' for '--data <FILE>': a data file is named by its path and not by a URI; ./file:x?mode=memory is a file",
        ),
        (
            ":memory:",
            2,
            "invalid value ':memory:' for '--data <FILE>': --memory keeps the data in memory; ./:memory: is a file of this name",
        ),
        ("", 2, "a value is required for '--data <FILE>' but none was supplied"),
        ("folder", 1, "folder: is a folder, and no data file"),
        ("notes.txt", 1, "notes.txt: is no data file: it does not begin as a SQLite database does"),
        ("notes.txt/data.db", 1, "notes.txt: cannot be written: File exists (os error 17)"),
        ("/proc/none/data.db", 1, "/proc/none: cannot be written: No such file or directory (os error 2)"),
    ] {
        start.ends(&["--data", data], code, line).await;
    }
    assert_eq!(fs::read_to_string(start.folder.path().join("notes.txt")).unwrap(), "notes");
    let line = "none.db: there is no data file";
    says(&start.run(&["reindex", "--services", "services", "--data", "none.db"]).await, 1, line);
}

#[tokio::test]
async fn a_name_that_looks_like_a_uri_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["file:x?mode=memory", ":memory:", "a b%20?c#d"] {
        let mut command = host::command(&["--data", &format!("./{name}")]);
        command.current_dir(folder.path()).stderr(Stdio::null());
        Host::run(command).await.kill().await;
        assert!(fs::metadata(folder.path().join(name)).unwrap().len() > 0, "{name}");
    }
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| name.starts_with(['f', ':', 'a']) && name != "x"));
}

#[tokio::test]
async fn keys_and_tokens() {
    let jwks = ["--auth", "jwt", "--issuer", "i", "--audience", "a", "--jwks", "keys.json"];
    let keys = |content: &[u8]| Start::new().with("keys.json", content);
    keys(b"{\"keys\":\n [}").ends(&jwks, 1, "keys.json:2:3: it is not a JSON Web Key Set: expected value").await;
    keys(b"{}").ends(&jwks, 1, "keys.json:1:2: it is not a JSON Web Key Set: missing field `keys`").await;
    keys(b"{\"keys\":\n\xe4").ends(&jwks, 1, "keys.json:2:1: it is not UTF-8 text").await;
    keys(b"{\"keys\":[]}").ends(&jwks, 1, "keys.json: it has no key that verifies signatures").await;
    keys(b"\xef\xbb\xbf{\"keys\":[]}").ends(&jwks, 1, "keys.json: it has no key that verifies signatures").await;
    Start::new().ends(&jwks, 1, "keys.json: cannot be read: No such file or directory (os error 2)").await;
    let token = ["--auth", "token", "--token-file", "token"];
    let tokens = |content: &[u8]| Start::new().with("token", content);
    tokens(b"0123456789abcdef0123456789abcdef\n  short\n")
        .ends(&token, 1, "token:2:3: a token has 5 characters; 32 to 16384 are possible")
        .await;
    tokens(b"0123456789abcdef0123456789abcdef\n \xe4").ends(&token, 1, "token:2:2: is not UTF-8 text").await;
    tokens(b" \n").ends(&token, 1, "token:1:1: there is no token").await;
    Start::new().ends(&token, 1, "token: cannot be read: No such file or directory (os error 2)").await;
}

#[tokio::test]
async fn jobs_and_requeues() {
    let shipped =
        |file: &str| fs::read_to_string(workspace().join("infra/services/finance-operations").join(file)).unwrap();
    let (toml, model) = (shipped("service.toml"), shipped("model.xml"));
    let start = |model: &str| {
        let start = Start::new().without("services/shop").with("services/a/service.toml", &toml);
        start.with("services/a/model.xml", model)
    };
    let other = start(&model).with("services/b/service.toml", toml.replace("/data", "/other"));
    let line = "services/b/service.toml:25:13: service 'a' has [requeues] too; one can have it";
    other.with("services/b/model.xml", &model).ends(&[], 1, line).await;
    for (property, line) in [
        (
            "Rule",
            "201:7: type 'Microsoft.Dynamics.DataEntities.RequeueDecision' of its requeues has no property 'Rule'",
        ),
        (
            "FromStatus",
            "84:7: type 'Microsoft.Dynamics.DataEntities.BatchJobHistory' of its jobs has no property 'FromStatus'",
        ),
    ] {
        let model = model.replacen(&format!("<Property Name=\"{property}\""), "<Property Name=\"Other\"", 1);
        start(&model).ends(&[], 1, &format!("services/a/model.xml:{line}")).await;
    }
    let companies = "[companies]\nset = \"Orders\"\nname_property = \"Note\"\ndefault = \"a\"\nrows = []\n";
    let jobs = "[jobs]\nset = \"Orders\"\nhistory = \"Orders\"\nrequeue_from = []\n";
    let line = "services/shop/service.toml:8:7: [jobs] is for services without companies: their rows would be in as many places";
    Start::toml(&format!("roots = [\"/shop\"]\n{companies}{jobs}")).ends(&[], 1, line).await;
}
