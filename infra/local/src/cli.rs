//! The command line of `rebatch`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::BoolishValueParser, error::ErrorKind};
use jiff::Timestamp;
use local::dev_issuer::Grant;

use crate::values::{data_file, lifetime, root};

/// The data file unless another is named.
const DATA: &str = ".rebatch/data.db";

/// An OData service with transactional batches over DynamoDB, on this machine.
#[derive(Debug, Parser)]
#[command(name = "rebatch", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Subcommands>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Answer requests (what happens without a command, too) until SIGINT, SIGTERM or SIGHUP; a second one ends at once.
    Serve(Box<Serve>),
    /// Print a token of the dev issuer, which `--auth jwt` without `--issuer` accepts.
    Token(Token),
    /// Show how failed jobs come back without a person: a host of its own, in memory, with jobs that fail.
    Demo(Demo),
    /// Say what the rules would do about an event, and why, without doing it.
    CheckRules(CheckRules),
    /// Make stored entities found by alternate keys that their model has gained since, and name those that share one.
    Reindex(Reindex),
}

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// To answer requests.
    Serve(Box<Serve>),
    /// To print a token.
    Token(Token),
    /// To show how failed jobs come back.
    Demo(Box<Serve>),
    /// To say what would be done about an event.
    CheckRules(CheckRules),
    /// To write the items of alternate keys.
    Reindex(Reindex),
}

/// How to serve.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub(crate) struct Serve {
    /// Address to listen on, a loopback one without --auth; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    /// File of the embedded database.
    #[arg(long, value_name = "FILE", default_value = DATA, value_parser = data_file())]
    pub(crate) data: PathBuf,
    /// Keep the data in memory and forget them at the end.
    #[arg(long, conflicts_with = "data")]
    pub(crate) memory: bool,
    /// Folder of services, one folder each.
    #[arg(long, value_name = "DIR", env = "REBATCH_SERVICES")]
    pub(crate) services: Option<PathBuf>,
    /// DynamoDB at this URL instead of the embedded one.
    #[arg(long, value_name = "URL", requires = "table", conflicts_with_all = ["data", "memory"])]
    pub(crate) endpoint: Option<String>,
    /// A real table instead of the embedded one; made when it is missing.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["data", "memory"])]
    pub(crate) table: Option<String>,
    /// Load the rows of the services into a real table too. The embedded one always gets them.
    #[arg(long)]
    pub(crate) seed: bool,
    /// The URL by which clients call the root of this host, where they send another `Host`. Without --auth its name is taken
    /// as `Host` beside those of this machine, and no other.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Origin of web pages that may call, such as `http://localhost:4200`, or `*`. May be repeated.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) cors_origin: Vec<String>,
    /// Let endpoints of business events be anywhere: on this machine, in the own network.
    #[arg(long, env = "REBATCH_ALLOW_PRIVATE_TARGETS", value_parser = BoolishValueParser::new())]
    pub(crate) allow_private_targets: bool,
    /// What is done about events that come in: sources, rules, targets; `infra/policy.toml` where it is there.
    #[arg(long, value_name = "FILE", env = "REBATCH_POLICY")]
    pub(crate) policy: Option<PathBuf>,
    /// Take events from sources of the policy whose authentication is "none", although callers have to show who they are,
    /// or others reach this host (--public-url): whoever reaches it can have failed jobs requeued.
    #[arg(long)]
    pub(crate) allow_open_sources: bool,
    /// Write the endpoint `rebatch:events`, by which the policy is told of this host's own jobs, once into a store that lacks
    /// it. A new store has it from its seeds.
    #[arg(long, conflicts_with = "no_outbox")]
    pub(crate) own_loop: bool,
    /// Send no business events, requeue nothing, and write no history of jobs. A real table has a function for that.
    #[arg(long)]
    pub(crate) no_outbox: bool,
    /// Write a line for each request to standard error, in this form. `RUST_LOG` says more exactly what is written.
    #[arg(long, value_name = "FORM")]
    pub(crate) log: Option<LogFormat>,
    #[command(flatten)]
    pub(crate) auth: Auth,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Pretty,
    /// A JSON object a line.
    Json,
}

/// Who is let in.
#[derive(Clone, Debug, Default, Args, PartialEq, Eq)]
pub(crate) struct Auth {
    /// How callers show who they are: not at all, by a token that this host knows, or by one that an issuer signed.
    #[arg(long = "auth", value_name = "MODE", default_value = "none")]
    pub(crate) mode: AuthMode,
    /// File with the token, or with several; the variable `REBATCH_TOKEN` without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Issuer (`iss`) of the tokens; the dev issuer without it. May be repeated: all share the keys.
    #[arg(long, value_name = "ISSUER")]
    pub(crate) issuer: Vec<String>,
    /// Audience (`aud`) of the tokens. May be repeated.
    #[arg(long, value_name = "AUDIENCE")]
    pub(crate) audience: Vec<String>,
    /// The issuer's JSON Web Key Set.
    #[arg(long, value_name = "URL|FILE")]
    pub(crate) jwks: Option<String>,
    /// Algorithm of signatures; RS256 and ES256 without it. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) algorithm: Vec<String>,
    /// How long keys are used before they are fetched again; 600 without it.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) jwks_ttl: Option<u64>,
}

/// How callers show who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthMode {
    #[default]
    None,
    Token,
    Jwt,
}

/// Which token to print.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub(crate) struct Token {
    /// What its owner may do: `data.read`, `data.write`, `jobs.requeue`, `admin`. May be repeated.
    #[arg(long, value_name = "SCOPE", required = true)]
    scope: Vec<String>,
    /// Whom it names.
    #[arg(long, default_value = "developer")]
    name: String,
    /// How long it is good for: `90s`, `1h`, `30d`.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    ttl: Duration,
    /// The data file of the host that it is for: the issuer's key is beside it.
    #[arg(long, value_name = "FILE", default_value = DATA, value_parser = data_file())]
    pub(crate) data: PathBuf,
    /// Make the issuer's key where there is none.
    #[arg(long)]
    pub(crate) new_key: bool,
}

impl Token {
    /// The claims of the token.
    pub(crate) fn grant(&self) -> Grant {
        Grant { name: self.name.clone(), scopes: self.scope.clone(), lifetime: self.ttl }
    }
}

/// How to show it.
#[derive(Clone, Debug, Args)]
struct Demo {
    /// Address to listen on, a loopback one; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Folder of services, one folder each.
    #[arg(long, value_name = "DIR", env = "REBATCH_SERVICES")]
    services: Option<PathBuf>,
}

impl Demo {
    fn serve(self) -> Serve {
        Serve {
            listen: self.listen,
            data: DATA.into(),
            memory: true,
            services: self.services,
            endpoint: None,
            table: None,
            seed: false,
            public_url: None,
            cors_origin: Vec::new(),
            allow_private_targets: false,
            policy: None,
            allow_open_sources: false,
            own_loop: true,
            no_outbox: false,
            log: None,
            auth: Auth::default(),
        }
    }
}

/// Whose entities to go through.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub(crate) struct Reindex {
    /// File of the embedded database; no host may use it meanwhile.
    #[arg(long, value_name = "FILE", default_value = DATA, value_parser = data_file())]
    pub(crate) data: PathBuf,
    /// Folder of services, one folder each.
    #[arg(long, value_name = "DIR", env = "REBATCH_SERVICES")]
    services: Option<PathBuf>,
    /// DynamoDB at this URL instead of the embedded one.
    #[arg(long, value_name = "URL", requires = "table", conflicts_with = "data")]
    pub(crate) endpoint: Option<String>,
    /// A real table instead of the embedded one; hosts and functions may go on using it.
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    pub(crate) table: Option<String>,
}

impl Reindex {
    /// The same with its URL as browsers write it.
    fn checked(self) -> Result<Self, Refused> {
        let endpoint = root("--endpoint", self.endpoint.as_deref()).map_err(Refused::Misused)?;
        Ok(Self { endpoint, ..self })
    }

    /// The folder of services: the one that was named, else `infra/services`.
    pub(crate) fn services_folder(&self) -> PathBuf {
        infra(self.services.as_deref(), "services")
    }
}

/// Which event to check, and against what.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub(crate) struct CheckRules {
    /// File with one event or several, in any of the formats; `-` is the standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) event: PathBuf,
    /// File of sources, targets and rules.
    #[arg(long, value_name = "FILE", env = "REBATCH_POLICY")]
    pub(crate) policy: Option<PathBuf>,
    /// The source that the event comes from, `self` for events of this service's own jobs; the only source of the policy
    /// without it.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// When the event comes in, such as `2026-11-20T22:00:00Z`; now without it.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    /// How often its job was requeued before.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,
}

/// What a command line that does not lead to serving leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Help or version were asked for: the text, and success.
    Told(String),
    /// Not understood: one line.
    Misused(String),
}

impl Command {
    /// Reads a command line, the program's name first.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, Refused> {
        let cli = Cli::try_parse_from(arguments).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refused::Told(error.to_string()),
            _ => Refused::Misused(one_line(&error.to_string())),
        })?;
        Ok(match cli.command {
            Some(Subcommands::Token(token)) => Self::Token(token),
            Some(Subcommands::CheckRules(options)) => Self::CheckRules(options),
            Some(Subcommands::Reindex(options)) => Self::Reindex(options.checked()?),
            Some(Subcommands::Serve(serve)) => Self::Serve(Box::new(serve.checked()?)),
            Some(Subcommands::Demo(demo)) => Self::Demo(Box::new(demo.serve())),
            None => Self::Serve(Box::new(cli.serve.checked()?)),
        })
    }
}

impl Serve {
    /// The same with its URLs as browsers write them.
    fn checked(self) -> Result<Self, Refused> {
        let public_url = root("--public-url", self.public_url.as_deref()).map_err(Refused::Misused)?;
        let endpoint = root("--endpoint", self.endpoint.as_deref()).map_err(Refused::Misused)?;
        Ok(Self { endpoint, public_url, ..self })
    }

    /// The policy file: the one that was named, else `infra/policy.toml`, if it is there.
    pub(crate) fn policy_file(&self) -> Option<PathBuf> {
        let file = infra(self.policy.as_deref(), "policy.toml");
        (self.policy.is_some() || file.is_file()).then_some(file)
    }

    /// The folder of services: the one that was named, else `infra/services`.
    pub(crate) fn services_folder(&self) -> PathBuf {
        infra(self.services.as_deref(), "services")
    }
}

impl CheckRules {
    /// The policy: the file that was named, else `infra/policy.toml`, found as the folder of services is.
    pub(crate) fn policy_file(&self) -> PathBuf {
        infra(self.policy.as_deref(), "policy.toml")
    }
}

/// What was named, else that name in `infra` below the current directory, else in the workspace this program was built in.
fn infra(named: Option<&Path>, name: &str) -> PathBuf {
    let here = Path::new("infra").join(name);
    match named {
        Some(named) => named.to_owned(),
        None if here.exists() => here,
        None => Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(name),
    }
}

/// The first paragraph of clap's message, without its label and its layout.
fn one_line(message: &str) -> String {
    let paragraph = message.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let line = words.join(" ");
    line.strip_prefix("error: ").map_or(line.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Command, Refused> {
        Command::parse(std::iter::once("rebatch").chain(arguments.iter().copied()).map(Into::into))
    }

    fn parse(arguments: &[&str]) -> Result<Serve, Refused> {
        read(arguments).map(|command| match command {
            Command::Serve(serve) => *serve,
            other => panic!("{arguments:?} asks for {other:?}"),
        })
    }

    #[test]
    fn a_token_says_what_its_owner_may_do() {
        let Ok(Command::Token(token)) = read(&["token", "--scope", "data.read", "--scope", "admin"]) else {
            panic!("no token")
        };
        let grant = token.grant();
        assert_eq!((token.data.as_path(), token.new_key, grant.name.as_str()), (Path::new(DATA), false, "developer"));
        assert_eq!((grant.scopes, grant.lifetime), (vec!["data.read".into(), "admin".into()], Duration::from_hours(1)));
    }

    #[test]
    fn serve_is_the_default_command() {
        assert_eq!(parse(&["--memory"]), parse(&["serve", "--memory"]));
        assert_eq!(parse(&[]).unwrap().auth.mode, AuthMode::None);
        assert_eq!(parse(&[]).unwrap().listen, "127.0.0.1:8080");
    }

    #[test]
    fn an_event_is_checked_against_the_policy_of_the_host() {
        let Ok(Command::CheckRules(options)) = read(&["check-rules", "--event", "-", "--retries", "3"]) else {
            panic!("no check")
        };
        assert_eq!((options.event.as_path(), options.retries, options.at), (Path::new("-"), 3, None));
        assert!(options.policy_file().ends_with("infra/policy.toml") && options.policy_file().is_file());
        let named = CheckRules { policy: Some("x.toml".into()), ..options };
        assert_eq!(named.policy_file(), Path::new("x.toml"));
    }

    #[test]
    fn what_is_reindexed_is_what_a_host_serves() {
        let Ok(Command::Reindex(options)) = read(&["reindex"]) else { panic!("no reindex") };
        assert_eq!((options.data.as_path(), &options.table), (Path::new(DATA), &None));
        assert!(options.services_folder().ends_with("infra/services") && options.services_folder().is_dir());
        let real = ["reindex", "--table", "t", "--endpoint", "http://127.0.0.1:8000"];
        assert!(matches!(read(&real), Ok(Command::Reindex(Reindex { table: Some(_), endpoint: Some(_), .. }))));
    }

    #[test]
    fn mistakes_are_one_line() {
        let misuses: [&[&str]; 24] = [
            &["reindex", "--data", "x.db", "--table", "t"],
            &["reindex", "--endpoint", "http://127.0.0.1:8000"],
            &["reindex", "--table", "t", "--endpoint", "127.0.0.1:8000"],
            &["--table", "t", "--endpoint", "127.0.0.1:8000"],
            &["--public-url", "nope"],
            &["--public-url", "https://u:secret@a.example"],
            &["--data", "file:data.db"],
            &["--data", "file:x?mode=memory"],
            &["--data", ":memory:"],
            &["--data", ""],
            &["token", "--scope", "admin", "--data", "file:data.db"],
            &["reindex", "--data", "file:data.db"],
            &["--nonsense"],
            &["serve", "--memory", "--data", "x.db"],
            &["--endpoint", "http://127.0.0.1:8000"],
            &["--table", "t", "--memory"],
            &["begin"],
            &["--auth", "basic"],
            &["--jwks-ttl", "soon"],
            &["token"],
            &["token", "--scope", "admin", "--ttl", "x"],
            &["check-rules"],
            &["check-rules", "--event", "e.json", "--at", "tomorrow"],
            &["check-rules", "--event", "e.json", "--retries", "-1"],
        ];
        for misuse in misuses {
            let Err(Refused::Misused(line)) = parse(misuse) else { panic!("accepted {misuse:?}") };
            assert!(!line.contains('\n') && !line.starts_with("error") && line.len() > 10, "{line}");
            assert!(!line.contains("secret"), "{line}");
        }
    }

    #[test]
    fn a_data_file_is_any_path_and_urls_are_written_one_way() {
        for path in ["./file:x", "/file:x", "a b?c#d%20e", "./:memory:"] {
            assert_eq!(parse(&["--data", path]).unwrap().data, Path::new(path));
        }
        let url = parse(&["--public-url", "HTTPS://Example.com/odata/"]).unwrap().public_url;
        assert_eq!(url.as_deref(), Some("https://example.com/odata"));
        assert!(!parse(&["--table", "t"]).unwrap().seed && parse(&["--table", "t", "--seed"]).unwrap().seed);
    }

    #[test]
    fn the_log_has_a_form() {
        assert_eq!(parse(&["--memory"]).unwrap().log, None);
        assert_eq!(parse(&["--log", "json"]).unwrap().log, Some(LogFormat::Json));
        assert!(matches!(parse(&["--log", "xml"]), Err(Refused::Misused(_))));
    }

    #[test]
    fn help_is_no_mistake() {
        assert!(matches!(parse(&["--help"]), Err(Refused::Told(_))));
    }
}
