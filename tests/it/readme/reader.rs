//! Somebody who does what README.md says, one command after another.

use std::{
    collections::BTreeMap,
    os::unix::fs::symlink,
    process::Stdio,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use tempfile::TempDir;
use tests::{
    binaries::{binary, workspace},
    host::{self, Host},
    readme::{Answer, Block, Comment, Curl, Part, Statement, Word, differs},
    receiver::{Receiver, Reply},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

/// For an answer to become what is said of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where README.md serves unless it says otherwise, and where its receiver of events is.
const SERVED: &str = "127.0.0.1:8080";
const RECEIVER: &str = "127.0.0.1:9000";

/// Where a command stands, and what is said of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    line: usize,
    /// Whether it goes on while others follow.
    stays: bool,
    comment: Comment,
    shown: Option<Block>,
}

/// The state of a reader.
pub(super) struct Reader {
    folder: TempDir,
    variables: BTreeMap<String, String>,
    /// Hosts that serve, by the addresses that README.md has for them.
    hosts: BTreeMap<String, Host>,
    receiver: Receiver,
}

impl Place {
    pub(super) fn new(statement: &Statement, is_last: bool, shown: Option<&Block>) -> Self {
        Self {
            line: statement.line,
            stays: is_last || statement.background,
            comment: Comment::parse(&statement.comment),
            shown: shown.cloned(),
        }
    }
}

impl Reader {
    /// In a folder of the repository, as it were, with a receiver of events beside it.
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(workspace().join("infra"), folder.path().join("infra")).unwrap();
        let receiver = Receiver::start(|_| Reply::Status(200)).await;
        Self { folder, variables: BTreeMap::new(), hosts: BTreeMap::new(), receiver }
    }

    /// Carries a statement out; what it prints.
    pub(super) fn run<'r>(&'r mut self, statement: &'r Statement, place: Place) -> BoxFuture<'r, String> {
        async move {
            let mut printed = None;
            for command in &statement.pipeline {
                let mut words = Vec::new();
                for word in command {
                    words.push(self.expand(word, place.line).await);
                }
                printed = Some(self.command(words, printed.as_deref(), &place).await);
            }
            printed.unwrap_or_default()
        }
        .boxed()
    }

    async fn expand(&mut self, word: &Word, line: usize) -> String {
        let mut text = String::new();
        for part in &word.0 {
            match part {
                Part::Text(part) => text += part,
                Part::Variable(name) => match self.variables.get(name) {
                    Some(value) => text += value,
                    None => panic!("README.md, line {line}: ${name} has no value"),
                },
                Part::Output(statement) => {
                    let place = Place { line, ..Place::default() };
                    text += self.run(statement, place).await.trim_end_matches('\n');
                }
                Part::Placeholder(name) => panic!("README.md, line {line}: <{name}> is to be filled in"),
            }
        }
        text
    }

    async fn command(&mut self, mut words: Vec<String>, input: Option<&str>, place: &Place) -> String {
        let is_assignment = |word: &String| {
            let name = word.split_once('=').map(|(name, _)| name);
            name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        };
        let assigned = words.iter().take_while(|word| is_assignment(word)).count();
        let rest = words.split_off(assigned);
        let variables = words.iter().filter_map(|word| word.split_once('='));
        let Some((program, arguments)) = rest.split_first() else {
            self.variables.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
            return String::new();
        };
        match program.as_str() {
            "printf" => printf(arguments),
            "date" => date(arguments),
            "curl" => self.curl(arguments, input, place).await,
            "cargo" => self.cargo(arguments, place).await,
            _ => panic!("README.md, line {}: {program} is neither carried out nor listed as not to be", place.line),
        }
    }

    /// A text with the addresses that are used here.
    fn here(&self, text: &str) -> String {
        let of_receiver = self.receiver.url().trim_start_matches("http://").trim_end_matches("/hook");
        let text = text.replace(RECEIVER, of_receiver);
        self.hosts.iter().fold(text, |text, (address, host)| text.replace(address, authority(host)))
    }

    async fn curl(&self, arguments: &[String], input: Option<&str>, place: &Place) -> String {
        let line = place.line;
        let curl = Curl::parse(arguments, input).unwrap_or_else(|error| panic!("README.md, line {line}: {error}"));
        let Some(host) = self.hosts.get(&curl.authority) else {
            panic!("README.md, line {line}: nothing serves at {}", curl.authority)
        };
        let (authority, body) = (authority(host).to_owned(), curl.body.as_deref().map(|body| self.here(body)));
        let curl = Curl { authority, body, ..curl };
        // Deliveries and requeues beside the requests take their time.
        let until = Instant::now() + if curl.method == "GET" { PATIENCE } else { Duration::ZERO };
        loop {
            let answer = curl.send().await.unwrap_or_else(|error| panic!("README.md, line {line}: {error}"));
            let Some(wrong) = self.wrong(&answer, place) else { return answer.body };
            let Answer { head, body, .. } = answer;
            assert!(Instant::now() < until, "README.md, line {line}: {wrong}\n{head}\n\n{body}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Why an answer is not what README.md says.
    fn wrong(&self, answer: &Answer, place: &Place) -> Option<String> {
        place.comment.differs(answer).or_else(|| {
            let shown = place.shown.as_ref()?;
            let is_json = "a block below curl shows a JSON answer";
            let shown = serde_json::from_str(&self.here(&shown.text)).expect(is_json);
            differs(&shown, &serde_json::from_str(&answer.body).unwrap_or_default())
        })
    }

    async fn cargo(&mut self, arguments: &[String], place: &Place) -> String {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let words = words.strip_prefix(&["run"]).expect("cargo run");
        let words = words.strip_prefix(&["--release"]).unwrap_or(words);
        let arguments = match words {
            [] => &[],
            ["--", arguments @ ..] => arguments,
            other => panic!("README.md, line {}: cargo run {other:?}", place.line),
        };
        match arguments {
            ["token" | "check-rules" | "reindex", ..] => self.tell(arguments, place).await,
            ["demo"] => {
                self.demonstrate().await;
                String::new()
            }
            ["serve", options @ ..] | options => {
                self.serve(options, place).await;
                String::new()
            }
        }
    }

    fn rebatch(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("rebatch"));
        command.current_dir(self.folder.path()).args(arguments).kill_on_drop(true);
        command
    }

    /// Has the program print something.
    async fn tell(&self, arguments: &[&str], place: &Place) -> String {
        let output = self.rebatch(arguments).output().await.unwrap();
        let (printed, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "README.md, line {}: {said}", place.line);
        if let Some(shown) = &place.shown {
            assert_eq!(printed, shown.text, "README.md, line {}", shown.line);
        }
        printed
    }

    /// Looks at the demonstration, and ends it.
    async fn demonstrate(&self) {
        let mut command = self.rebatch(&["demo", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time").unwrap();
        assert!(line.expect("a line").contains("to explore"));
        interrupt(child.id().unwrap()).await;
        assert!(tokio::time::timeout(PATIENCE, child.wait()).await.expect("in time").unwrap().success());
    }

    /// Serves on another port.
    async fn serve(&mut self, options: &[&str], place: &Place) {
        let line = place.line;
        let listen = options.iter().position(|option| *option == "--listen");
        let address = listen.and_then(|at| options.get(at + 1)).map_or(SERVED, |address| address).to_owned();
        let others =
            (0..).zip(options).filter(|(at, _)| listen.is_none_or(|listen| *at != listen && *at != listen + 1));
        let others: Vec<&str> = others.map(|(_, option)| *option).collect();
        assert!(!self.hosts.contains_key(&address), "README.md, line {line}: {address} is taken");
        let mut command = host::command(&others);
        let host = Host::run({
            command.current_dir(self.folder.path());
            command
        })
        .await;
        if place.stays {
            self.hosts.insert(address, host);
        } else {
            interrupt(host.id()).await;
            assert_eq!(host.exit_code().await, Some(0), "README.md, line {line}");
        }
    }

    /// Whether the receiver is told of an event, with a signature.
    pub(super) async fn check_receiver(&self, event: &str, patience: Duration) {
        let until = Instant::now() + patience;
        while !self
            .receiver
            .seen()
            .iter()
            .any(|seen| seen.body.contains(event) && seen.header("webhook-signature").starts_with("v1,"))
        {
            assert!(Instant::now() < until, "the receiver of README.md is not told of {event}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn authority(host: &Host) -> &str {
    host.url().trim_start_matches("http://")
}

/// As Ctrl-C does.
async fn interrupt(process: u32) {
    let kill = Command::new("kill").args(["-INT", &process.to_string()]).status();
    assert!(kill.await.unwrap().success());
}

/// `printf` with one `%s` in its format, which is used for each argument.
fn printf(arguments: &[String]) -> String {
    let (format, texts) = arguments.split_first().expect("a format");
    let format = format.replace("\\r", "\r").replace("\\n", "\n");
    let (before, after) = format.split_once("%s").expect("a format with %s");
    assert!(!before.contains('\\') && !after.contains(['\\', '%']), "printf {format:?}");
    texts.iter().map(|text| format!("{before}{text}{after}")).collect()
}

/// `date -u +FORMAT`
fn date(arguments: &[String]) -> String {
    let [utc, format] = arguments else { panic!("date {arguments:?}") };
    assert_eq!(utc, "-u");
    Timestamp::now().strftime(format.strip_prefix('+').expect("a format")).to_string()
}
