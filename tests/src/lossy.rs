//! A network between a client and a server that loses answers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

use crate::http::{message, reset};

/// A proxy: every request arrives, and of the answers some are lost. It ends with the runtime of the test.
#[derive(Clone, Debug)]
pub struct Lossy {
    url: String,
    server: String,
    percent: u32,
    passed: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
}

impl Lossy {
    /// A proxy before the server at that URL that loses `percent` of the answers: half of them whole, the others from the
    /// middle on.
    pub async fn before(url: &str, percent: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = url.strip_prefix("http://").expect("a URL of this machine").to_owned();
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let proxy = Self { url, server, percent, passed: Arc::default(), lost: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((connection, _)) = listener.accept().await {
                number += 1;
                let (proxy, random) = (accepting.clone(), StdRng::seed_from_u64(number));
                tokio::spawn(async move { proxy.serve(connection, random).await });
            }
        });
        proxy
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many answers were passed on, and how many were lost.
    pub fn counts(&self) -> [usize; 2] {
        [&self.passed, &self.lost].map(|count| count.load(Ordering::Relaxed))
    }

    /// Passes requests and answers on until an answer is lost, and the connection with it.
    async fn serve(&self, mut client: TcpStream, mut random: StdRng) -> Option<()> {
        let mut server = TcpStream::connect(&self.server).await.ok()?;
        loop {
            let request = message(&mut client).await?;
            server.write_all(&request).await.ok()?;
            let answer = message(&mut server).await?;
            if random.random_ratio(self.percent, 100) {
                self.lost.fetch_add(1, Ordering::Relaxed);
                if random.random_bool(0.5) {
                    client.write_all(answer.get(..answer.len() / 2)?).await.ok()?;
                }
                reset(&client);
                return None;
            }
            self.passed.fetch_add(1, Ordering::Relaxed);
            client.write_all(&answer).await.ok()?;
        }
    }
}
