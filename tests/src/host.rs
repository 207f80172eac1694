//! The real local host as a process of its own.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use crate::binaries::{binary, workspace};

/// Longest wait for a host to say that it listens, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The seeded endpoint by which the host tells itself of its jobs, and requeues those that fail.
pub const OWN_LOOP: &str = "/data/BusinessEventEndpoints(5e1f0000-0000-4000-8000-000000000001)";

/// A running `rebatch serve`; killed when it is dropped.
#[derive(Debug)]
pub struct Host {
    child: Child,
    url: String,
}

impl Host {
    /// Starts `rebatch` on a free port with these further arguments, and waits until it accepts requests.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::run(command(arguments)).await
    }

    /// Starts what [`command`] made, and waits until it accepts requests.
    pub async fn run(mut command: Command) -> Self {
        Self::announced(command.spawn().expect("rebatch runs")).await
    }

    async fn announced(mut child: Child) -> Self {
        let out = child.stdout.take().expect("piped");
        let mut lines = BufReader::new(out).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("readable");
        let line = line.expect("rebatch ended before it listened");
        let url = line.strip_prefix("listening on ").expect("the announcement").to_owned();
        // Keeps the pipe open and empty.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, url }
    }

    /// Starts what [`command`] made with standard error piped, waits until it accepts requests, and hands over the pipe.
    pub async fn run_piped(mut command: Command) -> (Self, ChildStderr) {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("rebatch runs");
        let stderr = child.stderr.take().expect("piped");
        (Self::announced(child).await, stderr)
    }

    /// Starts `rebatch` over a data file.
    pub async fn over(data: &Path) -> Self {
        Self::start(&["--data", data.to_str().expect("UTF-8")]).await
    }

    /// `http://HOST:PORT`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("not waited for")
    }

    /// Ends it in an instant, as `kill -9` does.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }

    /// Waits for it to end by itself; its exit code.
    pub async fn exit_code(mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("in time").expect("waited for").code()
    }
}

/// `rebatch serve` with these arguments on a free port, unless they name another; not started yet.
pub fn command(arguments: &[&str]) -> Command {
    command_of(&binary("rebatch"), arguments)
}

/// The same of a `rebatch` that may be another build.
pub fn command_of(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace()).arg("serve").args(arguments).stdout(Stdio::piped()).kill_on_drop(true);
    if !arguments.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command
}
