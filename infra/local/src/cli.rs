//! The command line of `rebatch`.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, builder::BoolishValueParser, error::ErrorKind};

/// An OData service with transactional batches over DynamoDB, on this machine.
#[derive(Debug, Parser)]
#[command(name = "rebatch", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer requests (what happens without a command, too).
    Serve(Serve),
}

/// How to serve.
#[derive(Clone, Debug, Args, PartialEq, Eq)]
pub(crate) struct Serve {
    /// Loopback address to listen on; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    /// File of the embedded database.
    #[arg(long, value_name = "FILE", default_value = ".rebatch/data.db")]
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
    /// What clients call the root of this host, when it is not what they send as `Host`.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Let endpoints of business events be anywhere: on this machine, in the own network.
    #[arg(long, env = "REBATCH_ALLOW_PRIVATE_TARGETS", value_parser = BoolishValueParser::new())]
    pub(crate) allow_private_targets: bool,
    /// Send no business events, and write no history of jobs. A real table has a function for that.
    #[arg(long)]
    pub(crate) no_outbox: bool,
}

/// What a command line that does not lead to serving leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Help or version were asked for: the text, and success.
    Told(String),
    /// Not understood: one line.
    Misused(String),
}

impl Serve {
    /// Reads a command line, the program's name first.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, Refused> {
        let cli = Cli::try_parse_from(arguments).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refused::Told(error.to_string()),
            _ => Refused::Misused(one_line(&error.to_string())),
        })?;
        Ok(match cli.command {
            Some(Command::Serve(serve)) => serve,
            None => cli.serve,
        })
    }

    /// The folder of services: the one that was named, else `infra/services` below the current directory, else the
    /// one of the workspace this program was built in.
    pub(crate) fn services_folder(&self) -> PathBuf {
        let here = Path::new("infra/services");
        match &self.services {
            Some(named) => named.clone(),
            None if here.is_dir() => here.to_owned(),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("services"),
        }
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

    fn parse(arguments: &[&str]) -> Result<Serve, Refused> {
        Serve::parse(std::iter::once("rebatch").chain(arguments.iter().copied()).map(Into::into))
    }

    #[test]
    fn serve_is_the_default_command() {
        assert_eq!(parse(&["--memory"]), parse(&["serve", "--memory"]));
        assert_eq!(parse(&[]).unwrap().listen, "127.0.0.1:8080");
    }

    #[test]
    fn mistakes_are_one_line() {
        let misuses: [&[&str]; 5] = [
            &["--nonsense"],
            &["serve", "--memory", "--data", "x.db"],
            &["--endpoint", "http://127.0.0.1:8000"],
            &["--table", "t", "--memory"],
            &["begin"],
        ];
        for misuse in misuses {
            let Err(Refused::Misused(line)) = parse(misuse) else { panic!("accepted {misuse:?}") };
            assert!(!line.contains('\n') && !line.starts_with("error") && line.len() > 10, "{line}");
        }
    }

    #[test]
    fn help_is_no_mistake() {
        assert!(matches!(parse(&["--help"]), Err(Refused::Told(_))));
    }
}
