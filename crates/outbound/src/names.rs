//! Looking up names. The system does it on threads that wait, and a name server that does not answer
//! keeps each for many seconds, whether or not somebody still wants the answer. So each transport has a
//! few of these threads at most, and each domain fewer: neither can one transport take them from
//! another, nor whoever owns a domain from the other receivers.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns;
use tokio::sync::Semaphore;

use crate::{AddressPolicy, Cause};

/// Looks up the addresses of a name; the port is put in by the caller.
pub(crate) type LookUp = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// As the system does.
pub(crate) fn by_the_system(name: &str) -> io::Result<Vec<SocketAddr>> {
    (name, 0).to_socket_addrs().map(Iterator::collect)
}

/// Names that are looked up at once, of a transport.
const AT_ONCE_MAX: usize = 8;

/// Of these, those of one domain.
const OF_A_DOMAIN_MAX: usize = 3;

/// See the module. Clones share the bounds.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    look_up: LookUp,
    all: Arc<Semaphore>,
    domains: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
}

impl Names {
    pub(crate) fn new(look_up: LookUp) -> Self {
        let all = Arc::new(Semaphore::new(AT_ONCE_MAX));
        Self { look_up, all, domains: Arc::default() }
    }

    /// The addresses of a name. Whoever gives up waiting leaves the look-up its thread until the
    /// system gives up, too.
    pub(crate) async fn find(&self, name: String) -> io::Result<Vec<SocketAddr>> {
        // First that of the domain: who waits for it must not keep a place that others could use.
        let domain = self.domain(&name).acquire_owned().await;
        let place = Arc::clone(&self.all).acquire_owned().await;
        let look_up = self.look_up;
        let found = tokio::task::spawn_blocking(move || {
            let found = look_up(&name);
            drop((domain, place));
            found
        });
        found.await.map_err(io::Error::other)?
    }

    fn domain(&self, name: &str) -> Arc<Semaphore> {
        const KEPT_MAX: usize = 1_024;
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if domains.len() >= KEPT_MAX {
            domains.retain(|_, known| known.strong_count() > 0);
        }
        let known = domains.entry(domain_of(name)).or_default();
        known.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Semaphore::new(OF_A_DOMAIN_MAX));
            *known = Arc::downgrade(&new);
            new
        })
    }
}

/// Looks names up, and keeps what the policy permits. Each connection is made to an address that was
/// looked up for it, so a name that changes its address between two gains nothing.
#[derive(Clone, Debug)]
pub(crate) struct PolicyResolver {
    pub(crate) policy: AddressPolicy,
    pub(crate) names: Names,
}

type Found<A> = Pin<Box<dyn Future<Output = Result<A, Cause>> + Send>>;

impl PolicyResolver {
    fn permitted(&self, name: String) -> Found<std::vec::IntoIter<SocketAddr>> {
        let Self { policy, names } = self.clone();
        Box::pin(async move {
            let found = names.find(name).await?;
            Ok(policy.only_permitted(found.into_iter())?.into_iter())
        })
    }
}

impl reqwest::dns::Resolve for PolicyResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let permitted = self.permitted(name.as_str().to_owned());
        Box::pin(async move {
            let addresses: reqwest::dns::Addrs = Box::new(permitted.await?);
            Ok(addresses)
        })
    }
}

impl tower_service::Service<dns::Name> for PolicyResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Cause;
    type Future = Found<Self::Response>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: dns::Name) -> Self::Future {
        self.permitted(name.as_str().to_owned())
    }
}

/// What countries put between an owner's label and their own.
const BETWEEN: [&str; 9] = ["ac", "co", "com", "edu", "go", "gov", "net", "or", "org"];

/// What one owner has: the last two labels, or three as in `psp.co.id`. Where a country has further words
/// between, its owners share the bound.
fn domain_of(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let mut labels = name.rsplit('.');
    let (last, before) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    match labels.next() {
        Some(third) if last.len() == 2 && BETWEEN.contains(&before) => {
            format!("{third}.{before}.{last}")
        }
        _ => format!("{before}.{last}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const SILENCE: Duration = Duration::from_millis(400);

    /// Names of `slow.test` and below have a name server that does not answer.
    fn partly_silent(name: &str) -> io::Result<Vec<SocketAddr>> {
        if name.contains("slow") {
            std::thread::sleep(SILENCE);
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))])
    }

    /// Begins so many look-ups that nobody waits for.
    async fn begin(names: &Names, count: usize, name: impl Fn(usize) -> String) {
        for number in 0..count {
            let (names, name) = (names.clone(), name(number));
            tokio::spawn(async move {
                let found = tokio::time::timeout(Duration::from_millis(50), names.find(name));
                assert!(found.await.is_err());
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    #[tokio::test]
    async fn a_domain_whose_names_are_not_answered_delays_no_other() {
        let names = Names::new(partly_silent);
        begin(&names, 200, |number| format!("x{number}.slow.test")).await;
        let began = Instant::now();
        assert!(names.find("psp.example".to_owned()).await.is_ok());
        assert!(began.elapsed() < SILENCE / 2, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_transport_whose_names_are_not_answered_delays_no_other() {
        let (receivers, midtrans) = (Names::new(partly_silent), Names::new(partly_silent));
        begin(&receivers, 200, |number| format!("slow{number}.test")).await;
        assert_eq!(receivers.all.available_permits(), 0);
        let began = Instant::now();
        assert!(midtrans.find("api.midtrans.example".to_owned()).await.is_ok());
        assert!(began.elapsed() < SILENCE / 2, "{:?}", began.elapsed());
        // All places come back when the system has given up.
        tokio::time::sleep(SILENCE * 2).await;
        assert_eq!(receivers.all.available_permits(), AT_ONCE_MAX);
    }

    #[test]
    fn a_domain_is_what_one_owner_has() {
        for (name, domain) in [
            ("psp.example", "psp.example"),
            ("Notify.PSP.example.", "psp.example"),
            ("a.b.notify.psp.example", "psp.example"),
            ("notify.psp.co.id", "psp.co.id"),
            ("psp.co.id", "psp.co.id"),
            ("co.id", "co.id"),
            ("a.co.example", "co.example"),
            ("a.b.id", "b.id"),
            ("localhost", ".localhost"),
            ("", "."),
        ] {
            assert_eq!(domain_of(name), domain, "{name}");
        }
    }

    #[test]
    fn domains_that_nobody_looks_up_are_forgotten() {
        let names = Names::new(partly_silent);
        let held = names.domain("held.test");
        for number in 0..3_000 {
            names.domain(&format!("{number}.number{number}.test"));
        }
        assert!(names.domains.lock().unwrap().len() <= 1_024);
        assert!(Arc::ptr_eq(&held, &names.domain("held.test")));
    }
}
