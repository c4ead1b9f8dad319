//! All connections of a listener: how many there may be, and who goes when there are too many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::{Connection, Patience, Source};

/// How often a full listener looks for somebody who can go.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
    /// A permit became free.
    freed: Notify,
}

/// The right to be one of the connections; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    all: Arc<Connections>,
    key: u64,
    pub(crate) connection: Arc<Connection>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.all.open().remove(&self.key);
        self.all.freed.notify_one();
    }
}

impl Connections {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            open: Mutex::default(),
            next: AtomicU64::new(0),
            freed: Notify::new(),
        })
    }

    /// A permit for a connection of this address. If there is none, those that wait longest for
    /// something go ([`Self::dispensable`]); while all others are being answered, the new one waits.
    pub(crate) async fn permit(self: &Arc<Self>, address: IpAddr) -> Permit {
        loop {
            if let Some(permit) = self.free_permit(address) {
                return permit;
            }
            for connection in self.dispensable() {
                connection.close();
            }
            // One that is being answered may have become dispensable meanwhile.
            let _ = tokio::time::timeout(LOOK_AGAIN, self.freed.notified()).await;
        }
    }

    /// Closes what is overdue.
    pub(crate) fn close_overdue(&self, patience: &Patience) {
        let now = Instant::now();
        for connection in self.open().values() {
            if connection.overdue(patience, now) {
                connection.close();
            }
        }
    }

    /// Ends each as soon as nothing is under way on it.
    pub(crate) fn retire(&self) {
        for connection in self.open().values() {
            connection.retire();
        }
    }

    fn free_permit(self: &Arc<Self>, address: IpAddr) -> Option<Permit> {
        let mut open = self.open();
        if open.len() >= self.max {
            return None;
        }
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection::new(Source::of(address)));
        open.insert(key, Arc::clone(&connection));
        Some(Permit { all: Arc::clone(self), key, connection })
    }

    /// A few of those that are not being answered: first those that never had an answer, of them
    /// those of the source that has most, of these the one that waits longest. A few at once,
    /// because finding them looks at all.
    fn dispensable(&self) -> Vec<Arc<Connection>> {
        let open = self.open();
        let mut shares: HashMap<Source, usize> = HashMap::new();
        for connection in open.values() {
            *shares.entry(connection.source()).or_default() += 1;
        }
        let ranked = |connection: &Arc<Connection>| {
            let rank = connection.rank()?;
            let share = shares.get(&connection.source()).copied().unwrap_or(0);
            Some(((rank.served, std::cmp::Reverse(share), rank.since), Arc::clone(connection)))
        };
        let mut ranked: Vec<_> = open.values().filter_map(ranked).collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        ranked.truncate(self.max.div_ceil(64));
        ranked.into_iter().map(|(_, connection)| connection).collect()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        // Nothing in here can panic half way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// In which order connections go, by their number.
    #[tokio::test(start_paused = true)]
    async fn who_never_had_an_answer_goes_first_then_who_has_most_then_who_waits_longest() {
        let all = Connections::new(64 * 6);
        let mut permits = Vec::new();
        for source in [1, 2, 2, 3, 2, 1] {
            permits.push(all.permit(address(source)).await);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        for served in [0, 1] {
            permits[served].connection.answered();
        }
        permits[2].connection.begin();
        permits[4].connection.whole();
        let going = all.dispensable();
        let number = |connection: &Arc<Connection>| {
            permits.iter().position(|permit| Arc::ptr_eq(&permit.connection, connection)).unwrap()
        };
        let order: Vec<_> = going.iter().map(number).collect();
        // The fifth is being answered. The third is one of three of its source, and has an
        // unfinished request; the sixth is one of two.
        assert_eq!(order, [2, 5, 3, 1, 0]);
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let source = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_patience() {
        let patience = Patience {
            idle: Duration::from_secs(75),
            head: Duration::from_secs(10),
            write: Duration::from_secs(15),
        };
        let connection = Connection::new(Source::of(address(1)));
        let overdue = async |after: u64| {
            tokio::time::advance(Duration::from_secs(after)).await;
            connection.overdue(&patience, Instant::now())
        };
        assert!(!overdue(74).await);
        assert!(overdue(1).await);
        connection.begin();
        connection.whole();
        assert!(!overdue(1_000).await, "a request may take its time");
        connection.answered();
        assert!(!overdue(74).await);
    }
}
