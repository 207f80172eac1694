//! Whether a host can be held: `siege [PROGRAM [SECONDS]]`. Starts `rebatch`, or the program that is named, on a port of this
//! machine for each attack and prints how late `/health` was at worst, the most memory, and what the attackers were told.
//! Ends with 1 where a target is missed: `/health` within a second, 256 MiB, an answer for all who can be told.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a tool for the command line")]

use std::{env, fs, net::SocketAddr, path::Path, process::ExitCode, process::Stdio, time::Duration};

use local::http::Limits;
use tests::{
    binaries::{binary, workspace},
    host::Host,
    siege::{Attack, Figures, Size, airlines, besiege},
};
use tokio::process::Command;

const SOON: Duration = Duration::from_secs(1);
const MEMORY: u64 = 256 << 10;

#[tokio::main]
async fn main() -> ExitCode {
    let program = env::args().nth(1).map_or_else(|| binary("rebatch"), Into::into);
    let seconds = env::args().nth(2).map_or(30, |text| text.parse().expect("a number of seconds"));
    // The sockets of the attackers, and those of the host, which takes over the limit.
    let _ = Limits::default().within_files();
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "0123456789abcdef0123456789abcdef").expect("a file");
    let data = folder.path().join("data.db");
    fill(&program, &data).await;
    println!("{:<13} {:>7} {:>10} {:>8} {:>9}  answers", "attack", "sockets", "/health", "missed", "memory");
    let mut missed = false;
    let attacks = [
        (Attack::SlowBodies, 1_000),
        (Attack::SlowHeads, 1_000),
        (Attack::Readers, 300),
        (Attack::Bodies, 200),
        (Attack::Filters, 8),
    ];
    for (attack, sockets) in attacks {
        let mut arguments = vec!["--data", data.to_str().expect("UTF-8"), "--no-outbox"];
        if attack == Attack::Bodies {
            arguments.extend(["--auth", "token", "--token-file", token.to_str().expect("UTF-8")]);
        }
        let host = start(&program, &arguments).await;
        let size = Size { sockets, time: Duration::from_secs(seconds), pause: SOON };
        let figures = besiege(address(&host), attack, size).await;
        let memory = peak(host.id());
        missed |= is_missed(attack, &figures, memory);
        let (worst, ends) = (figures.worst.as_secs_f64(), tell(&figures));
        let (unanswered, probes) = (figures.unanswered, figures.probes);
        let name = format!("{attack:?}");
        println!(
            "{name:<13} {sockets:>7} {worst:>8.2} s {:>8} {:>5} MiB  {ends}",
            format!("{unanswered}/{probes}"),
            memory >> 10
        );
        host.kill().await;
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether a target is missed. Who does not read cannot be told anything.
fn is_missed(attack: Attack, figures: &Figures, memory: u64) -> bool {
    let silent = figures.ends.get("closed").copied().unwrap_or_default();
    figures.worst >= SOON || memory >= MEMORY || attack != Attack::Readers && silent > 0
}

async fn start(program: &Path, arguments: &[&str]) -> Host {
    let mut command = Command::new(program);
    command.current_dir(workspace()).arg("serve").args(arguments).args(["--listen", "127.0.0.1:0"]);
    Host::run({
        command.stdout(Stdio::piped()).kill_on_drop(true);
        command
    })
    .await
}

/// A collection of 39 MB.
async fn fill(program: &Path, data: &Path) {
    let host = start(program, &["--data", data.to_str().expect("UTF-8"), "--no-outbox"]).await;
    let client = reqwest::Client::new();
    for batch in airlines(10_000, 3_900) {
        let sent = client.post(format!("{}/trippin/$batch", host.url())).header("content-type", "application/json");
        let answer = sent.body(batch).send().await.expect("sent");
        assert!(answer.status().is_success(), "{answer:?}");
    }
    host.kill().await;
}

fn address(host: &Host) -> SocketAddr {
    host.url().trim_start_matches("http://").parse().expect("an address")
}

/// The most memory that a process had so far, in KiB.
fn peak(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn tell(figures: &Figures) -> String {
    figures.ends.iter().map(|(end, count)| format!("{end}: {count}")).collect::<Vec<_>>().join(", ")
}
