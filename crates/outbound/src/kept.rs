//! Hosts whose connections are kept for their next request: a bounded number. Each kept connection is a
//! descriptor, and whoever names the hosts could use them all up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// See the module. Clones share the places.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    max: usize,
    /// How long an unused connection is kept.
    idle: Duration,
    hosts: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Kept {
    pub(crate) fn new(max: usize, idle: Duration) -> Self {
        Self { max, idle, hosts: Arc::default() }
    }

    /// Whether the connection to a host is kept after this request. The first who come have the
    /// places; who was asked nothing while an unused connection is kept loses theirs.
    pub(crate) fn keeps(&self, host: &str) -> bool {
        let now = Instant::now();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = hosts.get_mut(host) {
            *used = now;
            return true;
        }
        if hosts.len() >= self.max {
            hosts.retain(|_, used| now.saturating_duration_since(*used) < self.idle);
        }
        let room = hosts.len() < self.max;
        if room {
            hosts.insert(host.to_owned(), now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_hosts_are_kept_for_as_long_as_they_are_asked() {
        let kept = Kept::new(2, Duration::from_secs(3));
        assert!(kept.keeps("http://a") && kept.keeps("http://b"));
        assert!(!kept.keeps("http://c") && kept.keeps("http://a"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(kept.keeps("http://a") && !kept.keeps("http://c"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(kept.keeps("http://c"), "nobody has asked b for four seconds");
        assert!(!kept.keeps("http://b") && kept.keeps("http://a"));
    }
}
