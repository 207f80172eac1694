//! Clients that try to hold a host: they send slowly, do not read, send much without a token, ask for much. Beside them one
//! that asks for `/health` again and again, each time on a connection of its own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
    task::{JoinSet, spawn_blocking},
    time::{Instant, interval, sleep, sleep_until, timeout},
};

/// So long `/health` is waited for.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Between two questions for `/health`.
const PROBE: Duration = Duration::from_millis(100);

/// How a host is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// A byte of a body now and then.
    SlowBodies,
    /// A byte of a head now and then.
    SlowHeads,
    /// Requests whose large answers nobody reads.
    Readers,
    /// Large bodies without a token, all but their last byte.
    Bodies,
    /// Batches of a thousand filters over one large collection.
    Filters,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Connections at a time.
    pub sockets: usize,
    /// How long it goes on.
    pub time: Duration,
    /// Between two bytes of a slow client.
    pub pause: Duration,
}

/// The figures of an attack.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The longest wait for `/health`; [`PATIENCE`] where it did not come.
    pub worst: Duration,
    /// How often `/health` was asked for.
    pub probes: usize,
    /// How often it was not answered with 200.
    pub unanswered: usize,
    /// How often the attackers met which end: a status, `closed` without a word, or `open` at the end of the attack.
    pub ends: BTreeMap<String, usize>,
}

type Shared = Arc<Mutex<Figures>>;

/// Attacks a host.
pub async fn besiege(host: SocketAddr, attack: Attack, size: Size) -> Figures {
    let (figures, until) = (Shared::default(), Instant::now() + size.time);
    let mut attackers = JoinSet::new();
    for _ in 0..size.sockets {
        let figures = Arc::clone(&figures);
        attackers.spawn(async move {
            // As long as the attack lasts there is always another one.
            while Instant::now() < until {
                let end = tokio::select! {
                    end = assail(host, attack, size, until) => end.unwrap_or_else(|| "closed".to_owned()),
                    () = sleep_until(until + PATIENCE) => "open".to_owned(),
                };
                let again = end != "refused";
                *lock(&figures).ends.entry(end).or_default() += 1;
                if !again || matches!(attack, Attack::Readers | Attack::Bodies) {
                    break;
                }
                sleep(size.pause.min(PROBE)).await;
            }
        });
    }
    let probing = {
        let figures = Arc::clone(&figures);
        // On a thread of its own: the attackers are not to be in its way on this side.
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(probe(host, until, &figures));
        })
    };
    while attackers.join_next().await.is_some() {}
    spawn_blocking(|| probing.join()).await.expect("a thread").expect("probes");
    lock(&figures).clone()
}

/// Asks for `/health` until then.
async fn probe(host: SocketAddr, until: Instant, figures: &Shared) {
    let mut probes = JoinSet::new();
    let mut pace = interval(PROBE);
    while Instant::now() < until {
        pace.tick().await;
        let figures = Arc::clone(figures);
        probes.spawn(async move {
            let begun = Instant::now();
            let answered = timeout(PATIENCE, health(host)).await == Ok(Some(200));
            let mut figures = lock(&figures);
            figures.probes += 1;
            figures.unanswered += usize::from(!answered);
            figures.worst = figures.worst.max(if answered { begun.elapsed() } else { PATIENCE });
        });
    }
    while probes.join_next().await.is_some() {}
}

fn lock(figures: &Shared) -> MutexGuard<'_, Figures> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The status of `/health`, asked for on a connection of its own.
pub async fn health(host: SocketAddr) -> Option<u16> {
    let mut stream = TcpStream::connect(host).await.ok()?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
    status(&mut stream).await?.parse().ok()
}

/// The status of the answer on a connection; `None` if it ends without one.
pub async fn status(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(2).any(|two| two == b"\r\n") {
        let byte = stream.read_u8().await.ok()?;
        head.push(byte);
    }
    String::from_utf8(head).ok()?.split(' ').nth(1).map(str::to_owned)
}

/// The answer that one attacker meets; `None` where the connection ends without a word.
async fn assail(host: SocketAddr, attack: Attack, size: Size, until: Instant) -> Option<String> {
    let Ok(mut stream) = TcpStream::connect(host).await else { return Some("refused".to_owned()) };
    match attack {
        Attack::SlowBodies => {
            let head = post("/trippin/Airlines", 10_000);
            drip(&mut stream, (head + "{").as_bytes(), b' ', size, until).await
        }
        Attack::SlowHeads => drip(&mut stream, b"GET /trippin/Airlines HTTP/1.1\r\nX: ", b'x', size, until).await,
        Attack::Readers => {
            let body = batch(14, "Airlines");
            stream.write_all((post("/trippin/$batch", body.len()) + &body).as_bytes()).await.ok()?;
            sleep_until(until).await;
            status(&mut stream).await
        }
        Attack::Bodies => {
            let body = vec![b' '; (8 << 20) - 1];
            let (mut reader, mut writer) = stream.into_split();
            let writing = tokio::spawn(async move {
                writer.write_all(post("/trippin/$batch", 8 << 20).as_bytes()).await.ok()?;
                writer.write_all(&body).await.ok()?;
                sleep_until(until).await;
                Some(writer)
            });
            let mut answer = [0; 12];
            let answered = timeout(until.duration_since(Instant::now()), reader.read_exact(&mut answer)).await;
            writing.abort();
            match answered {
                Ok(read) => read.ok().and_then(|_| Some(std::str::from_utf8(answer.get(9..)?).ok()?.to_owned())),
                Err(_) => Some("open".to_owned()),
            }
        }
        Attack::Filters => {
            let body = batch(1_000, "Airlines?$filter=contains(Name,'nothing')&$select=AirlineCode");
            stream.write_all((post("/trippin/$batch", body.len()) + &body).as_bytes()).await.ok()?;
            status(&mut stream).await
        }
    }
}

/// Sends a byte now and then, until there is an answer.
async fn drip(stream: &mut TcpStream, begin: &[u8], byte: u8, size: Size, until: Instant) -> Option<String> {
    let (mut reader, mut writer) = stream.split();
    // Where the host has ended the connection already, it has said why.
    let _ = writer.write_all(begin).await;
    let mut answer = [0; 12];
    let answered = async {
        reader.read_exact(&mut answer).await.ok()?;
        Some(std::str::from_utf8(answer.get(9..)?).ok()?.to_owned())
    };
    let dripping = async {
        loop {
            sleep(size.pause).await;
            // The answer says what became of it, if there is one.
            let _ = writer.write_all(&[byte]).await;
        }
    };
    tokio::select! {
        answered = answered => answered,
        () = dripping => None,
        () = sleep_until(until) => Some("open".to_owned()),
    }
}

/// The head of a request with a body.
pub fn post(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// A batch that reads the same so many times.
pub fn batch(times: usize, url: &str) -> String {
    let requests = (0..times).map(|at| json!({ "id": at.to_string(), "method": "GET", "url": url }));
    json!({ "requests": requests.collect::<Vec<_>>() }).to_string()
}

/// Batches that create so many airlines of so many bytes.
pub fn airlines(count: usize, bytes: usize) -> Vec<String> {
    let name = "x".repeat(bytes);
    let numbers: Vec<usize> = (0..count).collect();
    let create = |number: &usize| {
        let body = json!({ "AirlineCode": format!("S{number:06}"), "Name": name });
        let headers = json!({ "content-type": "application/json" });
        json!({ "id": number.to_string(), "atomicityGroup": "g", "method": "POST", "url": "Airlines", "headers": headers,
                "body": body })
    };
    let batches = numbers.chunks(100).map(|some| some.iter().map(create).collect::<Vec<_>>());
    batches.map(|requests| json!({ "requests": requests }).to_string()).collect()
}
