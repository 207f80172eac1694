//! Just enough of HTTP for servers that do to each request what a test says.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Its header lines, names in small letters.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Request {
    /// Reads a request; `None` when the connection ends.
    pub(crate) async fn read(connection: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some(request) = std::str::from_utf8(&bytes).ok().and_then(Self::parse) {
                return Some(request);
            }
            let length = connection.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
            bytes.extend_from_slice(buffer.get(..length)?);
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers: Vec<_> = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut line = head.split(' ').map(str::to_owned);
        let (method, path) = (line.next()?, line.next()?);
        let is_whole = length.is_none_or(|(_, length)| length.parse() == Ok(body.len()));
        is_whole.then(|| Self { method, path, headers, body: body.to_owned() })
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

/// Reads a request or an answer, byte by byte as it came; `None` when the connection ends.
pub(crate) async fn message(connection: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if whole_length(&bytes).is_some_and(|length| bytes.len() >= length) {
            return Some(bytes);
        }
        let length = connection.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(buffer.get(..length)?);
    }
}

/// How long a message is, once its head is there.
fn whole_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(bytes.get(..end)?).to_ascii_lowercase();
    let body = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    Some(end + body.unwrap_or(0))
}

/// Writes an answer with these header lines, each with its line break.
pub(crate) async fn answer(connection: &mut TcpStream, status: u16, lines: &str, body: &str) -> Option<()> {
    let answer = format!("HTTP/1.1 {status} -\r\n{lines}content-length: {}\r\n\r\n{body}", body.len());
    connection.write_all(answer.as_bytes()).await.ok()
}

/// Ends a connection so that the other side sees an error.
pub(crate) fn reset(connection: &TcpStream) {
    // Closing with data that was not sent or read is a reset; else it is an end, which is an error as well.
    let _ = connection.set_zero_linger();
}
