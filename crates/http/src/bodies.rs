//! Bodies of requests under reading. Nobody has shown a password yet, and each body may be long and
//! slow. So the bytes of all of them are bounded, for each kind of caller by itself; when the bound is
//! met, those make room that keep us waiting: of the source that holds most, who has waited longest.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::Request;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use gopay_core::wipe::wipe;
use gopay_inbound::Peer;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than it may be.
    TooLong,
    /// It did not come in time.
    TooSlow,
    /// The connection broke off.
    Broken,
    /// Too much is being read for others.
    Busy,
}

/// The budgets of all listeners. Each has its own, whatever address they share.
#[derive(Clone, Debug)]
pub struct Bodies {
    /// Of calls of PSPs.
    pub psp: Budget,
    /// Of notifications of Midtrans, and of shoppers.
    pub public: Budget,
    /// Of operators.
    pub admin: Budget,
}

impl Default for Bodies {
    /// 256 calls of the largest size, or 32,000 usual ones; 512 notifications of the largest size; 512
    /// bodies of operators.
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self { psp: Budget::of(64 * MIB), public: Budget::of(32 * MIB), admin: Budget::of(8 * MIB) }
    }
}

/// How many bytes of unfinished bodies there may be at once. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes_max: usize,
    bytes: AtomicUsize,
    /// Bodies that did not come at once.
    slow: Mutex<HashMap<u64, Slow>>,
    next: AtomicU64,
}

/// A body that keeps us waiting.
#[derive(Debug)]
struct Slow {
    source: IpAddr,
    since: Instant,
    bytes: usize,
    gone: Arc<Notify>,
}

/// Bytes of one body, given back when dropped.
struct Share<'a> {
    budget: &'a Inner,
    /// Of a body that came at once.
    bytes: usize,
    /// Its place among the slow ones, and what tells it that this is gone.
    slow: Option<(u64, Arc<Notify>)>,
}

impl Share<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        match &self.slow {
            None => self.bytes = self.bytes.saturating_add(bytes),
            Some((key, _)) => match self.budget.slow().get_mut(key) {
                Some(slow) => slow.bytes = slow.bytes.saturating_add(bytes),
                None => return Err(BodyError::Busy),
            },
        }
        let before = self.budget.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.budget.bytes_max {
            return self.budget.make_room();
        }
        Ok(())
    }

    /// From now on it may have to make room.
    fn wait(&mut self, source: IpAddr) -> Arc<Notify> {
        if let Some((_, gone)) = &self.slow {
            return Arc::clone(gone);
        }
        let (key, gone) = (self.budget.next.fetch_add(1, Ordering::Relaxed), Arc::default());
        let bytes = std::mem::take(&mut self.bytes);
        let slow = Slow { source, since: Instant::now(), bytes, gone: Arc::clone(&gone) };
        self.budget.slow().insert(key, slow);
        self.slow = Some((key, Arc::clone(&gone)));
        gone
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let slow = self.slow.as_ref().and_then(|(key, _)| self.budget.slow().remove(key));
        let bytes = slow.map_or(self.bytes, |slow| slow.bytes);
        self.budget.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Inner {
    /// Takes their places from slow bodies until a sixteenth is free, so that this is not done for
    /// every packet of a flood.
    fn make_room(&self) -> Result<(), BodyError> {
        let wanted = self.bytes_max - self.bytes_max / 16;
        let mut slow = self.slow();
        let mut held: HashMap<IpAddr, usize> = HashMap::new();
        for body in slow.values() {
            let bytes = held.entry(body.source).or_default();
            *bytes = bytes.saturating_add(body.bytes);
        }
        let rank = |(key, body): (&u64, &Slow)| {
            let held = held.get(&body.source).copied().unwrap_or_default();
            (Reverse(held), body.since, *key)
        };
        let mut ranked: Vec<_> = slow.iter().map(rank).collect();
        ranked.sort_unstable();
        for (_, _, key) in ranked {
            if self.bytes.load(Ordering::Relaxed) <= wanted {
                break;
            }
            if let Some(body) = slow.remove(&key) {
                self.bytes.fetch_sub(body.bytes, Ordering::Relaxed);
                body.gone.notify_one();
            }
        }
        let fits = self.bytes.load(Ordering::Relaxed) <= self.bytes_max;
        if fits { Ok(()) } else { Err(BodyError::Busy) }
    }

    fn slow(&self) -> MutexGuard<'_, HashMap<u64, Slow>> {
        // Nothing in here can panic half way.
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that are overwritten when nobody needs them any more: a call has a password and names.
struct Wiped(Vec<u8>);

impl Wiped {
    fn extend(&mut self, more: &[u8]) {
        let length = self.0.len().saturating_add(more.len());
        if length > self.0.capacity() {
            // What a vector leaves behind when it grows is not overwritten.
            let mut larger = Self(Vec::with_capacity(length.saturating_mul(2)));
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(more);
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Wiped> for Bytes {
    fn from(wiped: Wiped) -> Self {
        Self::from_owner(wiped)
    }
}

impl Budget {
    fn of(bytes_max: usize) -> Self {
        Self(Arc::new(Inner {
            bytes_max,
            bytes: AtomicUsize::new(0),
            slow: Mutex::default(),
            next: AtomicU64::new(0),
        }))
    }

    /// Reads a body within its bounds.
    ///
    /// A body that is too long is read to its end all the same, up to a bound, and thrown away:
    /// closing a connection with unread bytes would destroy the answer on its way.
    ///
    /// # Errors
    /// [`BodyError`].
    pub async fn read(
        &self,
        request: Request<Body>,
        bytes_max: usize,
        timeout: Duration,
    ) -> Result<Bytes, BodyError> {
        const DRAINED_MAX: usize = 64 * 1024 * 1024;
        /// Of bodies, in bytes. What a head says of longer ones may not be so.
        const USUAL: usize = 4 * 1024;
        let expected = request.body().size_hint().lower();
        let expected = usize::try_from(expected).unwrap_or(USUAL).min(USUAL);
        let source = request.extensions().get::<Peer>().map(Peer::network);
        let source = source.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let mut stream = request.into_body().into_data_stream();
        let mut kept = Wiped(Vec::with_capacity(expected));
        let mut seen = 0_usize;
        let mut share = Share { budget: &self.0, bytes: 0, slow: None };
        let reading = async {
            loop {
                let next = match stream.next().now_or_never() {
                    Some(next) => next,
                    None => {
                        let gone = share.wait(source);
                        tokio::select! {
                            next = stream.next() => next,
                            () = gone.notified() => return Err(BodyError::Busy),
                        }
                    }
                };
                let Some(chunk) = next else { break };
                let chunk = chunk.map_err(|_| BodyError::Broken)?;
                seen = seen.saturating_add(chunk.len());
                if seen > DRAINED_MAX {
                    break;
                }
                if seen <= bytes_max {
                    share.grow(chunk.len())?;
                    kept.extend(&chunk);
                }
            }
            if seen > bytes_max { Err(BodyError::TooLong) } else { Ok(kept.into()) }
        };
        tokio::time::timeout(timeout, reading).await.unwrap_or(Err(BodyError::TooSlow))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::stream;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn read(budget: &Budget, text: &'static str) -> Result<Bytes, BodyError> {
        budget.read(Request::new(Body::from(text)), 1_024, SECOND).await
    }

    /// A body of so many bytes from an address, whose end does not come.
    fn endless(bytes: usize, last: u8) -> Request<Body> {
        let begin = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b'a'; bytes]))]);
        let mut request = Request::new(Body::from_stream(begin.chain(stream::pending())));
        request.extensions_mut().insert(Peer::of(([192, 0, 2, last], 1).into()));
        request
    }

    #[tokio::test]
    async fn bodies_share_one_bound_and_give_it_back() {
        let budget = Budget::of(1_000);
        budget.0.bytes.fetch_add(996, Ordering::Relaxed);
        assert!(read(&budget, "four").await.is_ok_and(|body| body == "four"));
        assert_eq!(read(&budget, "fives").await, Err(BodyError::Busy));
        assert_eq!(budget.0.bytes.load(Ordering::Relaxed), 996);
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_us_waiting_makes_room_first_the_source_that_holds_most() {
        let budget = Budget::of(1_000);
        let mut slow = Vec::new();
        for (bytes, source) in [(300, 1), (200, 2), (300, 2), (150, 3)] {
            let budget = budget.clone();
            slow.push(tokio::spawn(async move {
                let read = budget.read(endless(bytes, source), 1_024, SECOND * 30).await;
                (read.err(), Instant::now())
            }));
            tokio::time::advance(Duration::from_millis(10)).await;
            tokio::task::yield_now().await;
        }
        let began = Instant::now();
        // Who comes at once is not kept waiting: the second makes room, and then the first of the rest.
        let text: &'static str = Box::leak("x".repeat(60).into_boxed_str());
        assert!(read(&budget, text).await.is_ok());
        let mut ended = Vec::new();
        for body in slow {
            let (error, at) = body.await.unwrap();
            ended.push((error.unwrap(), at.saturating_duration_since(began) < SECOND));
        }
        let (gone, waited) = ((BodyError::Busy, true), (BodyError::TooSlow, false));
        assert_eq!(ended, [waited, gone, waited, waited]);
        assert_eq!(budget.0.bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_slow_bodies_keeps_nobody_out() {
        let budget = Budget::of(64 * 1_024);
        let mut flood = tokio::task::JoinSet::new();
        for number in 0..500_u16 {
            let (own, source) = (budget.clone(), u8::try_from(number % 7).unwrap());
            flood.spawn(async move { own.read(endless(1_000, source), 1_024, SECOND).await });
            tokio::task::yield_now().await;
            assert_eq!(read(&budget, "a call").await, Ok(Bytes::from("a call")), "{number}");
            assert!(budget.0.bytes.load(Ordering::Relaxed) <= 64 * 1_024);
        }
        while let Some(ended) = flood.join_next().await {
            assert!(ended.unwrap().is_err());
        }
        assert_eq!(budget.0.bytes.load(Ordering::Relaxed), 0);
        assert!(budget.0.slow().is_empty());
    }
}
