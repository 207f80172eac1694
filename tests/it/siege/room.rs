//! Room for bodies, and turns: more than there is of them is refused with a reason, and those who block their threads block
//! no others.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use local::http::{Handler, Limits};
use shared::{
    batch::Headers,
    exchange::{Admitted, Incoming, Outgoing, Verdict},
};
use tests::siege::{health, post};
use tokio::{io::AsyncWriteExt, time::sleep};

use super::{Served, answered, get};

fn ok() -> Outgoing {
    Outgoing { status: StatusCode::OK, headers: Headers::new(), body: Bytes::new() }
}

/// Answers `/health` by its head, and blocks a thread for all others.
struct Blocking(Duration);

impl Handler for Blocking {
    async fn admit(self: Arc<Self>, head: Incoming) -> Verdict {
        if head.path == "/health" {
            return Verdict::Answered(ok());
        }
        Verdict::Admitted(Admitted::new(8 << 20, move |body| async move {
            match body {
                Ok(_) => thread::sleep(self.0),
                Err(_) => return Outgoing { status: StatusCode::SERVICE_UNAVAILABLE, ..ok() },
            }
            ok()
        }))
    }
}

#[tokio::test]
async fn work_that_blocks_its_threads_delays_no_head() {
    let limits = Limits { at_once: 4, waiting: 2, ..Limits::default() };
    let served = Served::start(Blocking(Duration::from_millis(800)), limits).await;
    let mut all = Vec::new();
    for _ in 0..9 {
        all.push(served.send(get("/")).await);
        sleep(Duration::from_millis(10)).await;
    }
    let begun = Instant::now();
    assert_eq!(health(served.address).await, Some(200));
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    let mut statuses = Vec::new();
    for client in &mut all {
        statuses.push(answered(client).await);
    }
    // Four are worked on, two wait for it, and the others are told that there is no room.
    assert_eq!(statuses, [["200"; 6].as_slice(), &["503"; 3]].concat());
}

#[tokio::test]
async fn bodies_share_the_room_that_there_is() {
    let limits = Limits { bodies: 3 << 20, patience: Duration::from_millis(300), ..Limits::default() };
    let served = Served::start(Blocking(Duration::ZERO), limits).await;
    let body = vec![b'x'; 2 << 20];
    let head = post("/", body.len());
    // One has begun, and keeps the room of what has come.
    let mut first = served.send(&head).await;
    first.write_all(&body[..1 << 20]).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let mut second = served.send(&head).await;
    let _ = second.write_all(&body[..(2 << 20) - 1]).await;
    assert_eq!(answered(&mut second).await, "503");
    // Small ones need none.
    assert_eq!(served.ask(post("/", 100) + &"x".repeat(100)).await, "200");
    first.write_all(&body[1 << 20..]).await.unwrap();
    assert_eq!(answered(&mut first).await, "200");
    assert_eq!(served.ask([head.as_bytes(), &body].concat()).await, "200");
}
