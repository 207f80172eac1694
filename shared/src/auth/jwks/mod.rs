//! The keys of an issuer, where they are kept: fetched when a token needs them, and again when they are old or a token
//! names one that is not among them. The only part of `auth` that does any I/O.
//!
//! One request at a time asks the issuer. While it does, the others go on with the keys there are, or wait where there
//! are none. However many unknown keys are named, the issuer is asked once in [`Lifetimes::rest`].

mod source;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use self::source::Source;
use super::{AuthError, KeySet};

pub use self::source::SourceError;

/// Pause after an answer that could not be used, while there are no keys at all.
const RETRY: Duration = Duration::from_secs(1);
/// Longest pause between two questions for keys.
const MAX_REST: Duration = Duration::from_secs(10);
/// How many further lifetimes the keys are used when no new ones can be had.
const KEPT: u32 = 6;

/// The keys of an issuer.
#[derive(Debug)]
pub(super) enum Keys {
    /// Given once.
    Fixed(Arc<KeySet>),
    /// Fetched.
    Cached(Box<Cached>),
}

/// Keys that are fetched from their source and kept for a time.
#[derive(Debug)]
pub(super) struct Cached {
    source: Source,
    lifetimes: Lifetimes,
    cache: Mutex<Cache>,
    /// Held by whoever asks the source.
    asking: tokio::sync::Mutex<()>,
}

/// How long keys are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lifetimes {
    /// Until they are fetched again.
    fresh: Duration,
    /// Until they are not used any more, if they cannot be fetched.
    kept: Duration,
    /// Between two questions for keys.
    rest: Duration,
}

#[derive(Debug, Default)]
struct Cache {
    /// The keys, and when they were fetched.
    keys: Option<(Arc<KeySet>, Timestamp)>,
    /// When the source was last asked.
    asked: Option<Timestamp>,
    /// How often it was asked.
    questions: u64,
}

impl Keys {
    /// The keys at an `https` URL (`http` on loopback) or in a file, fetched again after `lifetime`.
    pub(super) fn at(place: &str, lifetime: Duration) -> Result<Self, SourceError> {
        let (cache, asking) = (Mutex::default(), tokio::sync::Mutex::default());
        let (source, lifetimes) = (Source::parse(place)?, Lifetimes::of(lifetime));
        Ok(Self::Cached(Box::new(Cached { source, lifetimes, cache, asking })))
    }

    /// The keys to verify a token with.
    pub(super) async fn current(&self, now: Timestamp) -> Result<Arc<KeySet>, AuthError> {
        match self {
            Self::Fixed(keys) => Ok(Arc::clone(keys)),
            Self::Cached(cached) => cached.current(now).await,
        }
    }

    /// Other keys than these, for a token that none of them fits.
    pub(super) async fn other_than(&self, seen: &Arc<KeySet>, now: Timestamp) -> Option<Arc<KeySet>> {
        match self {
            Self::Fixed(_) => None,
            Self::Cached(cached) => cached.other_than(seen, now).await,
        }
    }
}

impl Cached {
    async fn current(&self, now: Timestamp) -> Result<Arc<KeySet>, AuthError> {
        let (usable, questions) = {
            let cache = self.cache();
            if let Some(fresh) = cache.younger_than(self.lifetimes.fresh, now) {
                return Ok(fresh);
            }
            (cache.younger_than(self.lifetimes.kept, now), cache.questions)
        };
        let asking = match usable {
            Some(usable) => match self.asking.try_lock() {
                Ok(asking) => asking,
                Err(_) => return Ok(usable),
            },
            None => self.asking.lock().await,
        };
        let keys = self.ask(questions, now).await;
        drop(asking);
        keys.ok_or(AuthError::NoKeys { retry_after: RETRY })
    }

    async fn other_than(&self, seen: &Arc<KeySet>, now: Timestamp) -> Option<Arc<KeySet>> {
        let questions = self.cache().questions;
        let asking = self.asking.lock().await;
        let keys = self.ask(questions, now).await;
        drop(asking);
        keys.filter(|keys| !Arc::ptr_eq(keys, seen))
    }

    /// Asks the source, unless somebody did since `questions` were counted or it has to be left in peace. Whoever
    /// calls this holds `asking`. The keys that are usable afterwards.
    async fn ask(&self, questions: u64, now: Timestamp) -> Option<Arc<KeySet>> {
        {
            let mut cache = self.cache();
            let usable = cache.younger_than(self.lifetimes.kept, now);
            let rest = if usable.is_some() { self.lifetimes.rest } else { RETRY.min(self.lifetimes.rest) };
            if cache.questions != questions || cache.asked.is_some_and(|asked| age(asked, now) < rest) {
                return usable;
            }
            cache.questions += 1;
            cache.asked = Some(now);
        }
        let fetched = self.source.fetch().await;
        let mut cache = self.cache();
        match fetched {
            Ok(keys) => cache.keys = Some((Arc::new(keys), now)),
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(source = %self.source, error, "the keys of the token issuer cannot be had");
            }
        }
        cache.younger_than(self.lifetimes.kept, now)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn younger_than(&self, limit: Duration, now: Timestamp) -> Option<Arc<KeySet>> {
        let (keys, fetched) = self.keys.as_ref()?;
        (age(*fetched, now) < limit).then(|| Arc::clone(keys))
    }
}

impl Lifetimes {
    fn of(lifetime: Duration) -> Self {
        Self { fresh: lifetime, kept: lifetime * (1 + KEPT), rest: (lifetime / 20).min(MAX_REST) }
    }
}

/// How long ago something was. A clock that was set back makes things old, not young for ever; requests that overtake
/// each other see differences of both signs.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).unsigned_abs()
}

#[cfg(test)]
mod tests;
