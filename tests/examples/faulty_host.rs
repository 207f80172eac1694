//! A host whose table fails now and then: `faulty_host DATA POLICY PERCENT SEED`. It serves and sends as `rebatch` does.

#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::{env, error::Error, future::pending, path::Path, sync::Arc, time::Duration};

use local::{
    embedded::Embedded,
    http::{Limits, serve},
    lock::DataLock,
    outbox::{Background, Running},
};
use shared::{
    Engine, Settings,
    exchange::Incoming,
    ledger::Ledger,
    outbox::{Courier, Outbox},
    policy::{Policy, SecretsOf},
    service::Services,
    store::{self, Store},
    webhook::Webhook,
};
use tests::{
    binaries::workspace,
    strict::{Plan, Strict, WRITE_FAULTS},
};
use tokio::net::TcpListener;

const TABLE: &str = "items";
/// How long a write has the items that it writes: others of the same items meet a conflict.
const HOLD: Duration = Duration::from_micros(300);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [data, policy, percent, seed] = arguments.as_slice() else {
        return Err("faulty_host DATA POLICY PERCENT SEED".into());
    };
    let services = Arc::new(Services::load_with_jobs(&workspace().join("infra/services"))?);
    let policy = Arc::new(Policy::load(Path::new(policy), SecretsOf::Everybody, |name| env::var(name).ok())?);
    let ledger = Ledger::find(&services)?.ok_or("a ledger")?;
    let _lock = DataLock::acquire(Path::new(data))?;
    let database = Embedded::open(Path::new(data))?;
    Store::new(store::through(database.clone()), TABLE).ensure_table().await?;
    let strict = Strict::new(database.clone()).holding(HOLD);
    strict.set_plan(Plan::random(seed.parse()?, percent.parse()?, &WRITE_FAULTS));
    let store = Store::new(store::through(strict), TABLE);
    let engine = Engine::new(Arc::clone(&services), store.clone(), Settings::default());
    let webhook = Webhook::new(Arc::clone(&policy), ledger.clone(), store.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let outbox = Outbox::new(&services, store, Courier::new(true)?, None)?;
    let outbox = outbox.with_requeues(ledger, policy, &engine, Courier::new(true)?)?;
    let _running = Running::start(Background { database, table: TABLE, outbox: Some(outbox) });
    println!("listening on {url}");
    let handler = move |incoming: Incoming| {
        let (engine, webhook) = (engine.clone(), webhook.clone());
        async move {
            if Webhook::is_for(&incoming.path) { webhook.handle(incoming).await } else { engine.handle(incoming).await }
        }
    };
    serve(listener, handler, Limits::default(), pending()).await;
    Ok(())
}
