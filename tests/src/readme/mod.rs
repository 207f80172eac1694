//! README.md as a list of commands: its fenced blocks, what a shell would make of them, and what `curl` would send.

mod curl;
mod expect;
mod shell;

pub use curl::{Answer, Curl};
pub use expect::{Comment, differs};
pub use shell::{Part, Statement, Word, parse};

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its text's beginning, from 1.
    pub line: usize,
    /// The language behind the opening fence.
    pub language: String,
    /// The text between the fences.
    pub text: String,
    /// Whether nothing but empty lines is between it and the block before.
    pub follows: bool,
}

/// The fenced blocks of a text.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut open, mut follows) = (None::<Block>, false);
    for (number, line) in (1..).zip(markdown.lines()) {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => {
                open = Some(Block { line: number + 1, language: language.to_owned(), text: String::new(), follows });
            }
            (Some(_), Some(block)) => {
                blocks.push(block);
                follows = true;
            }
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => follows &= line.trim().is_empty(),
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_place_and_what_it_follows() {
        let text = "a\n```sh\nx\ny\n```\n\n```json\n{}\n```\nprose\n```\nz\n```\n";
        let blocks = blocks(text);
        let shown: Vec<_> = blocks.iter().map(|b| (b.line, b.language.as_str(), b.text.as_str(), b.follows)).collect();
        assert_eq!(shown, [(3, "sh", "x\ny\n", false), (8, "json", "{}\n", true), (12, "", "z\n", false)]);
    }
}
