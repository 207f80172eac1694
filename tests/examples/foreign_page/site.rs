//! The site of the attacker: its pages, and a name that leads to the host once the page is there.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};
use url::Url;

/// How the attempts of a page went, by their names.
pub(crate) type Told = BTreeMap<String, String>;

/// A server of pages, by their paths; ends when it is dropped.
pub(crate) struct Site {
    pub(crate) port: u16,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A place where pages tell how their attempts went; its URL.
pub(crate) async fn listener() -> std::io::Result<(String, TcpListener)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    Ok((format!("http://{}/done", listener.local_addr()?), listener))
}

impl Site {
    /// Serves pages. Any other path is that of the host at this address, byte for byte: a browser and the host see what they
    /// would see if the name of the site led to the host from then on.
    pub(crate) async fn start(
        pages: BTreeMap<&'static str, String>,
        host: String,
        done: TcpListener,
        tell: mpsc::Sender<Told>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let pages = Arc::new(pages);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&pages), host.clone()));
            }
        });
        let hearing = tokio::spawn(async move {
            while let Ok((stream, _)) = done.accept().await {
                tokio::spawn(hear(stream, tell.clone()));
            }
        });
        Ok(Self { port, tasks: vec![serving, hearing] })
    }
}

/// Reads the head of a request; its path and the bytes.
async fn head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(buffer.get(..length)?);
    }
    let path = String::from_utf8_lossy(&bytes).split(' ').nth(1)?.to_owned();
    Some((path, bytes))
}

async fn serve(mut stream: TcpStream, pages: Arc<BTreeMap<&'static str, String>>, host: String) -> Option<()> {
    let (path, bytes) = head(&mut stream).await?;
    if let Some(page) = pages.get(path.as_str()) {
        let lines = "Content-Type: text/html; charset=utf-8\r\nConnection: close";
        let answer = format!("HTTP/1.1 200 OK\r\n{lines}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        return stream.write_all(answer.as_bytes()).await.ok();
    }
    let mut onward = TcpStream::connect(host).await.ok()?;
    onward.write_all(&bytes).await.ok()?;
    copy_bidirectional(&mut stream, &mut onward).await.ok().map(drop)
}

async fn hear(mut stream: TcpStream, tell: mpsc::Sender<Told>) -> Option<()> {
    let (path, _) = head(&mut stream).await?;
    let url = Url::parse(&format!("http://done{path}")).ok()?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.ok()?;
    let told: Told = url.query_pairs().into_owned().collect();
    if told.is_empty() { None } else { tell.send(told).await.ok() }
}
