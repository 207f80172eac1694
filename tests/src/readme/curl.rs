//! The request that `curl` would send, and its answer.

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::http::message;

/// The request of a command line of `curl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curl {
    /// Its method.
    pub method: String,
    /// Host and port of its URL.
    pub authority: String,
    /// Path and query of its URL.
    pub path: String,
    /// Its header lines.
    pub headers: Vec<String>,
    /// Its body.
    pub body: Option<String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its status line and headers.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Curl {
    /// Reads the words behind `curl`. `input` is what a pipe brings.
    pub fn parse(words: &[String], input: Option<&str>) -> Result<Self, String> {
        let (mut method, mut url, mut headers, mut data) = (None, None, Vec::new(), Vec::new());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("curl: {word} needs a value"));
            match word.as_str() {
                "-X" => method = Some(value()?.clone()),
                "-H" => headers.push(value()?.clone()),
                "-d" | "--data-binary" => {
                    let text = value()?;
                    data.push(match (text.strip_prefix('@'), input) {
                        (None, _) => text.clone(),
                        // `-d` takes the line breaks out of what it reads.
                        (Some("-"), Some(input)) if word == "--data-binary" => input.to_owned(),
                        (Some(_), _) => return Err(format!("curl: {word} {text} is not read")),
                    });
                }
                // They change what is shown alone.
                "-s" | "-i" | "-si" | "-is" => {}
                option if option.starts_with('-') => return Err(format!("curl: the option {option} is not known")),
                other if url.is_some() => return Err(format!("curl: a second URL, {other}")),
                other => url = Some(other.to_owned()),
            }
        }
        let url = url.ok_or("curl: there is no URL")?;
        let rest = url.strip_prefix("http://").ok_or_else(|| format!("curl: {url} is no URL of this machine"))?;
        if url.contains(['[', ']', '{', '}', ' ']) {
            return Err(format!("curl: {url} has characters that curl does not send"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let body = (!data.is_empty()).then(|| data.join("&"));
        let default = if body.is_some() { "POST" } else { "GET" };
        Ok(Self {
            method: method.unwrap_or_else(|| default.to_owned()),
            authority: authority.to_owned(),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            headers,
            body,
        })
    }

    /// Sends the request as `curl` does.
    pub async fn send(&self) -> Result<Answer, String> {
        let has = |name: &str| {
            let named = |line: &&String| line.split(':').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name));
            self.headers.iter().any(|line| named(&line))
        };
        let body = self.body.as_deref();
        let defaults = [
            ("User-Agent", Some("curl/8.5.0".to_owned())),
            ("Accept", Some("*/*".to_owned())),
            ("Content-Length", body.map(|body| body.len().to_string())),
            ("Content-Type", body.map(|_| "application/x-www-form-urlencoded".to_owned())),
        ];
        let defaults = defaults.into_iter().filter(|(name, _)| !has(name));
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.path), format!("Host: {}", self.authority)];
        lines.extend(defaults.filter_map(|(name, value)| Some(format!("{name}: {}", value?))));
        lines.extend(self.headers.iter().cloned());
        let request = format!("{}\r\n\r\n{}", lines.join("\r\n"), body.unwrap_or_default());
        let answer = exchange(&self.authority, &request).await;
        let answer = answer.map_err(|error| format!("{} {}: {error}", self.method, self.path))?;
        Answer::read(&answer).ok_or_else(|| format!("{} {}: no answer", self.method, self.path))
    }
}

async fn exchange(authority: &str, request: &str) -> std::io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect(authority).await?;
    connection.write_all(request.as_bytes()).await?;
    Ok(message(&mut connection).await.unwrap_or_default())
}

impl Answer {
    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_owned(), body: body.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curl(words: &[&str]) -> Result<Curl, String> {
        Curl::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), Some("a\r\nb"))
    }

    #[test]
    fn what_is_sent_is_what_the_words_say() {
        let got = curl(&["-si", "http://127.0.0.1:8080/x?$filter=a%20b", "-H", "A: b"]).expect("a request");
        assert_eq!((got.method.as_str(), got.path.as_str(), got.body), ("GET", "/x?$filter=a%20b", None));
        let got = curl(&["-X", "PATCH", "http://h:1", "-d", "{}", "-d", "x"]).expect("a request");
        assert_eq!((got.method.as_str(), got.path.as_str(), got.body.as_deref()), ("PATCH", "/", Some("{}&x")));
        let got = curl(&["http://h:1/b", "--data-binary", "@-"]).expect("a request");
        assert_eq!((got.method.as_str(), got.body.as_deref()), ("POST", Some("a\r\nb")));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (words, part) in [
            (&["-k", "http://h/"][..], "-k is not known"),
            (&["http://h/", "http://h/"], "second URL"),
            (&["https://h/"], "no URL of this machine"),
            (&["http://h/{a}"], "does not send"),
            (&["http://h/", "-d", "@file"], "not read"),
            (&["http://h/", "-d"], "needs a value"),
            (&["-s"], "no URL"),
        ] {
            let error = curl(words).expect_err("refused");
            assert!(error.contains(part), "{words:?}: {error}");
        }
    }
}
