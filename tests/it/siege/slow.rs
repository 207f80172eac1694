//! Clients that are slow: at the head, at the body, at reading; and how a host ends beside them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use local::http::Limits;
use shared::{
    batch::Headers,
    exchange::{Incoming, Outgoing},
};
use tests::siege::{Attack, Size, batch, besiege, post};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use super::{SOON, Served, answered, get};

/// Deadlines of a test.
fn limits() -> Limits {
    Limits {
        connections: 30,
        head_time: Duration::from_millis(500),
        body_time: Duration::from_millis(500),
        ..Limits::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_told_so_and_keep_nobody_out() {
    for attack in [Attack::SlowBodies, Attack::SlowHeads] {
        let served = Served::open(limits()).await;
        let size = Size { sockets: 50, time: Duration::from_millis(1_500), pause: Duration::from_millis(50) };
        let figures = besiege(served.address, attack, size).await;
        assert!(figures.unanswered == 0 && figures.worst < Duration::from_secs(1), "{attack:?}: {figures:?}");
        let told = |status: &str| figures.ends.get(status).copied().unwrap_or_default();
        // The first are too slow; more than there is room for make it for others.
        assert!(told("408") + told("503") >= 50 && told("503") > 0, "{attack:?}: {figures:?}");
        assert_eq!(told("closed"), 0, "{attack:?}: {figures:?}");
    }
}

#[tokio::test]
async fn a_deadline_is_that_of_a_whole_request() {
    let served = Served::open(limits()).await;
    for begin in ["GET /health HTTP/1.1\r\nX: ".to_owned(), post("/trippin/Airlines", 1_000)] {
        let (mut client, begun) = (served.send(&begin).await, Instant::now());
        while begun.elapsed() < Duration::from_millis(400) {
            client.write_all(b" ").await.unwrap();
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(answered(&mut client).await, "408", "{begin}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    // A connection that says nothing is no request, and is ended without an answer.
    let served = Served::open(Limits { idle: Duration::from_millis(100), ..limits() }).await;
    let mut silent = served.connect().await;
    assert_eq!(answered(&mut silent).await, "");
    let mut used = served.send(get("/health")).await;
    assert_eq!(answered(&mut used).await, "200");
    sleep(Duration::from_millis(300)).await;
    let mut rest = Vec::new();
    used.read_to_end(&mut rest).await.unwrap();
    assert!(!String::from_utf8(rest).unwrap().contains("HTTP/1.1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_are_given_up() {
    // Room for the answers of two.
    let limits = Limits {
        answers: 13 << 20,
        stall: Duration::from_millis(700),
        patience: Duration::from_millis(200),
        ..Limits::default()
    };
    let large = vec![b'x'; 6 << 20];
    let handler = move |_: Incoming| {
        let body = Bytes::from(large.clone());
        async move { Outgoing { status: StatusCode::OK, headers: Headers::new(), body } }
    };
    let served = Served::start(handler, limits).await;
    let mut readers = Vec::new();
    for _ in 0..2 {
        readers.push(served.send(get("/")).await);
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(served.ask(get("/")).await, "503");
    sleep(Duration::from_millis(900)).await;
    let mut whole = served.send(get("/")).await;
    assert_eq!(answered(&mut whole).await, "200");
    // One that reads slowly, but reads, gets all of it.
    let mut read = 0;
    let mut buffer = vec![0; 1 << 20];
    while read < 6 << 20 {
        read += whole.read(&mut buffer).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    for mut reader in readers {
        let mut all = Vec::new();
        let end = tokio::time::timeout(SOON, reader.read_to_end(&mut all)).await.expect("in time");
        assert!(end.is_err() || all.len() < 6 << 20, "it was waited for");
    }
}

#[tokio::test]
async fn who_sends_slowly_delays_an_end_no_longer_than_that() {
    let stop = Duration::from_millis(400);
    let served = Served::open(Limits { stop, ..Limits::default() }).await;
    let mut clients = Vec::new();
    for begin in [post("/trippin/Airlines", 1_000), "GET /trippin/Airlines HTTP/1.1\r\n".to_owned()] {
        clients.push(served.send(begin).await);
    }
    let body = batch(1, "Airlines");
    let (first, rest) = body.split_at(5);
    let mut honest = served.send(post("/trippin/$batch", body.len()) + first).await;
    let mut idle = served.send(get("/health")).await;
    assert_eq!(answered(&mut idle).await, "200");
    sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    served.stop.send(()).unwrap();
    sleep(stop / 4).await;
    honest.write_all(rest.as_bytes()).await.unwrap();
    assert_eq!(answered(&mut honest).await, "200");
    served.task.await.unwrap();
    assert!((stop..stop * 3).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    for mut client in clients {
        assert_eq!(answered(&mut client).await, "503");
    }
}
