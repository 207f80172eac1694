//! Starts that end at once: each mistake is one line on standard error, with the place in the file.

mod files;
mod running;

use std::{
    fs,
    process::{Output, Stdio},
    time::Duration,
};

use tests::binaries::binary;
use tokio::{process::Command, time::timeout};

/// Far longer than any of these starts takes.
const SOON: Duration = Duration::from_secs(20);

const MODEL: &str = r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="Shop" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Order"><Key><PropertyRef Name="Id"/></Key>
  <Property Name="Id" Type="Edm.Int32" Nullable="false"/>
  <Property Name="Note" Type="Edm.String" MaxLength="4"/>
  <NavigationProperty Name="Next" Type="Shop.Order"/></EntityType>
<EntityContainer Name="C">
  <EntitySet Name="Orders" EntityType="Shop.Order"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"#;

/// The files of a start.
struct Start {
    folder: tempfile::TempDir,
}

impl Start {
    /// With one service, `services/shop`.
    fn new() -> Self {
        let start = Self { folder: tempfile::tempdir().unwrap() };
        start.with("services/shop/service.toml", "roots = [\"/shop\"]\n").with("services/shop/model.xml", MODEL)
    }

    /// With this file too, or instead.
    fn with(self, file: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// With another model: this part of it instead of that one.
    fn model(part: &str, instead: &str) -> Self {
        assert!(MODEL.contains(part), "{part}");
        Self::new().with("services/shop/model.xml", MODEL.replacen(part, instead, 1))
    }

    fn toml(content: &str) -> Self {
        Self::new().with("services/shop/service.toml", content)
    }

    fn seed(content: impl AsRef<[u8]>) -> Self {
        Self::new().with("services/shop/seed.json", content)
    }

    fn policy(content: impl AsRef<[u8]>) -> Self {
        Self::new().with("policy.toml", content)
    }

    fn without(self, path: &str) -> Self {
        let path = self.folder.path().join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        self
    }

    /// `rebatch` in its folder with these arguments.
    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary("rebatch"));
        command.current_dir(self.folder.path()).args(arguments).kill_on_drop(true).stdin(Stdio::null());
        command.env_remove("REBATCH_TOKEN").env_remove("RUST_LOG");
        timeout(SOON, command.output()).await.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap()
    }

    /// `rebatch serve` ends with this exit code and this line.
    async fn ends(&self, arguments: &[&str], code: i32, line: &str) {
        let mut all = vec!["serve", "--services", "services"];
        if !arguments.contains(&"--data") && !arguments.contains(&"--table") {
            all.push("--memory");
        }
        if !arguments.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        all.extend(arguments);
        says(&self.run(&all).await, code, line);
    }
}

/// One line on standard error, and nothing else.
fn says(output: &Output, code: i32, line: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((error.as_ref(), output.status.code()), (format!("rebatch: {line}\n").as_str(), Some(code)));
    assert!(output.stdout.is_empty(), "{line}");
}
