//! README.md from top to bottom, on a fresh store: each command is carried out as it is written there, but for the ports.
//!
//! `curl` is not needed: what it would send is read from its words and sent over a socket. Every answer is 2xx, or what the
//! comment behind the command says; what a block below a command shows is in the answer. Of a GET that is said to have
//! something in it, it is asked again until it has. A program that serves stays where it is the last of its block, or ends
//! with `&`; else it is ended by Ctrl-C.

mod reader;

use std::{collections::BTreeSet, fs, time::Duration};

use reader::{Place, Reader};
use tests::{
    binaries::workspace,
    readme::{blocks, parse},
};

/// Commands that are not carried out here, by how they begin, and why.
const NOT_RUN: [(&str, &str); 7] = [
    ("cargo test", "it would carry this test out"),
    ("cargo run --release -- --listen 0.0.0.0:8080 --auth jwt --issuer https://login", "it needs a tenant of Entra ID"),
    ("infra/deploy.sh", "it needs an account of AWS"),
    ("aws secretsmanager", "it needs an account of AWS"),
    ("aws dynamodb", "it needs an account of AWS"),
    ("REBATCH_SOAK=full cargo test", "it takes long"),
    ("cargo run --release -p tests --example fuzz", "it takes long"),
];

#[tokio::test]
async fn each_command_works_in_its_order() {
    let text = fs::read_to_string(workspace().join("README.md")).unwrap();
    let blocks = blocks(&text);
    let mut reader = Reader::start().await;
    let mut left_out = BTreeSet::new();
    let mut count = 0;
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "sh") {
        let statements = parse(&block.text, block.line).unwrap_or_else(|error| panic!("README.md, {error}"));
        let shown = blocks.get(at + 1).filter(|next| next.follows && next.language != "sh");
        for (number, statement) in (1..).zip(&statements) {
            if let Some((begin, _)) = NOT_RUN.iter().find(|(begin, _)| statement.source.starts_with(begin)) {
                left_out.insert(*begin);
                continue;
            }
            let is_last = number == statements.len();
            reader.run(statement, Place::new(statement, is_last, shown.filter(|_| is_last))).await;
            count += 1;
        }
    }
    assert!(count > 20, "{count} commands were found");
    let unused: Vec<_> = NOT_RUN.iter().filter(|(begin, _)| !left_out.contains(begin)).collect();
    assert!(unused.is_empty(), "README.md has none of these any more: {unused:?}");
    reader.check_receiver("BatchJobFailedBusinessEvent", Duration::from_secs(15)).await;
}
