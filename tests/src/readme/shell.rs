//! As much of a shell as README.md needs: words with their quotes, variables, `$(…)`, pipes, `&`, comments. All else is
//! refused, so that nothing is taken for what it is not.

use std::{iter::Peekable, str::Chars};

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Text(String),
    /// The value of a variable.
    Variable(String),
    /// The output of a command.
    Output(Statement),
    /// A placeholder for the reader to fill in: `<tenant>`.
    Placeholder(String),
}

/// A word of a command, in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word(pub Vec<Part>);

/// A pipeline, and what is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Its line, from 1.
    pub line: usize,
    /// As it is written, on one line.
    pub source: String,
    /// Its commands, each with its words.
    pub pipeline: Vec<Vec<Word>>,
    /// Whether it ends with `&`.
    pub background: bool,
    /// The comment behind it.
    pub comment: String,
}

/// How a pipeline ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Line,
    Background,
    Comment,
    Parenthesis,
    Text,
}

struct Reader<'t> {
    chars: Peekable<Chars<'t>>,
    line: usize,
    source: String,
}

/// The statements of a script whose first line has this number. A mistake is told with its line.
pub fn parse(script: &str, line: usize) -> Result<Vec<Statement>, String> {
    let mut reader = Reader { chars: script.chars().peekable(), line, source: String::new() };
    let mut statements = Vec::new();
    loop {
        let (statement, end) = reader.statement().map_err(|what| format!("line {}: {what}", reader.line))?;
        match end {
            End::Parenthesis => return Err(format!("line {}: a ')' without '('", reader.line)),
            End::Text if statement.pipeline.is_empty() => return Ok(statements),
            _ if statement.pipeline.is_empty() => {}
            End::Text => {
                statements.push(statement);
                return Ok(statements);
            }
            _ => statements.push(statement),
        }
    }
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.chars.next()?;
        if next == '\n' {
            self.line += 1;
        }
        self.source.push(if next == '\n' { ' ' } else { next });
        Some(next)
    }

    fn statement(&mut self) -> Result<(Statement, End), String> {
        let begin = self.source.len();
        let mut statement = Statement::default();
        let mut words: Vec<Word> = Vec::new();
        let mut waits = false;
        let end = loop {
            let Some(&next) = self.chars.peek() else { break End::Text };
            match next {
                ' ' | '\t' => drop(self.next()),
                '\n' if waits && words.is_empty() => drop(self.next()),
                '\n' | ';' => {
                    self.next();
                    break End::Line;
                }
                '#' => {
                    statement.comment = self.comment();
                    break End::Comment;
                }
                ')' => {
                    self.next();
                    break End::Parenthesis;
                }
                '&' | '|' => {
                    self.next();
                    if self.chars.peek() == Some(&next) {
                        return Err(format!("'{next}{next}' is not read"));
                    }
                    if next == '&' {
                        break End::Background;
                    }
                    if words.is_empty() {
                        return Err("a '|' without a command before it".to_owned());
                    }
                    statement.pipeline.push(std::mem::take(&mut words));
                    waits = true;
                }
                _ => {
                    if statement.line == 0 {
                        statement.line = self.line;
                    }
                    // A backslash that continues a line is no word.
                    words.extend(Some(self.word()?).filter(|word| !word.0.is_empty()));
                }
            }
        };
        if !words.is_empty() {
            statement.pipeline.push(words);
        } else if waits {
            return Err("a '|' without a command behind it".to_owned());
        }
        statement.background = end == End::Background;
        let written = self.source.get(begin..).unwrap_or_default();
        let written = written.split_whitespace().filter(|word| *word != "\\");
        statement.source = written.collect::<Vec<_>>().join(" ");
        Ok((statement, end))
    }

    /// A comment, which is no part of what is written.
    fn comment(&mut self) -> String {
        let mut comment = String::new();
        while let Some(next) = self.chars.next_if(|next| *next != '\n') {
            comment.push(next);
        }
        comment.trim_start_matches('#').trim().to_owned()
    }

    fn word(&mut self) -> Result<Word, String> {
        let mut parts = Parts::default();
        while let Some(&next) = self.chars.peek() {
            match next {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | ')' => break,
                '\'' => {
                    self.next();
                    parts.text(&self.until('\'')?);
                }
                '"' => {
                    self.next();
                    self.quoted(&mut parts)?;
                }
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') => {}
                        Some(escaped) => parts.push(escaped),
                        None => return Err("nothing behind a backslash".to_owned()),
                    }
                }
                '$' => self.dollar(&mut parts)?,
                '<' => {
                    self.next();
                    let name = self.until('>')?;
                    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ' ' | '-')) {
                        return Err("'<' and '>' are read as what is to be filled in".to_owned());
                    }
                    parts.add(Part::Placeholder(name));
                }
                '>' | '`' | '*' | '?' | '[' | '(' | '{' | '~' => return Err(format!("'{next}' has no quotes")),
                _ => parts.push(self.next().unwrap_or(next)),
            }
        }
        Ok(parts.word())
    }

    /// The text up to the next of these, which is taken.
    fn until(&mut self, end: char) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some(next) if next == end => return Ok(text),
                Some(next) => text.push(next),
                None => return Err(format!("there is no {end} any more")),
            }
        }
    }

    fn quoted(&mut self, parts: &mut Parts) -> Result<(), String> {
        parts.text("");
        while let Some(&next) = self.chars.peek() {
            match next {
                '"' => {
                    self.next();
                    return Ok(());
                }
                '$' => self.dollar(parts)?,
                '`' => return Err("'`' is not read".to_owned()),
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') => {}
                        Some(escaped @ ('"' | '\\' | '$' | '`')) => parts.push(escaped),
                        Some(other) => parts.text(&format!("\\{other}")),
                        None => break,
                    }
                }
                _ => parts.push(self.next().unwrap_or(next)),
            }
        }
        Err("there is no \" any more".to_owned())
    }

    fn dollar(&mut self, parts: &mut Parts) -> Result<(), String> {
        self.next();
        if self.chars.peek() == Some(&'(') {
            self.next();
            let (statement, end) = self.statement()?;
            return match end {
                End::Parenthesis if !statement.pipeline.is_empty() => {
                    parts.add(Part::Output(statement));
                    Ok(())
                }
                _ => Err("$( needs one command and a ')'".to_owned()),
            };
        }
        let mut name = String::new();
        while self.chars.peek().is_some_and(|next| next.is_ascii_alphanumeric() || *next == '_') {
            name.extend(self.next());
        }
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err("'$' needs the name of a variable".to_owned());
        }
        parts.add(Part::Variable(name));
        Ok(())
    }
}

/// The parts of a word as they come.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn add(&mut self, part: Part) {
        self.0.push(part);
    }

    fn text(&mut self, text: &str) {
        if let Some(Part::Text(last)) = self.0.last_mut() {
            last.push_str(text);
        } else {
            self.add(Part::Text(text.to_owned()));
        }
    }

    fn push(&mut self, next: char) {
        self.text(next.encode_utf8(&mut [0; 4]));
    }

    fn word(self) -> Word {
        Word(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(statement: &Statement) -> Vec<Vec<String>> {
        let text = |word: &Word| match word.0.as_slice() {
            [Part::Text(text)] => text.clone(),
            parts => format!("{parts:?}"),
        };
        statement.pipeline.iter().map(|words| words.iter().map(text).collect()).collect()
    }

    #[test]
    fn words_are_those_of_a_shell() {
        let script = r#"a 'b c'"'"'d' "e \"f\" \n" \
  g\ h ''   # two: "x"
i |
 j & k; l"#;
        let statements = parse(script, 7).expect("a script");
        let expected = [
            vec![vec!["a", "b c'd", "e \"f\" \\n", "g h", ""]],
            vec![vec!["i"], vec!["j"]],
            vec![vec!["k"]],
            vec![vec!["l"]],
        ];
        assert_eq!(statements.iter().map(texts).collect::<Vec<_>>(), expected);
        let shown: Vec<_> = statements.iter().map(|s| (s.line, s.background, s.comment.as_str())).collect();
        assert_eq!(shown, [(7, false, "two: \"x\""), (9, true, ""), (10, false, ""), (10, false, "")]);
        assert_eq!(statements[1].source, "i | j &");
    }

    #[test]
    fn variables_and_outputs_are_parts_of_words() {
        let statements = parse("T=$(LC_ALL=C date -u '+%a') x \"a $T/b\" <output Name>text", 1).expect("a script");
        let words = &statements[0].pipeline[0];
        let Part::Output(date) = &words[0].0[1] else { panic!("{words:?}") };
        assert_eq!(texts(date), [["LC_ALL=C", "date", "-u", "+%a"]]);
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(words[2].0, [text("a "), Part::Variable("T".into()), text("/b")]);
        assert_eq!(words[3].0, [Part::Placeholder("output Name".into()), text("text")]);
    }

    #[test]
    fn what_it_does_not_read_is_refused() {
        for (script, part) in [
            ("a && b", "'&&'"),
            ("a\nb || c", "line 2: '||'"),
            ("curl http://h/?x", "'?' has no quotes"),
            ("a > b", "'>' has no quotes"),
            ("a < b", "no > any more"),
            ("a 'b", "no ' any more"),
            ("a \"b", "no \" any more"),
            ("a $1", "variable"),
            ("a | ", "behind it"),
            ("| a", "before it"),
            ("$(a", "$( needs"),
            ("a )", "without '('"),
            ("`a`", "'`' has no quotes"),
        ] {
            let error = parse(script, 1).expect_err(script);
            assert!(error.starts_with("line ") && error.contains(part), "{script}: {error}");
        }
    }
}
